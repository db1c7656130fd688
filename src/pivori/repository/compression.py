"""zstd, in the five strengths a user may ask for.

``auto`` is the everyday strength. Whatever the strength, a blob that does not get smaller is stored as it is: it
then costs nothing to read back.
"""

import threading
from enum import StrEnum
from typing import Final

import zstandard

from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

LARGEST_PLAIN_BLOB: Final = 512 << 20
"""No blob decodes to more than this many bytes: a bound against hostile frames, far above any real blob or tree."""

Buffer = bytes | bytearray | memoryview


_LARGEST_WINDOW: Final = 128 << 20


class Compression(StrEnum):
    """How hard to compress data blobs. Trees and metadata are always compressed."""

    OFF = "off"
    FAST = "fast"
    AUTO = "auto"
    BETTER = "better"
    MAX = "max"


_LEVELS: Final = {Compression.FAST: 1, Compression.AUTO: 3, Compression.BETTER: 9, Compression.MAX: 19}


class DamagedFrame(PivoriError):
    """A compressed object does not decode, or not to what was announced."""

    code = "damaged-frame"
    message = N_("A compressed object is damaged: {reason}.")
    inner = "{reason}"
    hint = N_("Run `pivori verify --read-data` to learn what is hurt.")


class Compressor:
    """Compresses many buffers with one context. Belongs to one thread."""

    def __init__(self, strength: Compression) -> None:
        level = _LEVELS.get(strength, _LEVELS[Compression.AUTO])
        self._compress = zstandard.ZstdCompressor(level=level).compress

    def compress(self, plain: Buffer) -> bytes:
        """One zstd frame that holds ``plain`` and says its size."""
        return self._compress(plain)


# A decompression context costs more to make than a small blob to decode, and must not be shared between threads.
_contexts = threading.local()


def _context() -> zstandard.ZstdDecompressor:
    found: zstandard.ZstdDecompressor | None = getattr(_contexts, "context", None)
    if found is None:
        found = _contexts.context = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    return found


def decompress(frame: Buffer, plain_length: int | None = None, *, most: int = LARGEST_PLAIN_BLOB) -> bytes:
    """The content of one zstd frame; exactly ``plain_length`` bytes when that is given.

    Memory is bounded by the length that the caller knows, or by ``most``, whatever the frame announces.
    Raises DamagedFrame.
    """
    limit = most if plain_length is None else plain_length
    try:
        announced = zstandard.frame_content_size(frame)
        if max(announced, limit) > most:
            raise DamagedFrame(reason=Phrase(N_("it announces {size} bytes"), size=max(announced, limit)))
        if announced > 0 and announced <= limit:
            plain = _context().decompress(frame, allow_extra_data=False)
        else:
            # The frame does not say how long it is, or lies: it is read up to the limit and no further.
            with _context().stream_reader(frame) as reader:
                plain = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise DamagedFrame(reason=str(error)) from None
    except MemoryError:
        raise DamagedFrame(reason=N_("it takes more memory than there is")) from None
    if len(plain) > limit or (plain_length is not None and len(plain) != plain_length):
        raise DamagedFrame(reason=Phrase(N_("it decodes to another length than {size}"), size=limit))
    return plain
