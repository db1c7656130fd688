"""Opening and filling regular files, and nothing that only looks like one."""

import os
import stat

from pivori.host.sparse import write_sparse

_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def create_regular(directory: int, name: bytes) -> int:
    """A descriptor to write a new, empty file, mode 0600. Raises FileExistsError."""
    return os.open(name, _CREATE, 0o600, dir_fd=directory)


def open_regular(directory: int, name: bytes, flags: int) -> int | None:
    """Open a regular file, given its owner's rights back where they are missing; None for anything else.

    It is looked at before, because opening a device can act on it, and after, because it may have been replaced.
    """
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return None
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except PermissionError:
        os.chmod(name, stat.S_IMODE(status.st_mode) | 0o600, dir_fd=directory, follow_symlinks=False)
        descriptor = os.open(name, flags, dir_fd=directory)
    if os.path.samestat(os.fstat(descriptor), status):
        return descriptor
    os.close(descriptor)
    return None


def fill(descriptor: int, data: bytes | bytearray | memoryview, *, sparse: bool) -> None:
    """Write the content of a new, empty file; when ``sparse``, with holes for long stretches of zeros."""
    if sparse:
        write_sparse(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
        return
    written = os.write(descriptor, data)
    if written != len(data):
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
