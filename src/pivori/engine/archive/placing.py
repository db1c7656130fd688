"""A new archive's way to its name: a locked temporary file beside it, which is renamed when it is good.

Whatever ends the work early, nothing is ever under the final name that is not whole. A temporary file that nobody has
locked was left behind by a run that was killed; the next run removes it.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from pivori.archives.checksum import checksum_line, checksum_path
from pivori.archives.workspace import PARTIAL, remove_leftovers
from pivori.errors import PivoriError
from pivori.translation import N_

_TRIES: Final = 100


class DestinationUnwritable(PivoriError):
    """No archive can be written to the place it should go to."""

    code = "destination-unwritable"
    message = N_("No archive can be written to {directory}: {reason}.")
    hint = N_(
        "Make the directory and give yourself the right to write, or name another one with --directory or in "
        "PIVORI_BACKUP_DIR."
    )


class ArchiveExists(PivoriError):
    """There is a file under the name of the new archive."""

    code = "archive-exists"
    message = N_("There is a file {archive} already.")
    hint = N_("Choose another name; an archive is never overwritten.")


class NoSpaceForArchive(PivoriError):
    """The disk is full, or would be."""

    code = "no-space-for-archive"
    message = N_("There is not enough space in {directory}: {needed} are needed, {free} are free.")
    hint = N_("Remove old archives (`pivori archive prune --dry-run`), or choose another directory.")


class DiskFull(NoSpaceForArchive):
    """The disk was full before the archive was whole."""

    message = N_("There is no space left in {directory}; the unfinished archive was removed.")


def prepare_directory(directory: Path) -> None:
    """Make the directory that archives go to, and remove what killed runs left in it. Raises DestinationUnwritable."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_leftovers(directory)
    except OSError as error:
        raise DestinationUnwritable(directory=str(directory), reason=error.strerror or str(error)) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise DestinationUnwritable(directory=str(directory), reason=os.strerror(errno.EACCES))


class NewArchive:
    """The file of a new archive. A context manager: it is gone when it is left without :meth:`commit`."""

    def __init__(self, path: Path) -> None:
        """Raises ArchiveExists, DestinationUnwritable."""
        self.path = path
        self.partial = path.with_name(f".{path.name}{PARTIAL}")
        if os.path.lexists(path):
            raise ArchiveExists(archive=str(path))
        try:
            self.file = _new_locked(self.partial)
        except FileExistsError:
            raise ArchiveExists(archive=str(self.partial)) from None
        except OSError as error:
            raise DestinationUnwritable(directory=str(path.parent), reason=error.strerror or str(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self.partial.unlink(missing_ok=True)
        self.file.close()

    def commit(self, digest: str) -> Path:
        """Give the file its name, and write its checksum beside it; returns the checksum's path. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())
        beside = checksum_path(self.path)
        waiting = self.partial.with_name(f".{beside.name}{PARTIAL}")
        waiting.unlink(missing_ok=True)
        # Written before the archive gets its name: a full disk must not leave one without its checksum.
        with _new_locked(waiting) as file:
            try:
                file.write(checksum_line(self.path.name, digest))
                os.fsync(file.fileno())
                _give_name(self.partial, self.path)
                os.replace(waiting, beside)
            finally:
                waiting.unlink(missing_ok=True)
        sync_directory(self.path.parent)
        return beside


def _new_locked(path: Path) -> BinaryIO:
    """A new file, mode 0600, that tells others by its lock that somebody works at it. Raises OSError."""
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        file = open(descriptor, "w+b", buffering=0)  # noqa: SIM115 - the caller closes it
        with suppress(OSError):  # a file system without locks: then nobody finds what is left behind
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Before it was locked, another run may have taken it for a leftover.
        if os.fstat(descriptor).st_nlink:
            return file
        file.close()
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _give_name(temporary: Path, path: Path) -> None:
    """Rename without ever replacing a file. Raises ArchiveExists, OSError."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise ArchiveExists(archive=str(path)) from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        os.rename(temporary, path)  # a file system without links


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def free_bytes(directory: Path) -> int:
    """What this user may still write in a directory."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize
