"""Reading packs for their own sake: their headers from the end of the object, and whole, every blob opened."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from struct import Struct
from typing import Final, NamedTuple

from pivori.repository.compression import DamagedFrame, decompress
from pivori.repository.crypto import IV_BYTES, MAC_BYTES, OVERHEAD, Box, MasterKey, Tampered
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.pack import PackDamaged, PackedBlob, open_header, packed_size, sealed_header_length
from pivori.repository.table import ROW, Table
from pivori.storage import Kind, Storage, StorageError
from pivori.translation import N_

_TAIL: Final = 16 << 10
_LENGTH_BYTES: Final = 4
# The entries of a header, as pack.py reads them: kind, stored length, plain length when compressed, id.
_PLAIN_ENTRY: Final = Struct("<BI32s")
_COMPRESSED_ENTRY: Final = Struct("<BII32s")


class PackJob(NamedTuple):
    """A pack and what the index says it holds: rows of a table, with the blob's kind in place of the pack's number.

    ``known`` are the offsets of blobs that were read from this pack just before, and need not be opened again.
    """

    pack: PackId
    rows: bytes
    known: frozenset[int] = frozenset()

    def entries(self) -> list[tuple[bytes, int, int, int, int]]:
        """What the index says, in the order of the offsets: id, kind, offset, length, plain length."""
        return sorted(ROW.iter_unpack(self.rows), key=itemgetter(2))

    def blobs(self) -> list[PackedBlob]:
        """What the index says, in the order of the offsets."""
        return [_packed_blob(entry) for entry in self.entries()]


@dataclass(frozen=True)
class PackReport:
    """What was found in a pack. ``unreadable`` and ``header`` are reasons, empty when all is well."""

    pack: PackId
    size: int = 0
    unreadable: str = ""
    name_fits: bool = True
    header: str = ""
    index_differs: bool = False
    bad: tuple[PackedBlob, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with the pack."""
        return self.name_fits and not (self.unreadable or self.header or self.index_differs or self.bad)


def jobs_for(table: Table, wanted: Iterable[PackId]) -> list[PackJob]:
    """A job for each of the ``wanted`` packs that the table knows."""
    chosen = set(wanted)
    rows: dict[int, bytearray] = {
        number: bytearray() for number in range(table.pack_count) if table.pack(number) in chosen
    }
    make = ROW.pack
    for kind, blob, number, offset, length, plain_length in table.rows():
        if number in rows:
            rows[number] += make(blob, kind, offset, length, plain_length)
    return [PackJob(table.pack(number), bytes(packed)) for number, packed in rows.items()]


def read_pack_header(storage: Storage, box: Box, pack: PackId, size: int) -> list[PackedBlob]:
    """The blobs that the header of a stored pack lists. Raises PackDamaged and the storage's errors."""
    name = pack.hex()
    tail_length = min(size, _TAIL)
    tail = storage.get(Kind.PACK, name, size - tail_length, tail_length)
    length = sealed_header_length(tail, size)
    if length + _LENGTH_BYTES > len(tail):
        tail = storage.get(Kind.PACK, name, size - length - _LENGTH_BYTES, length + _LENGTH_BYTES)
    blobs = open_header(tail[-length - _LENGTH_BYTES : -_LENGTH_BYTES], box)
    if packed_size(blobs) != size:
        raise PackDamaged(reason=N_("its header fits another size"))
    return blobs


def whole_header(data: bytes, box: Box) -> list[PackedBlob]:
    """The blobs that the header of a pack lists whose bytes are at hand. Raises PackDamaged."""
    length = sealed_header_length(data[-_LENGTH_BYTES:], len(data))
    if length + _LENGTH_BYTES > len(data):
        raise PackDamaged(reason=N_("it is too short"))
    blobs = open_header(data[-length - _LENGTH_BYTES : -_LENGTH_BYTES], box)
    if packed_size(blobs) != len(data):
        raise PackDamaged(reason=N_("its header fits another size"))
    return blobs


def is_contiguous(blobs: Iterable[PackedBlob]) -> bool:
    """Whether the blobs lie one after the other from the beginning of a pack, as they must."""
    end = 0
    for blob in sorted(blobs, key=lambda each: each.offset):
        if blob.offset != end or blob.length < OVERHEAD:
            return False
        end += blob.length
    return True


class PackReader:
    """Reads whole packs. A pickled copy works in another process; the key travels with it."""

    def __init__(self, storage: Storage, master: MasterKey) -> None:
        self._storage = storage
        self._master = master
        self._box = Box(master)

    def __reduce__(self) -> tuple[object, ...]:
        return PackReader, (self._storage, self._master)

    def examine(self, job: PackJob) -> PackReport:
        """Read a pack, and open everything the index says it holds. What goes wrong is in the report."""
        try:
            data = self._storage.get(Kind.PACK, job.pack.hex())
        except StorageError as error:
            return PackReport(job.pack, unreadable=str(error), bad=tuple(job.blobs()))
        entries = job.entries()
        reason, differs = self._compare_header(data, entries)
        return PackReport(
            pack=job.pack,
            size=len(data),
            name_fits=sha256(data).digest() == job.pack,
            header=reason,
            index_differs=differs,
            bad=tuple(_packed_blob(entry) for entry in self._bad_blobs(data, entries, job.known)),
        )

    def _compare_header(self, data: bytes, entries: list[tuple[bytes, int, int, int, int]]) -> tuple[str, bool]:
        """Why the header cannot be read, and whether it says something else than the index."""
        expected = _plain_header(entries)
        # Nearly always the header is what it should be, so it is compared as it is; else it is read for the reason.
        sealed = data[-len(expected) - OVERHEAD - _LENGTH_BYTES :]
        if int.from_bytes(data[-_LENGTH_BYTES:], "little") == len(expected) + OVERHEAD:
            with suppress(Tampered):
                if self._box.open(sealed[:-_LENGTH_BYTES]) == expected:
                    return "", False
        try:
            whole_header(data, self._box)
        except PackDamaged as error:
            return str(error.details["reason"]), False
        return "", True

    def _bad_blobs(
        self, data: bytes, entries: list[tuple[bytes, int, int, int, int]], known: frozenset[int]
    ) -> list[tuple[bytes, int, int, int, int]]:
        view, open_parts = memoryview(data), self._box.open_parts
        bad = []
        for entry in entries:
            blob, _, offset, length, plain_length = entry
            if offset in known:
                continue
            end = offset + length
            try:
                content = open_parts(
                    data[offset : offset + IV_BYTES],
                    view[offset + IV_BYTES : end - MAC_BYTES],
                    data[end - MAC_BYTES : end],
                )
                if plain_length:
                    content = decompress(content, plain_length)
                if sha256(content).digest() != blob:
                    bad.append(entry)
            except (Tampered, DamagedFrame, ValueError):
                # Lengths that leave nothing for the seal make it a ValueError.
                bad.append(entry)
        return bad


def _packed_blob(entry: tuple[bytes, int, int, int, int]) -> PackedBlob:
    blob, kind, offset, length, plain_length = entry
    return PackedBlob(BlobKind(kind), BlobId(blob), offset, length, plain_length)


def _plain_header(entries: Iterable[tuple[bytes, int, int, int, int]]) -> bytes:
    """The header of a pack with these blobs, before it is sealed."""
    plain, compressed = _PLAIN_ENTRY.pack, _COMPRESSED_ENTRY.pack
    return b"".join(
        compressed(kind + 2, length, plain_length, blob) if plain_length else plain(kind, length, blob)
        for blob, kind, _, length, plain_length in entries
    )
