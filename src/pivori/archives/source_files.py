"""Reading the files that go into an archive, without ever following a link below the root."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

from pivori.entries import Entry, EntryKind
from pivori.host import group_name, read_attributes, user_name
from pivori.host.directories import OpenDirectories
from pivori.translation import N_

LARGE: Final = 32 << 20
"""A file of more bytes is read in parts."""

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_ATIME: Final = getattr(os, "O_NOATIME", 0)
_OPEN_DIRECTORIES: Final = 64
_NOT_REGULAR: Final = N_("it is no longer a regular file")

Attributes = tuple[tuple[bytes, bytes], ...]


class Item(NamedTuple):
    """An entry on its way to a worker: its position among the entries, its member's name, and what its headers say.

    ``link`` is the member name of the entry that it is a hard link of.
    """

    position: int
    path: bytes
    name: bytes
    kind: EntryKind
    mode: int
    mtime_ns: int
    uid: int
    gid: int
    user: str = ""
    group: str = ""
    target: bytes = b""
    link: bytes | None = None
    attributes: Attributes = ()


class Facts(NamedTuple):
    """What was found when a file was read: its state and what its content is."""

    position: int
    size: int
    digest: bytes
    mode: int
    mtime_ns: int
    ctime_ns: int
    uid: int
    gid: int
    inode: int
    device: int
    is_sparse: bool
    attributes: Attributes
    is_changed: bool = False


class TooLarge(Exception):
    """The file is larger than what is read at once."""


class NotRegular(OSError):
    """Something else than a file is there now."""

    def __init__(self) -> None:
        super().__init__(0, _NOT_REGULAR)


class SourceFiles:
    """The files below a root. A copy of it works in another process."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directories: OpenDirectories | None = None
        self._last, self._place = b"", -1
        self._flags = _FLAGS | _NO_ATIME

    def __reduce__(self) -> tuple[object, ...]:
        return SourceFiles, (self._root,)

    def close(self) -> None:
        """Close the directories that are open."""
        if self._directories is not None:
            self._directories.close()
            self._directories, self._place = None, -1

    def open(self, path: bytes) -> tuple[int, os.stat_result]:
        """A descriptor of a regular file, and its state. Raises OSError."""
        if self._directories is None:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._directories = OpenDirectories(root, _OPEN_DIRECTORIES)
        directory, _, name = path.rpartition(b"/")
        if directory != self._last or self._place < 0:
            # The next call may close the one of before, and then fail.
            self._place = -1
            self._place = self._directories.descriptor(directory)
            self._last = directory
        place = self._place
        try:
            descriptor = os.open(name, self._flags, dir_fd=place)
        except PermissionError:
            if not self._flags & _NO_ATIME:
                raise
            # Only the owner may read without leaving a trace in the access time.
            descriptor = os.open(name, self._flags & ~_NO_ATIME, dir_fd=place)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise NotRegular
        return descriptor, status

    def read(self, position: int, path: bytes) -> tuple[bytes, Facts]:
        """A file's content and state; read a second time when it changes meanwhile. Raises OSError, TooLarge."""
        descriptor, status = self.open(path)
        try:
            content = _read_whole(descriptor, status.st_size)
            after = os.fstat(descriptor)
            if is_changed(status, after, len(content)):
                os.lseek(descriptor, 0, os.SEEK_SET)
                status = after
                content = _read_whole(descriptor, status.st_size)
                after = os.fstat(descriptor)
            digest = hashlib.sha256(content).digest()
            attributes = tuple(read_attributes(descriptor))
        finally:
            os.close(descriptor)
        changed = is_changed(status, after, len(content))
        return content, facts(position, status, len(content), digest, attributes, changed)


def is_changed(before: os.stat_result, after: os.stat_result, size: int) -> bool:
    """Whether a file of which ``size`` bytes were read is not the one that it was before."""
    return before.st_mtime_ns != after.st_mtime_ns or after.st_size != size


def facts(
    position: int, status: os.stat_result, size: int, digest: bytes, attributes: Attributes, changed: bool
) -> Facts:
    """The facts of a file from its state and content."""
    return Facts(
        position,
        size,
        digest,
        status.st_mode & 0o7777,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_uid,
        status.st_gid,
        status.st_ino,
        status.st_dev,
        status.st_blocks * 512 < status.st_size,
        attributes,
        changed,
    )


def completed(entry: Entry, known: Facts) -> Entry:
    """The entry as its file was when it was read."""
    has_owner = entry.uid == known.uid and entry.gid == known.gid
    return Entry(
        path=entry.path,
        kind=entry.kind,
        mode=known.mode,
        mtime_ns=known.mtime_ns,
        uid=known.uid,
        gid=known.gid,
        user=entry.user if has_owner else user_name(known.uid),
        group=entry.group if has_owner else group_name(known.gid),
        size=known.size,
        sha256=known.digest.hex(),
        hard_link=entry.hard_link,
        is_sparse=known.is_sparse,
        ctime_ns=known.ctime_ns,
        inode=known.inode,
        device_id=known.device,
        attributes=known.attributes,
    )


def read_part(descriptor: int, start: int, length: int) -> bytes:
    """Bytes of a file from ``start`` on: less only where it ends."""
    content = os.pread(descriptor, length, start)
    if len(content) == length or not content:
        return content
    parts = [content]
    left = length - len(content)
    while left and (content := os.pread(descriptor, left, start + length - left)):
        parts.append(content)
        left -= len(content)
    return b"".join(parts)


def _read_whole(descriptor: int, expected: int) -> bytes:
    """Everything up to the end of the file. Raises TooLarge."""
    if expected > LARGE:
        raise TooLarge
    content = os.read(descriptor, expected + 1)
    if len(content) <= expected:
        return content
    # It grows, or is one of those whose length the system does not tell.
    parts = [content]
    size = len(content)
    while content := os.read(descriptor, 1 << 20):
        parts.append(content)
        size += len(content)
        if size > LARGE:
            raise TooLarge
    return b"".join(parts)
