"""What the operating system's errors mean for a storage."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pivori.storage.base import AccessDenied, AlreadyExists, NoSpace, NotFound, StorageError, TemporaryStorageError

_MEANINGS: dict[int, type[StorageError]] = {
    errno.ENOENT: NotFound,
    errno.EEXIST: AlreadyExists,
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: AccessDenied,
    errno.EINTR: TemporaryStorageError,
    errno.EAGAIN: TemporaryStorageError,
    errno.ETIMEDOUT: TemporaryStorageError,
    errno.ESTALE: TemporaryStorageError,
}


def storage_error(error: OSError, location: str, operation: str, name: str) -> StorageError:
    """The storage error for an error of the system; ``reason`` carries the system's own words."""
    meaning = _MEANINGS.get(error.errno or 0, StorageError)
    reason = error.strerror or str(error)
    return meaning(location=location, operation=operation, name=name, reason=reason)


@contextmanager
def reported(location: str, operation: str, name: str) -> Iterator[None]:
    """Let every OSError of the block leave as a StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, location, operation, name) from error
