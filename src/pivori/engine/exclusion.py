"""What a backup leaves out: by patterns (``--exclude``), and directories that carry a marker file.

A marker is a file whose presence says that the rest of its directory is not worth keeping: ``CACHEDIR.TAG`` of the
Cache Directory Tagging Specification (https://bford.info/cachedir/), or any name the user gives, optionally with the
bytes it must begin with. The marker itself is kept, so that a restored directory is still marked.
"""

import os
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pivori.engine.patterns import Pattern, Verdicts, below, components
from pivori.errors import PivoriError
from pivori.translation import N_


class BadMarker(PivoriError):
    """A marker that no file can be."""

    code = "bad-marker"
    message = N_("“{text}” is not the name of a marker file.")
    hint = N_("Write a file name without a slash, and after a colon what the file must begin with, as in .nobackup.")
    exit_status = 2


@dataclass(frozen=True)
class Marker:
    """A file name, and the bytes such a file must begin with (none: any file will do)."""

    name: bytes
    header: bytes = b""

    @classmethod
    def parse(cls, text: str) -> "Marker":
        """Read ``NAME`` or ``NAME:HEADER``. Raises BadMarker."""
        name, _, header = os.fsencode(text).partition(b":")
        if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
            raise BadMarker(text=text)
        return cls(name, header)


CACHE_DIRECTORY_TAG = Marker(b"CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55")


def read_beginning(path: bytes, length: int) -> bytes:
    """The first ``length`` bytes of a regular file, nothing of anything else. Raises OSError."""
    # Without O_NONBLOCK a FIFO of the marker's name would stop the backup for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.read(descriptor, length)
    finally:
        os.close(descriptor)


class EntryFilter(Protocol):
    """What decides which entries are left out of a backup or an archive."""

    def leaves_out(self, path: bytes, name: bytes, is_directory: bool) -> bool:
        """Whether the entry ``name``, with the absolute path ``path``, is left out."""
        ...

    def marker_in(self, path: bytes, names: set[bytes]) -> bytes | None:
        """The entry that says that all others in the directory ``path`` are left out; None when there is none."""
        ...


def kept(
    directory: bytes, entries: list[os.DirEntry[bytes]], exclusion: EntryFilter | None
) -> list[os.DirEntry[bytes]]:
    """The entries of a directory that are not left out, in their order; ``directory`` is its absolute path.

    Raises OSError.
    """
    if exclusion is None:
        return entries
    marker = exclusion.marker_in(directory, {entry.name for entry in entries})
    if marker is not None:
        return [entry for entry in entries if entry.name == marker]
    return [
        entry
        for entry in entries
        if not exclusion.leaves_out(entry.path, entry.name, entry.is_dir(follow_symlinks=False))
    ]


class Exclusion:
    """What the user leaves out of one backup.

    ``roots`` are the absolute paths the backup was asked for. Ask :meth:`excludes_root` for each, then
    :meth:`leaves_out` for what lies below, from the top down: a directory that is left out must not be entered,
    so that nothing in it can come back by ``!``, as in git.
    """

    def __init__(
        self,
        patterns: Iterable[str] = (),
        *,
        markers: Iterable[Marker] = (),
        roots: Collection[bytes] = (),
        read: Callable[[bytes, int], bytes] = read_beginning,
    ) -> None:
        self._patterns = tuple(Pattern.parse(text) for text in patterns)
        self._markers = tuple(markers)
        self._read = read
        # Compiled when the walk comes there: a list of a hundred thousand files is never entered.
        self._roots: dict[bytes, Verdicts | None] = {root.rstrip(b"/") + b"/": None for root in roots or (b"/",)}
        self._prefix: bytes | None = None
        self._directory = ""
        self._verdicts: Verdicts | None = None

    def __bool__(self) -> bool:
        """Whether anything can be left out at all; when not, the walk need not ask."""
        return bool(self._patterns or self._markers)

    def excludes_root(self, root: bytes, is_directory: bool) -> bool:
        """Whether a path the backup was asked for is itself left out.

        A directory is so only by a pattern with its absolute path, because it was asked for by name; a file (which
        a shell's ``*`` may have named) by any pattern.
        """
        path = components(root)
        excluded = False
        for pattern in self._patterns:
            if pattern.only_directories and not is_directory:
                continue
            if pattern.is_absolute:
                matches = () in pattern.rests(path)
            else:
                matches = not is_directory and Verdicts([pattern]).decide("", path[-1], False) is not None
            if matches:
                excluded = not pattern.is_negated
        return excluded

    def leaves_out(self, path: bytes, name: bytes, is_directory: bool) -> bool:
        """Whether the entry ``name``, with the absolute path ``path``, is left out by a pattern.

        Entries of one directory should be asked for in a row: what depends on the directory is kept.
        """
        prefix = path[: len(path) - len(name)]
        if prefix != self._prefix:
            self._enter(prefix)
        verdicts = self._verdicts
        if verdicts is None:
            return False
        return verdicts.decide(self._directory, name.decode("utf-8", "surrogateescape"), is_directory) is True

    def _enter(self, prefix: bytes) -> None:
        """Make ready for the entries of a directory (its absolute path with a slash at the end)."""
        self._prefix = prefix
        self._verdicts = None
        root = prefix
        while root not in self._roots:
            if root in (b"", b"/"):
                return
            root = root[: root.rindex(b"/", 0, -1) + 1]
        verdicts = self._roots[root]
        if verdicts is None:
            verdicts = self._roots[root] = Verdicts(below(self._patterns, components(root)))
        self._verdicts = verdicts
        self._directory = prefix[len(root) :].decode("utf-8", "surrogateescape")

    def leaves_out_content(self, path: bytes, entries: Sequence["os.DirEntry[bytes]"]) -> bool:
        """Whether a marker says that what is in the directory ``path`` is left out."""
        return bool(self._markers) and self.marker_in(path, {entry.name for entry in entries}) is not None

    def marker_in(self, path: bytes, names: set[bytes]) -> bytes | None:
        """The name of the marker that the directory ``path`` with these entries carries: the one entry to keep.

        A marker that cannot be read does not count: rather too much is kept than too little.
        """
        for marker in self._markers:
            if marker.name in names:
                try:
                    beginning = self._read(path.rstrip(b"/") + b"/" + marker.name, len(marker.header))
                except OSError:
                    continue
                if beginning == marker.header:
                    return marker.name
        return None
