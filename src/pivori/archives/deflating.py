"""Raw deflate streams, by the fastest library that is installed: libdeflate, ISA-L, else zlib.

libdeflate is the best for content that is whole in memory; ISA-L is several times faster at a few percent more bytes,
and makes streams in parts. Where one is missing, zlib does its work, slower.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from pivori.archives.container import Effort

Buffer = bytes | bytearray | memoryview

_WINDOW: Final = 32 << 10
_RAW: Final = -15
_SAMPLE: Final = 64 << 10
_WORTH_TRYING: Final = 128 << 10
_LEVEL: Final = 5
_LEVEL_OF_SMALL: Final = 1
_STRONGEST: Final = 12
_SMALL: Final = 16 << 10
"""Up to here a stronger level takes twice the time for a few percent."""


def _zlib_compress(content: Any, level: int) -> bytes:
    return zlib.compress(content, min(level, 9), _RAW)


def _zlib_decompress(content: Any, size: int) -> bytes:
    # One byte more is asked for, so that a stream that goes on is seen.
    return zlib.decompressobj(_RAW).decompress(content, size + 1)


def _zlib_crc32(content: Any, start: int = 0) -> int:
    return zlib.crc32(content, start)


_compress: Callable[[Any, int], Any] = _zlib_compress
_decompress: Callable[[Any, int], Any] = _zlib_decompress
crc32: Callable[..., int] = _zlib_crc32
"""The checksum of some bytes, going on from an earlier one."""
_errors: tuple[type[Exception], ...] = (zlib.error,)
_streams: Any = zlib
_stream_levels: dict[Effort, int] = {Effort.NORMAL: 5, Effort.SMALLEST: 9}

try:
    import deflate
except ImportError:
    pass
else:
    _compress, _decompress, crc32 = deflate.deflate_compress, deflate.deflate_decompress, deflate.crc32
    _errors = (*_errors, deflate.DeflateError)
try:
    from isal import isal_zlib
except ImportError:
    pass
else:
    _streams = isal_zlib
    _stream_levels[Effort.NORMAL] = 3
    _errors = (*_errors, isal_zlib.error)  # type: ignore[arg-type]  # an exception, which its stubs do not say

InflateError: Final = _errors
"""What is raised for bytes that are no deflate stream."""


def compress(content: Buffer, effort: Effort) -> Buffer | None:
    """Some content as a raw deflate stream; None when that would not be smaller."""
    size = len(content)
    view = memoryview(content)
    if size >= _WORTH_TRYING and looks_incompressible(lambda start, length: view[start : start + length], size):
        return None
    quick = _LEVEL_OF_SMALL if size <= _SMALL else _LEVEL
    packed: Buffer = _compress(content, _STRONGEST if effort is Effort.SMALLEST else quick)
    return packed if len(packed) < size else None


def looks_incompressible(read: Callable[[int, int], Buffer], size: int) -> bool:
    """Whether samples of some content do not get noticeably smaller: films, pictures, archives.

    ``read`` gives the bytes at a place, of a length. Raises what it raises.
    """
    samples = (read(start, _SAMPLE) for start in (0, size // 2, max(0, size - _SAMPLE)))
    return all(sample and len(_streams.compress(sample, 1, _RAW)) > len(sample) * 63 // 64 for sample in samples)


def compress_part(content: Buffer, before: Buffer, effort: Effort, *, is_last: bool) -> bytes:
    """One part of a longer stream; ``before`` is what comes before it, of which the last 32 KiB help.

    The parts are put together as they are, as pigz does it.
    """
    level = _stream_levels[effort]
    streams = zlib if effort is Effort.SMALLEST else _streams
    if before:
        stream = streams.compressobj(level, streams.DEFLATED, _RAW, 9, 0, bytes(before[-_WINDOW:]))
    else:
        stream = streams.compressobj(level, streams.DEFLATED, _RAW, 9)
    return b"".join((stream.compress(content), stream.flush(streams.Z_FINISH if is_last else streams.Z_SYNC_FLUSH)))


def inflate(stream: Buffer, size: int) -> bytes | bytearray:
    """The content of a raw deflate stream, which is ``size`` bytes: less when it is shorter.

    Raises one of InflateError when it is longer or is no such stream.
    """
    if not size:
        return _zlib_decompress(stream, 0)  # libdeflate does not know empty output
    content: bytes | bytearray = _decompress(stream, size)
    return content


class Inflater:
    """Inflates a long stream in parts of at most ``most`` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stream = _streams.decompressobj(_RAW)

    def parts(self, stored: Buffer) -> Iterator[bytes]:
        """What comes out of the next bytes of the stream. Raises one of InflateError."""
        while stored:
            part: bytes = self._stream.decompress(stored, self._most)
            stored = self._stream.unconsumed_tail
            if part:
                yield part
            elif not stored or self._stream.eof:
                return
        while part := self._stream.decompress(b"", self._most):
            yield part
