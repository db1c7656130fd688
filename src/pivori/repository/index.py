"""The index: which blobs the repository has, and where.

Index objects are JSON, at most 20,000 blobs each, every pack whole in one of them. In memory the index is a few
sorted tables (:mod:`pivori.repository.table`); blobs that this run adds are kept in a builder until their index
object is written.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from pivori.errors import PivoriError
from pivori.repository.compression import LARGEST_PLAIN_BLOB
from pivori.repository.crypto import OVERHEAD
from pivori.repository.ids import ID_BYTES, BlobId, BlobKind, PackId
from pivori.repository.pack import PackedBlob, read_header
from pivori.repository.table import Location, Table, TableBuilder, merge
from pivori.translation import N_

MOST_BLOBS: Final = 20_000
_MOST_TABLES: Final = 6
_U32: Final = 1 << 32


class IndexDamaged(PivoriError):
    """An index object is not what an index is."""

    code = "index-damaged"
    message = N_("The index {name} is damaged: {reason}.")
    hint = N_("Run `pivori repair index`: it makes the index anew from the packs.")


class _Blob(msgspec.Struct, omit_defaults=True):
    id: str
    type: str
    offset: int
    length: int
    uncompressed_length: int = 0


class _Pack(msgspec.Struct):
    id: str
    blobs: list[_Blob]


class _Index(msgspec.Struct):
    packs: list[_Pack]


class IndexedPack(NamedTuple):
    """A pack as an index object lists it."""

    id: PackId
    blobs: list[PackedBlob]


_decoder = msgspec.json.Decoder(_Index)
_KINDS: Final = {"data": BlobKind.DATA, "tree": BlobKind.TREE}
_WORDS: Final = {kind: word for word, kind in _KINDS.items()}


def decode_index(name: str, plain: bytes) -> Iterator[IndexedPack]:
    """The packs an index object lists. Raises IndexDamaged."""
    try:
        document = _decoder.decode(plain)
        for pack in document.packs:
            yield IndexedPack(PackId(_id(pack.id)), [_packed_blob(blob) for blob in pack.blobs])
    except (msgspec.MsgspecError, RecursionError, ValueError, KeyError) as error:
        raise IndexDamaged(name=name, reason=str(error)) from None
    except MemoryError:
        raise IndexDamaged(name=name, reason=N_("it takes more memory than there is")) from None


def _packed_blob(blob: _Blob) -> PackedBlob:
    offset, length, plain_length = blob.offset, blob.length, blob.uncompressed_length
    if not (0 <= offset < _U32 and OVERHEAD <= length < _U32 and 0 <= plain_length < _U32):
        raise ValueError(N_("a length or offset is out of range"))
    return PackedBlob(_KINDS[blob.type], BlobId(_id(blob.id)), offset, length, plain_length)


def _id(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != ID_BYTES:
        raise ValueError(N_("an id has the wrong length"))
    return raw


def encode_index(packs: Iterable[tuple[PackId, Iterable[PackedBlob]]]) -> bytes:
    """The JSON of an index object."""
    return _join_packs(_encode_pack(pack, blobs) for pack, blobs in packs)


def _encode_pack(pack: PackId, blobs: Iterable[PackedBlob]) -> bytes:
    return msgspec.json.encode(
        _Pack(
            pack.hex(),
            [_Blob(blob.hex(), _WORDS[kind], offset, length, plain) for kind, blob, offset, length, plain in blobs],
        )
    )


def _join_packs(packs: Iterable[bytes]) -> bytes:
    return b'{"packs":[' + b",".join(packs) + b"]}"


class Index:
    """Look-ups over everything that is indexed."""

    def __init__(self, tables: list[Table]) -> None:
        self.tables = tables

    def find(self, kind: BlobKind, blob: BlobId) -> Location | None:
        """Where a blob lies, or None."""
        for table in self.tables:
            row = table.row_number(kind, blob)
            if row >= 0:
                return table.location(row)
        return None

    def find_all(self, kind: BlobKind, blob: BlobId) -> list[Location]:
        """Every place of a blob: a second copy may save what a damaged pack lost."""
        return [location for table in self.tables for location in table.locations(kind, blob)]

    def has(self, kind: BlobKind, blob: BlobId) -> bool:
        """Whether a blob is indexed."""
        return any(table.row_number(kind, blob) >= 0 for table in self.tables)

    def content_length(self, kind: BlobKind, blob: BlobId) -> int | None:
        """The number of bytes a blob holds when opened; None when it is not indexed, or so large that no blob is."""
        location = self.find(kind, blob)
        if location is None or location.content_length > LARGEST_PLAIN_BLOB:
            return None
        return location.content_length

    def add(self, table: Table) -> None:
        """Add the blobs of an index object that this run wrote."""
        self.tables.append(table)
        if len(self.tables) > _MOST_TABLES:
            # The first table is the large one from the cache: the young ones are merged beside it.
            self.tables[1:] = [merge(self.tables[1:])]

    def without_packs(self, gone: frozenset[PackId] | set[PackId]) -> "Index":
        """The index as it is when these packs are no longer there."""
        builder = TableBuilder()
        for table in self.tables:
            for kind, blob, pack, offset, length, plain_length in table.rows():
                name = table.pack(pack)
                if name not in gone:
                    builder.add_pack(name, [(kind, blob, offset, length, plain_length)])
        return Index([builder.build()])

    @property
    def sources(self) -> frozenset[bytes]:
        """The raw names of the index objects that it covers."""
        return frozenset[bytes]().union(*(table.sources for table in self.tables))

    @property
    def blob_count(self) -> int:
        """How many rows the index has (a blob stored twice counts twice)."""
        return sum(table.count for table in self.tables)

    def packs(self) -> set[PackId]:
        """Every pack that is indexed."""
        return {table.pack(number) for table in self.tables for number in range(table.pack_count)}


class Marks:
    """A set of indexed blobs at one byte a blob: which are used, which were seen."""

    def __init__(self, index: Index) -> None:
        self._tables = list(index.tables)
        self._marks = [bytearray(table.count) for table in self._tables]

    def add(self, kind: BlobKind, blob: BlobId) -> bool:
        """Mark a blob. True when it was not marked before; raises KeyError when it is not indexed."""
        for table, marks in zip(self._tables, self._marks, strict=True):
            row = table.row_number(kind, blob)
            if row >= 0:
                fresh = not marks[row]
                marks[row] = 1
                return fresh
        raise KeyError(blob)

    def __contains__(self, key: tuple[BlobKind, BlobId]) -> bool:
        for table, marks in zip(self._tables, self._marks, strict=True):
            row = table.row_number(*key)
            if row >= 0:
                return bool(marks[row])
        return False

    def __len__(self) -> int:
        return sum(marks.count(1) for marks in self._marks)


class PendingIndex:
    """Packs that are stored but not yet listed in an index object. They are encoded as they come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._builder = TableBuilder()
        self.blob_count = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, pack: PackId, header: bytes) -> None:
        """Add a stored pack with its plain header."""
        blobs = list(read_header(header))
        self._parts.append(_encode_pack(pack, blobs))
        self._builder.add_pack(pack, blobs)
        self.blob_count += len(blobs)

    def take(self) -> tuple[bytes, TableBuilder]:
        """The JSON of an index object with the pending packs, and their rows. Nothing is pending afterwards."""
        plain, builder = _join_packs(self._parts), self._builder
        self._parts, self._builder, self.blob_count = [], TableBuilder(), 0
        return plain, builder
