"""What stands behind the frames of our own tar.zst, for our own reader: an index of the members and a seek table.

Both are in skippable frames, which other readers pass over. The table is that of zstd's seekable format
(contrib/seekable_format); the frame before it, counted in it with no content, holds the index, and a checksum of the
rows before its own.
"""

import os
import struct
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec
import zstandard

from pivori.archives.deflating import crc32
from pivori.entries import EntryKind

IndexRecord = tuple[
    int, int, bytes, EntryKind, int, int, int, int, str, str, bytes, bytes | None, tuple[tuple[bytes, bytes], ...]
]
"""Where the content begins, its size, then name, kind, mode, mtime_ns, uid, gid, user, group, target, hard link's
name, attributes."""

_SKIPPABLE: Final = struct.Struct("<II")
_INDEX_MAGIC: Final = 0x184D2A53
_TABLE_MAGIC: Final = 0x184D2A5E
_FOOTER: Final = struct.Struct("<IBI")
_FOOTER_MAGIC: Final = 0x8F92EAB1
_ROW: Final = struct.Struct("<II")
_CHECKSUM: Final = struct.Struct("<I")
_TITLE: Final = b"pivori-tar-index-1\n"
_LARGEST_GROWTH: Final = 200
_MOST_IN_FRAME: Final = 64 << 20


class Frame(NamedTuple):
    """A frame: where it is and how long, and where its content is in the tar and how long."""

    offset: int
    size: int
    start: int
    length: int


class Index(NamedTuple):
    """The frames, and the members with the absolute position of their content in the tar."""

    frames: list[Frame]
    records: list[IndexRecord]


def end_frames(table: list[tuple[int, int]], runs: list[tuple[int, bytes]]) -> bytes:
    """The index and the table. ``table`` has the length of each frame and of its content; ``runs`` have the position
    in the tar that the records in them, which are encoded, count from.
    """
    packed = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(msgspec.msgpack.encode(runs))
    rows = b"".join(_ROW.pack(*row) for row in table)
    content = _TITLE + _CHECKSUM.pack(crc32(rows)) + packed
    index = _SKIPPABLE.pack(_INDEX_MAGIC, len(content)) + content
    rows += _ROW.pack(len(index), 0) + _FOOTER.pack(len(table) + 1, 0, _FOOTER_MAGIC)
    return index + _SKIPPABLE.pack(_TABLE_MAGIC, len(rows)) + rows


def read_index(descriptor: int) -> Index | None:
    """The index of an open archive; None when it has none, or one that cannot be trusted."""
    try:
        rows = _read_rows(descriptor)
        frames = _frames(rows)
        last = frames.pop()
        checksum, packed = _read_packed(os.pread(descriptor, last.size, last.offset))
        if checksum != crc32(rows[: -_ROW.size]):
            return None
        records = _records(packed)
    except (struct.error, msgspec.MsgspecError, zstandard.ZstdError, ValueError):
        return None
    end = frames[-1].start + frames[-1].length if frames else 0
    if any(record[0] + record[1] > end or record[0] < 0 or record[1] < 0 for record in records):
        return None
    return Index(frames, records)


def _read_rows(descriptor: int) -> bytes:
    """The rows of the seek table. Raises ValueError or struct.error when there is none."""
    length = os.fstat(descriptor).st_size
    count, kind, magic = _FOOTER.unpack(os.pread(descriptor, _FOOTER.size, max(0, length - _FOOTER.size)))
    size = _ROW.size * count + _FOOTER.size
    start = length - size - _SKIPPABLE.size
    if magic != _FOOTER_MAGIC or kind or not count or start < 0:
        raise ValueError
    content = os.pread(descriptor, _SKIPPABLE.size + size, start)
    if _SKIPPABLE.unpack_from(content) != (_TABLE_MAGIC, size):
        raise ValueError
    rows = content[_SKIPPABLE.size : -_FOOTER.size]
    if sum(row[0] for row in _ROW.iter_unpack(rows)) != start:
        raise ValueError
    return rows


def _frames(table: bytes) -> list[Frame]:
    """The frames of the rows of a table. Raises ValueError when one has more content than is ever written."""
    rows = list(_ROW.iter_unpack(table))
    if rows[-1][1] or max(row[1] for row in rows) > _MOST_IN_FRAME:
        raise ValueError
    offsets = accumulate((row[0] for row in rows), initial=0)
    starts = accumulate((row[1] for row in rows), initial=0)
    return [Frame(offset, row[0], start, row[1]) for row, offset, start in zip(rows, offsets, starts, strict=False)]


def _read_packed(frame: bytes) -> tuple[int, bytes]:
    """The checksum of the table and the encoded records that the frame with the index holds."""
    magic, size = _SKIPPABLE.unpack_from(frame)
    content = frame[_SKIPPABLE.size :]
    if magic != _INDEX_MAGIC or size != len(content) or not content.startswith(_TITLE):
        raise ValueError
    packed = content[len(_TITLE) + _CHECKSUM.size :]
    if zstandard.frame_content_size(packed) > _LARGEST_GROWTH * len(packed) + (1 << 20):
        raise ValueError
    (checksum,) = _CHECKSUM.unpack_from(content, len(_TITLE))
    return checksum, zstandard.ZstdDecompressor().decompress(packed)


def _records(encoded: bytes) -> list[IndexRecord]:
    runs = msgspec.msgpack.decode(encoded, type=list[tuple[int, bytes]])
    decoder = msgspec.msgpack.Decoder(list[IndexRecord])
    return [(start + record[0], *record[1:]) for start, run in runs for record in decoder.decode(run)]
