"""Copying parts of a file into another one on the same disk, without reading them into this process."""

import errno
import os
from typing import Final

from pivori.translation import N_

_AT_ONCE: Final = 16 << 20
_CANNOT: Final = frozenset((errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM))


def copy_range(source: int, destination: int, offset: int, length: int) -> None:
    """Copy ``length`` bytes at ``offset`` of one open file to the same place of another, which reads as zeros there.

    Holes stay holes. A file system that can shares the blocks instead of copying them. Raises OSError, also when the
    source is shorter than that.
    """
    end = offset + length
    if os.fstat(source).st_size < end:
        raise _too_short()
    while offset < end:
        start = _next(source, offset, end, os.SEEK_DATA)
        if start < end:
            offset = _next(source, start, end, os.SEEK_HOLE)
            _copy(source, destination, start, offset)
        else:
            offset = end


def _next(source: int, offset: int, end: int, what: int) -> int:
    """Where data or a hole begins, at ``offset`` or later; ``end`` when that is not before it."""
    try:
        return min(os.lseek(source, offset, what), end)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return end
        # A file system that knows no holes: everything is data.
        return offset if what == os.SEEK_DATA else end


def _copy(source: int, destination: int, offset: int, end: int) -> None:
    while offset < end:
        copied = _copy_some(source, destination, offset, min(end - offset, _AT_ONCE))
        if not copied:
            raise _too_short()
        offset += copied


def _copy_some(source: int, destination: int, offset: int, length: int) -> int:
    try:
        copied = os.copy_file_range(source, destination, length, offset, offset)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        copied = 0
    # Some file systems answer 0 where they should say that they cannot.
    return copied or os.pwrite(destination, os.pread(source, length, offset), offset)


def _too_short() -> OSError:
    return OSError(errno.ESTALE, N_("it changed during the restore"))
