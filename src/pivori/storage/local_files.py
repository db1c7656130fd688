"""Files and folders of a local repository: whole reads and writes, durability, names of temporary files.

Everything here raises OSError; :mod:`pivori.storage.local` turns it into storage errors.
"""

import errno
import hashlib
import os
import re
import secrets
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path
from threading import Lock

FOLDER_MODE = 0o700
FILE_MODE = 0o600

_LARGEST_BATCH = os.sysconf("SC_IOV_MAX")
# Network and FUSE file systems that cannot flush answer with one of these; there is nothing more to be had of them.
_CANNOT_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOTTY})
_CANNOT_LINK = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_TEMPORARY_NAME = re.compile(r"(?P<machine>[0-9a-f]{16})-(?P<process>[0-9]{1,9})-[0-9a-f]{16}")
_LEFTOVER_AGE_NS = 24 * 3600 * 10**9


def byte_views(parts: Sequence[bytes | bytearray | memoryview]) -> list[memoryview]:
    """The parts that are not empty, as views of single bytes."""
    return [view for part in parts if (view := memoryview(part).cast("B")).nbytes]


def write_views(descriptor: int, views: Sequence[memoryview]) -> None:
    """Write all the views, however many they are and however little the system takes at once."""
    for start in range(0, len(views), _LARGEST_BATCH):
        batch = list(views[start : start + _LARGEST_BATCH])
        while batch:
            batch = _rest(batch, os.writev(descriptor, batch))


def _rest(batch: list[memoryview], written: int) -> list[memoryview]:
    """What of a batch is still to be written."""
    if not written:
        raise OSError(errno.EIO, "the system wrote nothing and gave no reason")
    for position, view in enumerate(batch):
        if written < view.nbytes:
            return [view[written:], *batch[position + 1 :]]
        written -= view.nbytes
    return []


def read_range(file: Path, offset: int, length: int | None) -> bytes:
    """The bytes of a regular file from ``offset``, at most ``length`` of them; a request is cut to the file's size.

    Anything but a regular file is refused: a link could lead out of the repository, a pipe would block for ever.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EIO, "it is not a regular file")
        there = max(status.st_size - offset, 0)
        return _read_exactly(descriptor, offset, there if length is None else max(min(length, there), 0))
    finally:
        os.close(descriptor)


def _read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    """``length`` bytes, or what is there before the end; one system call and no copy in the usual case."""
    if not length:
        return b""
    piece = os.pread(descriptor, length, offset)
    pieces = [piece]
    received = len(piece)
    while piece and received < length:
        piece = os.pread(descriptor, length - received, offset + received)
        pieces.append(piece)
        received += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def flush(descriptor: int) -> None:
    """Make a file or folder durable, as far as its file system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make a folder and what lacks above it, each private and durable."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folders(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=FOLDER_MODE)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    flush_folder(folder.parent)


def publish_once(temporary: Path, final: Path) -> None:
    """Give a finished file its name unless the name is taken (FileExistsError), whoever else tries it now.

    A hard link is the exclusive rename every Unix has. Where the file system has none, whoever holds the folder's
    lock looks and renames; that excludes other runs of this program.
    """
    try:
        final.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        _rename_under_lock(temporary, final)
    else:
        temporary.unlink()


def _rename_under_lock(temporary: Path, final: Path) -> None:
    descriptor = os.open(final.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        flock(descriptor, LOCK_EX)
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        temporary.rename(final)
    finally:
        os.close(descriptor)


class Unfinished:
    """A new file that has not got its name yet. Its temporary one tells which process of which machine makes it.

    The name is known before there is a file, so whatever interrupts its making, :meth:`discard` leaves nothing.
    """

    def __init__(self, folder: Path) -> None:
        """``folder`` is where it will lie; nothing is made yet."""
        self.path = folder / f"{_machine()}-{os.getpid()}-{secrets.token_hex(8)}"
        self._descriptor = -1
        self._claimed = Lock()

    def open(self) -> None:
        """Make the file, private to the user, and open it for writing."""
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def write(self, views: Sequence[memoryview]) -> None:
        """Write its content."""
        write_views(self._descriptor, views)

    def settle(self) -> None:
        """Make its content durable and close it; it is there under its temporary name."""
        try:
            flush(self._descriptor)
        finally:
            self._close()

    def claim(self) -> bool:
        """Whether the caller is the first to ask: of two threads that would go on with the file only one may."""
        return self._claimed.acquire(blocking=False)

    def discard(self) -> None:
        """Remove it unless it has got its name; may be called again. What cannot be removed is a leftover."""
        with suppress(OSError):
            self.path.unlink()
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@cache
def _machine() -> str:
    """What tells apart places whose process numbers are not comparable: the host and the process namespace."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.blake2b(f"{socket.gethostname()}\0{namespace}".encode(), digest_size=8).hexdigest()


def is_leftover(file: Path, now_ns: int) -> bool:
    """Whether nobody finishes this temporary file: its process, on this machine, is dead, or it is a day old."""
    match = _TEMPORARY_NAME.fullmatch(file.name)
    if match is None:
        return False
    if match["machine"] == _machine() and not _is_alive(int(match["process"])):
        return True
    return now_ns - file.lstat().st_mtime_ns > _LEFTOVER_AGE_NS


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's process
    return True
