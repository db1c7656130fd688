"""What goes into an archive: a source tree as entries, links and special files told apart, nothing followed.

Devices are reported as not captured, sockets pass silently as they do in snapshots. A name that no container holds
(bytes that are not UTF-8, and the archive's own ``.pivori``) gets a member name of its own; the manifest has both.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from pivori.archives.manifest import FOLDER, NotCaptured, as_text
from pivori.engine.exclusion import EntryFilter, kept
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.host import group_name, read_attributes, read_directory, user_name
from pivori.translation import N_

_KINDS: Final = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFIFO: EntryKind.FIFO,
}
_DEVICE: Final = N_("it is a device")
_AWKWARD: Final = re.compile(r"[\x00-\x1f\x7f\\\udc80-\udcff]|^ | \Z")


class NotADirectoryToArchive(PivoriError):
    """What is to become an archive is no directory that can be read."""

    code = "not-a-directory"
    message = N_("{path} cannot become an archive: {reason}.")
    hint = N_("Name a directory that exists and that you may read.")


@dataclass(kw_only=True)
class Listing:
    """A source tree. ``entries`` begin with the root, ``b""``, and are sorted by path; content is not read yet.

    ``names`` gives the name of an entry's member where it is not its path. ``unread`` are the paths of what could not
    be looked at, or not into: nothing is known of them and of what is below.
    """

    entries: list[Entry] = field(default_factory=list)
    names: dict[bytes, bytes] = field(default_factory=dict)
    not_captured: list[NotCaptured] = field(default_factory=list)
    unread: set[bytes] = field(default_factory=set)


def list_tree(
    root: bytes,
    *,
    exclusion: EntryFilter | None = None,
    one_file_system: bool = False,
    leaves_out: Callable[[bytes], bool] | None = None,
    pulse: Callable[[bytes], None] = lambda _path: None,
) -> Listing:
    """The entries of the directory ``root`` (an absolute path without links) and of everything below it.

    ``leaves_out`` is asked with each path relative to the root; what is left out is not entered. ``pulse`` hears of
    each directory. Raises NotADirectoryToArchive when the root itself cannot be read.
    """
    return _Walk(root, exclusion, one_file_system, leaves_out, pulse).run()


class _Walk:
    """One walk, with the directories still to be entered on a stack."""

    def __init__(
        self,
        root: bytes,
        exclusion: EntryFilter | None,
        one_file_system: bool,
        leaves_out: Callable[[bytes], bool] | None,
        pulse: Callable[[bytes], None],
    ) -> None:
        self._root = root
        self._exclusion = exclusion
        self._one_file_system = one_file_system
        self._leaves_out = leaves_out
        self._pulse = pulse
        self._found = Listing()
        self._linked: set[bytes] = set()

    def run(self) -> Listing:
        try:
            status = os.lstat(self._root)
            listed = read_directory(self._root)
        except OSError as error:
            raise NotADirectoryToArchive(path=self._root, reason=error.strerror or str(error)) from None
        self._found.entries.append(_entry(self._root, b"", EntryKind.DIRECTORY, status))
        self._device = status.st_dev
        stack = self._take(b"", self._root, listed)
        while stack:
            path = stack.pop()
            absolute = os.path.join(self._root, path)
            self._pulse(absolute)
            try:
                listed = read_directory(absolute)
            except OSError as error:
                self._miss_all(path, error)
                continue
            stack += self._take(path, absolute, listed)
        found = self._found
        found.entries.sort(key=lambda entry: entry.path)
        found.entries = join_hard_links(found.entries, self._linked)
        return found

    def _take(self, path: bytes, absolute: bytes, listed: list[os.DirEntry[bytes]]) -> list[bytes]:
        """Note what is in a directory; returns the directories to enter."""
        below = []
        entries = kept(absolute, listed, self._exclusion)
        above = self._found.names.get(path, path)
        mapped = above != path
        taken = {each.name for each in entries}
        for each in entries:
            inner = path + b"/" + each.name if path else each.name
            if self._leaves_out is not None and self._leaves_out(inner):
                continue
            try:
                status = each.stat(follow_symlinks=False)
                if not self._note(inner, each.path, status):
                    continue
            except FileNotFoundError:
                continue
            except OSError as error:
                self._miss_all(inner, error)
                continue
            name = _member_name(each.name, taken, is_top=not path)
            if mapped or name != each.name:
                self._found.names[inner] = above + b"/" + name if above else name
            if stat.S_ISDIR(status.st_mode) and not (self._one_file_system and status.st_dev != self._device):
                below.append(inner)
        return below

    def _note(self, path: bytes, absolute: bytes, status: os.stat_result) -> bool:
        """Take an entry in; whether it is one that archives hold."""
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            if not stat.S_ISSOCK(status.st_mode):
                self._miss(path, _DEVICE)
            return False
        self._found.entries.append(_entry(absolute, path, kind, status))
        if kind is EntryKind.FILE and status.st_nlink > 1:
            self._linked.add(path)
        return True

    def _miss_all(self, path: bytes, error: OSError) -> None:
        """Note something that may have been as it was, with all that is below."""
        self._found.unread.add(path)
        self._miss(path, error.strerror or str(error))

    def _miss(self, path: bytes, reason: str) -> None:
        text, raw = as_text(path)
        self._found.not_captured.append(NotCaptured(path=text, path_raw=raw, reason=reason))


def _entry(absolute: bytes, path: bytes, kind: EntryKind, status: os.stat_result) -> Entry:
    is_file = kind is EntryKind.FILE
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        mtime_ns=status.st_mtime_ns,
        uid=status.st_uid,
        gid=status.st_gid,
        user=user_name(status.st_uid),
        group=group_name(status.st_gid),
        size=status.st_size if is_file else 0,
        target=os.readlink(absolute) if kind is EntryKind.SYMLINK else b"",
        is_sparse=is_file and status.st_blocks * 512 < status.st_size,
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
        device_id=status.st_dev,
        attributes=tuple(read_attributes(absolute)),
    )


def join_hard_links(entries: Iterable[Entry], linked: set[bytes]) -> list[Entry]:
    """The entries (sorted), those of ``linked`` that are further names of one file pointing to the first of them."""
    first_names: dict[tuple[int, int], bytes] = {}
    joined = []
    for entry in entries:
        if entry.path in linked:
            first = first_names.setdefault((entry.device_id, entry.inode), entry.path)
            if first != entry.path:
                entry = structs.replace(entry, hard_link=first)
        joined.append(entry)
    return joined


def _member_name(name: bytes, taken: set[bytes], *, is_top: bool) -> bytes:
    """The name of a member in its directory; ``taken`` are the names there, and the new one is added.

    What a name cannot have everywhere is written as ``%XX``: bytes that are no UTF-8, a backslash (to other systems it
    is a slash), control characters, a space at either end (programs that read lists of names cut it off).
    """
    text = name.decode("utf-8", "surrogateescape")
    candidate = _AWKWARD.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text).encode()
    if candidate == name and not (is_top and name == FOLDER):
        return name
    while candidate in taken or (is_top and candidate == FOLDER):
        candidate += b"~"
    taken.add(candidate)
    return candidate
