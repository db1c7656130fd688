"""Writing a file without its long stretches of zeros, which then take no room on the disk.

Only stretches of at least 32 KiB that start and end on 4 KiB boundaries of the file become holes: shorter ones save
less than the extra extents and calls cost.
"""

import os

_BLOCK = 4 << 10
_STRIDE = 32 << 10
_ZERO_BLOCK = bytes(_BLOCK)
_ZERO_STRIDE = bytes(_STRIDE)


def write_sparse(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> int:
    """Write ``data`` at ``offset`` of a file that reads as zeros there, leaving out long stretches of zeros.

    Returns the number of bytes written. The caller gives the file its length (``os.ftruncate``) before or after,
    since zeros at the end are not written either. Raises OSError.
    """
    view = memoryview(data)
    start = written = 0
    for hole_start, hole_end in _holes(view, offset):
        written += _write_whole(descriptor, view[start:hole_start], offset + start)
        start = hole_end
    return written + _write_whole(descriptor, view[start:], offset + start)


def _holes(view: memoryview, offset: int) -> list[tuple[int, int]]:
    """The stretches of zeros worth leaving out, as (start, end) positions in ``view``.

    A stretch of 32 KiB made of whole 4 KiB blocks holds the block at some multiple of 32 KiB of the file: looking at
    one block in eight finds every candidate, which is then extended block by block in both directions.
    """
    holes: list[tuple[int, int]] = []
    length = len(view)
    position = -offset % _STRIDE
    while position + _BLOCK <= length:
        if view[position] or bytes(view[position : position + _BLOCK]) != _ZERO_BLOCK:
            position += _STRIDE
            continue
        start, end = _start_of_zeros(view, position), _end_of_zeros(view, position + _BLOCK)
        if end - start >= _STRIDE:
            holes.append((start, end))
        position += -(-(end - position) // _STRIDE) * _STRIDE
    return holes


def _start_of_zeros(view: memoryview, position: int) -> int:
    """The start of the first block from which on all whole blocks up to ``position`` are zeros."""
    while position >= _BLOCK and bytes(view[position - _BLOCK : position]) == _ZERO_BLOCK:
        position -= _BLOCK
    return position


def _end_of_zeros(view: memoryview, position: int) -> int:
    """The end of the last whole block of zeros, going on from ``position``."""
    length = len(view)
    while position + _STRIDE <= length and bytes(view[position : position + _STRIDE]) == _ZERO_STRIDE:
        position += _STRIDE
    while position + _BLOCK <= length and bytes(view[position : position + _BLOCK]) == _ZERO_BLOCK:
        position += _BLOCK
    return position


def _write_whole(descriptor: int, view: memoryview, offset: int) -> int:
    """Write all of ``view`` at ``offset``; the system may take it in several parts."""
    written = 0
    while written < len(view):
        written += os.pwrite(descriptor, view[written:], offset + written)
    return written
