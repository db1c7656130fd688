"""Copying what is still needed out of packs that go, sealed as it is, after each blob was opened and checked.

Packs are visited in the order of the index objects, one object in memory at a time. A blob whose copy turns out to be
damaged is taken from another copy when there is a sound one; when there is none, its pack is *retained*: it stays where
it is, so that nothing is thrown away that a later repair could use.

A needed blob whose surplus copies go is checked too, in the pack that stays. When that copy is damaged and one of those
that go is sound, the sound one is saved.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from pivori.errors import PivoriError
from pivori.repository.compression import DamagedFrame
from pivori.repository.crypto import IV_BYTES, MAC_BYTES, Box, Tampered
from pivori.repository.ids import PackId
from pivori.repository.index import IndexedPack
from pivori.repository.pack import PackedBlob
from pivori.repository.reach import Reach
from pivori.repository.reading import WantedBlob, stretches
from pivori.repository.repository import BlobDamaged, ContentDiffers, Repository, open_blob
from pivori.repository.table import Location
from pivori.repository.writer import BlobWriter
from pivori.storage import Kind, NotFound

UNUSED: Final = 0
TO_COPY: Final = 1
"""Needed, and no pack that stays has it."""
SAFE: Final = 2
"""Needed, and in a pack that stays or in a new one."""
TO_CHECK: Final = 3
"""Needed and in a pack that stays, while copies of it in other packs go."""


class Repacking:
    """One run over all packs. ``reach.marks`` has one of the four states above for each blob."""

    def __init__(
        self,
        repository: Repository,
        reach: Reach,
        repack: Collection[PackId],
        gone: Collection[PackId],
        writer: BlobWriter,
        *,
        report: Callable[[PivoriError], None],
        step: Callable[[int], None],
    ) -> None:
        """``gone`` are all packs that go, ``repack`` those of them that hold needed blobs.

        ``report`` hears of damage, ``step`` of the stored bytes dealt with.
        """
        self._repository = repository
        self._table = reach.table
        self._marks = reach.marks
        self._repack = repack
        self._gone = gone
        self._writer = writer
        self._report = report
        self._step = step
        self._box = Box(repository.master)
        self.retained: set[PackId] = set()
        """Packs that cannot go, because they hold the only copy, damaged as it is, of a needed blob."""

    def run(self, listed: Mapping[str, Collection[PackId]]) -> None:
        """Copy and check everything that has to be; ``listed`` has the packs of each index object.

        Raises storage errors and what reading an index raises.
        """
        for name, packs in listed.items():
            checks = self._marks.find(TO_CHECK) >= 0
            if checks or any(pack in self._repack for pack in packs):
                for pack in self._repository.read_index(name):
                    self._visit(pack)

    def _visit(self, pack: IndexedPack) -> None:
        state = TO_COPY if pack.id in self._repack else TO_CHECK
        if state == TO_CHECK and pack.id in self._gone:
            return
        kinds = {(blob.id, blob.offset): blob for blob in pack.blobs if self._is_wanted(pack.id, blob, state)}
        wanted = [WantedBlob(blob.id, blob.offset, blob.length, blob.plain_length) for blob in kinds.values()]
        for found, sealed in self._read(pack.id, wanted):
            blob = kinds[found.id, found.offset]
            self._take(pack.id, blob, sealed, must_copy=state == TO_COPY)
        self._step(sum(blob.length for blob in wanted))

    def _is_wanted(self, pack: PackId, blob: PackedBlob, state: int) -> bool:
        row = self._table.row_number(blob.kind, blob.id)
        if row < 0 or self._marks[row] != state:
            return False
        return state == TO_CHECK or self._source(blob) == (pack, blob.offset)

    def _source(self, blob: PackedBlob) -> tuple[PackId, int]:
        """Which copy is taken when there are several: the same one that the plan counted."""
        places = [place for place in self._table.locations(blob.kind, blob.id) if place.pack in self._repack]
        first = min(places, key=lambda place: (place.pack, place.length, place.offset))
        return first.pack, first.offset

    def _read(self, pack: PackId, wanted: list[WantedBlob]) -> Iterator[tuple[WantedBlob, memoryview]]:
        for stretch in stretches(pack, wanted):
            data = memoryview(self._repository.storage.get(Kind.PACK, pack.hex(), stretch.start, stretch.length))
            for blob in stretch.blobs:
                begin = blob.offset - stretch.start
                yield blob, data[begin : begin + blob.length]

    def _take(self, pack: PackId, blob: PackedBlob, sealed: memoryview, *, must_copy: bool) -> None:
        row = self._table.row_number(blob.kind, blob.id)
        if self._marks[row] == SAFE:
            return
        place = Location(pack, blob.offset, blob.length, blob.plain_length)
        error = self._fault(blob, place, sealed)
        if error is None:
            if must_copy:
                self._copy(blob, sealed, blob.plain_length)
        elif not self._take_other(blob, place):
            self.retained.add(pack)
            self._report(error)
        self._marks[row] = SAFE

    def _take_other(self, blob: PackedBlob, bad: Location) -> bool:
        """Find a sound copy elsewhere and see to it that it stays; whether there is one."""
        for place in self._table.locations(blob.kind, blob.id):
            if place == bad:
                continue
            try:
                stored = self._repository.storage.get(Kind.PACK, place.pack.hex(), place.offset, place.length)
            except NotFound:
                continue
            sealed = memoryview(stored)
            if self._fault(blob, place, sealed) is None:
                if place.pack in self._gone:
                    self._copy(blob, sealed, place.plain_length)
                return True
        return False

    def _fault(self, blob: PackedBlob, place: Location, sealed: memoryview) -> BlobDamaged | None:
        """What is wrong with a copy; None when it is sound."""
        try:
            open_blob(self._box, sealed, place.plain_length, blob.id)
        except (Tampered, DamagedFrame, ContentDiffers) as error:
            reason = error.as_reason
            return BlobDamaged(kind=blob.kind.word, id=blob.id.hex(), pack=place.pack.hex(), reason=reason)
        return None

    def _copy(self, blob: PackedBlob, sealed: memoryview, plain_length: int) -> None:
        parts = bytes(sealed[:IV_BYTES]), bytes(sealed[IV_BYTES:-MAC_BYTES]), bytes(sealed[-MAC_BYTES:])
        self._writer.add_sealed(blob.kind, blob.id, parts, plain_length)
