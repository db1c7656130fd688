"""What stands behind the frames of our own tar.zst, for our own reader: an index of the members and a seek table.

Both are in skippable frames, which other readers pass over. The table is that of zstd's seekable format
(contrib/seekable_format); the frame before it, counted in it with no content, holds the index.
"""

import os
import struct
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec
import zstandard

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
    index = _SKIPPABLE.pack(_INDEX_MAGIC, len(_TITLE) + len(packed)) + _TITLE + packed
    rows = [*table, (len(index), 0)]
    content = b"".join(_ROW.pack(*row) for row in rows) + _FOOTER.pack(len(rows), 0, _FOOTER_MAGIC)
    return index + _SKIPPABLE.pack(_TABLE_MAGIC, len(content)) + content


def read_index(descriptor: int) -> Index | None:
    """The index of an open archive; None when it has none, or one that cannot be trusted."""
    try:
        frames = _read_table(descriptor)
        if not frames:
            return None
        last = frames.pop()
        records = _read_records(os.pread(descriptor, last.size, last.offset))
    except (struct.error, msgspec.MsgspecError, zstandard.ZstdError, ValueError):
        return None
    end = frames[-1].start + frames[-1].length if frames else 0
    if any(record[0] + record[1] > end or record[0] < 0 or record[1] < 0 for record in records):
        return None
    return Index(frames, records)


def _read_table(descriptor: int) -> list[Frame] | None:
    length = os.fstat(descriptor).st_size
    count, kind, magic = _FOOTER.unpack(os.pread(descriptor, _FOOTER.size, max(0, length - _FOOTER.size)))
    size = _ROW.size * count + _FOOTER.size
    start = length - size - _SKIPPABLE.size
    if magic != _FOOTER_MAGIC or kind or not count or start < 0:
        return None
    content = os.pread(descriptor, _SKIPPABLE.size + size, start)
    if _SKIPPABLE.unpack_from(content) != (_TABLE_MAGIC, size):
        return None
    rows = list(_ROW.iter_unpack(content[_SKIPPABLE.size : -_FOOTER.size]))
    offsets = [0, *accumulate(row[0] for row in rows)]
    starts = [0, *accumulate(row[1] for row in rows)]
    if offsets[-1] != start or rows[-1][1] or max(row[1] for row in rows) > _MOST_IN_FRAME:
        return None
    return [Frame(offsets[i], rows[i][0], starts[i], rows[i][1]) for i in range(count)]


def _read_records(content: bytes) -> list[IndexRecord]:
    title_end = _SKIPPABLE.size + len(_TITLE)
    magic, size = _SKIPPABLE.unpack_from(content)
    if magic != _INDEX_MAGIC or size != len(content) - _SKIPPABLE.size or content[8:title_end] != _TITLE:
        raise ValueError
    packed = content[title_end:]
    if zstandard.frame_content_size(packed) > _LARGEST_GROWTH * len(packed) + (1 << 20):
        raise ValueError
    runs = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed), type=list[tuple[int, bytes]])
    decoder = msgspec.msgpack.Decoder(list[IndexRecord])
    return [(start + record[0], *record[1:]) for start, run in runs for record in decoder.decode(run)]
