"""Where blobs lie: a sorted, immutable table of 48-byte rows, with no Python object per blob.

A row is ``id(32) | pack number and kind | offset | length | plain length`` (four u32, little endian; the top bit of
the pack number tells trees from data). Rows are sorted by id and found through a fan-out over the first bits of the
id, so a look-up is two small reads and one native search. A table lies in memory or is mapped from a cache file.
"""

import mmap
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from pivori.repository.crypto import OVERHEAD
from pivori.repository.ids import ID_BYTES, BlobId, BlobKind, PackId

ROW: Final = struct.Struct("<32sIIII")
_ROW_BYTES: Final = ROW.size
_TREE_BIT: Final = 1 << 31
_HEADER: Final = struct.Struct("<8sIIIII")
_MAGIC: Final = b"pvridx1\n"
_ROWS_PER_BUCKET: Final = 8
_MOST_BITS: Final = 16


class Location(NamedTuple):
    """Where one blob lies: offset and lengths in bytes; ``plain_length`` is 0 when it is not compressed."""

    pack: PackId
    offset: int
    length: int
    plain_length: int

    @property
    def content_length(self) -> int:
        """The number of bytes the blob holds when opened."""
        return self.plain_length or self.length - OVERHEAD


class BrokenTable(Exception):
    """A cache file is not a whole table; it is made anew."""


class Table:
    """A sorted table of blobs. ``sources`` are the raw names of the index objects it was made from."""

    def __init__(self, buffer: bytes | mmap.mmap, layout: "_Layout") -> None:
        self._buffer = buffer
        self._find = buffer.find
        self._base = layout.rows
        self._shift = 16 - layout.bits
        self._packs = layout.packs
        self.count = layout.row_count
        self.pack_count = layout.pack_count
        self.sources = frozenset(_split(buffer[layout.sources : layout.packs]))
        fanout = array("I")
        fanout.frombytes(buffer[layout.fanout : layout.rows])
        self._fanout = fanout

    def row_number(self, kind: BlobKind, blob: BlobId) -> int:
        """The number of the first row for this blob, or -1."""
        prefix = (blob[0] << 8 | blob[1]) >> self._shift
        base = self._base
        start = base + self._fanout[prefix] * _ROW_BYTES
        end = base + self._fanout[prefix + 1] * _ROW_BYTES
        while (position := self._find(blob, start, end)) >= 0:
            row, rest = divmod(position - base, _ROW_BYTES)
            if rest == 0 and self._buffer[position + 35] >> 7 == kind:
                return row
            start = position + 1
        return -1

    def location(self, row: int) -> Location:
        """Where the blob of a row lies."""
        _, pack, offset, length, plain_length = ROW.unpack_from(self._buffer, self._base + row * _ROW_BYTES)
        return Location(self.pack(pack & ~_TREE_BIT), offset, length, plain_length)

    def locations(self, kind: BlobKind, blob: BlobId) -> Iterator[Location]:
        """Every place of a blob (one that was stored twice has two rows)."""
        row = self.row_number(kind, blob)
        while 0 <= row < self.count:
            start = self._base + row * _ROW_BYTES
            if self._buffer[start : start + ID_BYTES] != blob:
                return
            if self._buffer[start + 35] >> 7 == kind:
                yield self.location(row)
            row += 1

    def pack(self, number: int) -> PackId:
        """The id of the pack with this number in the table."""
        start = self._packs + number * ID_BYTES
        return PackId(self._buffer[start : start + ID_BYTES])

    def rows(self) -> Iterator[tuple[BlobKind, BlobId, int, int, int, int]]:
        """Every row: kind, id, pack number, offset, length, plain length; sorted by id."""
        view = memoryview(self._buffer)[self._base : self._base + self.count * _ROW_BYTES]
        tree = BlobKind.TREE
        data = BlobKind.DATA
        for blob, pack, offset, length, plain_length in ROW.iter_unpack(view):
            kind = tree if pack & _TREE_BIT else data
            yield kind, blob, pack & ~_TREE_BIT, offset, length, plain_length

    def bucket(self, prefix: int) -> bytes:
        """The rows whose id begins with the byte ``prefix``, joined."""
        per_byte = 1 << max(0, 8 - self._shift)
        if self._shift > 8:
            return self._bucket_of_small_table(prefix)
        start, end = self._fanout[prefix * per_byte], self._fanout[(prefix + 1) * per_byte]
        return self._buffer[self._base + start * _ROW_BYTES : self._base + end * _ROW_BYTES]

    def _bucket_of_small_table(self, prefix: int) -> bytes:
        base, buffer = self._base, self._buffer
        rows = (buffer[at : at + _ROW_BYTES] for at in range(base, base + self.count * _ROW_BYTES, _ROW_BYTES))
        return b"".join(row for row in rows if row[0] == prefix)

    def write_parts(self) -> list[bytes | memoryview]:
        """The bytes of the cache file for this table."""
        return [memoryview(self._buffer)]


class _Layout(NamedTuple):
    """Byte positions of the parts of a table's buffer."""

    row_count: int
    pack_count: int
    source_count: int
    bits: int

    @property
    def sources(self) -> int:
        return _HEADER.size

    @property
    def packs(self) -> int:
        return self.sources + self.source_count * ID_BYTES

    @property
    def fanout(self) -> int:
        return self.packs + self.pack_count * ID_BYTES

    @property
    def rows(self) -> int:
        return self.fanout + ((1 << self.bits) + 1) * 4

    @property
    def size(self) -> int:
        return self.rows + self.row_count * _ROW_BYTES


class TableBuilder:
    """Makes a table out of rows that come pack by pack, in any order."""

    def __init__(self) -> None:
        self._buckets: list[list[bytes]] = [[] for _ in range(256)]
        self._packs: dict[bytes, int] = {}

    def add_pack(self, pack: bytes, blobs: Iterable[tuple[int, bytes, int, int, int]]) -> None:
        """Add the blobs of one pack, each as kind, id, offset, length, plain length."""
        number = self._packs.setdefault(pack, len(self._packs))
        make = ROW.pack
        buckets = self._buckets
        for kind, blob, offset, length, plain_length in blobs:
            buckets[blob[0]].append(make(blob, number | kind << 31, offset, length, plain_length))

    def build(self, sources: Iterable[bytes] = ()) -> Table:
        """The finished table."""
        return _assemble((b"".join(_sorted_rows(bucket)) for bucket in self._buckets), list(self._packs), sources)


def merge(tables: Sequence[Table]) -> Table:
    """One table with the rows of all; memory beyond the result is bounded by a 256th of it."""
    packs: dict[bytes, int] = {}
    renumber = [
        [packs.setdefault(table.pack(number), len(packs)) for number in range(table.pack_count)] for table in tables
    ]
    sources = frozenset[bytes]().union(*(table.sources for table in tables))
    buckets = (_merge_bucket(tables, renumber, prefix) for prefix in range(256))
    return _assemble(buckets, list(packs), sources)


def _merge_bucket(tables: Sequence[Table], renumber: list[list[int]], prefix: int) -> bytes:
    rows = []
    for table, numbers in zip(tables, renumber, strict=True):
        for blob, pack, offset, length, plain_length in ROW.iter_unpack(table.bucket(prefix)):
            number = numbers[pack & ~_TREE_BIT] | pack & _TREE_BIT
            rows.append(ROW.pack(blob, number, offset, length, plain_length))
    return b"".join(_sorted_rows(rows))


def _sorted_rows(rows: list[bytes]) -> list[bytes]:
    # The same pack may stand in two index objects: equal rows are one.
    return sorted(set(rows))


def _assemble(buckets: Iterable[bytes], packs: Sequence[bytes], sources: Iterable[bytes]) -> Table:
    rows = bytearray()
    for bucket in buckets:
        rows += bucket
    count = len(rows) // _ROW_BYTES
    named = sorted(sources)
    bits = min(_MOST_BITS, max(0, (count // _ROWS_PER_BUCKET).bit_length()))
    layout = _Layout(count, len(packs), len(named), bits)
    body: list[bytes | bytearray] = [b"".join(named), b"".join(packs), _fanout(rows, count, bits), rows]
    checksum = 0
    for part in body:
        checksum = zlib.crc32(part, checksum)
    header = _HEADER.pack(_MAGIC, count, layout.pack_count, layout.source_count, bits, checksum)
    return Table(b"".join((header, *body)), layout)


def _fanout(rows: bytearray, count: int, bits: int) -> bytes:
    """For every prefix of ``bits`` bits the number of the first row that does not come before it."""
    starts = array("I", bytes(4 * ((1 << bits) + 1)))
    shift = 16 - bits
    firsts, seconds = rows[0::_ROW_BYTES], rows[1::_ROW_BYTES]
    for first, second in zip(firsts, seconds, strict=True):
        starts[((first << 8 | second) >> shift) + 1] += 1
    total = 0
    for prefix, number in enumerate(starts):
        total += number
        starts[prefix] = total
    return starts.tobytes()


def read_table(buffer: bytes | mmap.mmap, checksum: int) -> Table:
    """A table from a cache file's bytes; ``checksum`` is the CRC-32 of what follows its header.

    Raises BrokenTable.
    """
    if len(buffer) < _HEADER.size:
        raise BrokenTable
    magic, count, pack_count, source_count, bits, expected = _HEADER.unpack_from(buffer)
    layout = _Layout(count, pack_count, source_count, bits)
    if magic != _MAGIC or bits > _MOST_BITS or expected != checksum or layout.size != len(buffer):
        raise BrokenTable
    return Table(buffer, layout)


HEADER_BYTES: Final = _HEADER.size


def _split(names: bytes) -> Iterator[bytes]:
    return (names[at : at + ID_BYTES] for at in range(0, len(names), ID_BYTES))
