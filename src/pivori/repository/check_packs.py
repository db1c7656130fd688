"""The part of a check that knows indexes and packs: are they all there, do they fit each other?"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from pivori.repository.check_findings import FindingKind, Findings
from pivori.repository.crypto import Box
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.index import Index, IndexDamaged, IndexedPack
from pivori.repository.index_cache import IndexCache
from pivori.repository.objects import ObjectDamaged
from pivori.repository.pack import PackDamaged, PackedBlob, packed_size
from pivori.repository.pack_reading import PackJob, PackReport, is_contiguous, jobs_for, read_pack_header
from pivori.repository.repository import Repository
from pivori.repository.table import Table, TableBuilder, merge
from pivori.storage import Kind, NotFound, StorageError
from pivori.translation import N_, Phrase

_DATA = Kind.PACK.value


class PackCheck:
    """Loads every index object, lists the packs, and compares. :meth:`load` first, :meth:`conclude` last."""

    def __init__(self, repository: Repository, findings: Findings) -> None:
        self._repository = repository
        self._findings = findings
        self._damaged_indexes: list[int] = []
        self._expected: dict[PackId, int] = {}
        """The size of each indexed pack, as the index has it; -1 where it contradicts itself."""
        self._listings: Counter[PackId] = Counter()
        self._bad: dict[PackId, tuple[int, tuple[PackedBlob, ...]]] = {}
        """The blobs that cannot be read from a pack, and the finding about that pack."""
        self._not_indexed: dict[PackId, bool] = {}
        self._needed: dict[PackId, set[tuple[BlobKind, BlobId]]] = {}
        self._by_pack: dict[PackId, int] = {}
        self.sizes: dict[PackId, int] = {}
        """What lies in the storage: packs and their sizes in bytes."""
        self.table: Table = TableBuilder().build()
        self.index = Index([])
        """Everything that is indexed, and then what lies in packs that no index lists."""

    def load(self) -> None:
        """Load the index and list the packs. The index comes first: what it lists is stored by then."""
        names = [item.name for item in self._repository.storage.list(Kind.INDEX)]
        tables = IndexCache(None).load(names, self._observed).tables
        self.table = merge(tables) if len(tables) > 1 else next(iter(tables), self.table)
        self.sizes = {PackId(bytes.fromhex(name)): size for name, size in self._repository.storage.list(Kind.PACK)}
        self._compare_packs()
        spare = self._table_of_not_indexed()
        self.index = Index([self.table, spare] if spare.count else [self.table])

    def read_jobs(self, packs: Iterable[PackId]) -> list[PackJob]:
        """What there is to read of these packs."""
        return jobs_for(self.table, packs)

    def readable_packs(self) -> list[PackId]:
        """The indexed packs that are there, in the order of their ids."""
        return sorted(pack for pack in self._expected if pack in self.sizes)

    def take(self, report: PackReport) -> None:
        """Add what reading a pack has shown."""
        number = self._by_pack.get(report.pack)
        if number is None and not report.is_sound:
            number = self._by_pack[report.pack] = self._add_report(report)
        if number is not None:
            # Replaces what was assumed of the pack before it was read.
            self._bad[report.pack] = (number, report.bad)

    def need(self, kind: BlobKind, blob: BlobId, pack: PackId) -> None:
        """Hear that a snapshot needs a blob that lies in ``pack``; matters when no index lists that pack."""
        if pack in self._not_indexed:
            self._needed.setdefault(pack, set()).add((kind, blob))

    def finding_about(self, pack: PackId) -> int | None:
        """The number of the finding that says a pack is damaged; None when it is not known to be."""
        return self._by_pack.get(pack)

    def conclude(self) -> None:
        """Add what is known only when everything was seen: packs without an index, and which blobs are lost."""
        self._note_repeated_blobs()
        for pack in sorted(self._not_indexed):
            self._conclude_not_indexed(pack)
        places: dict[tuple[BlobKind, BlobId], dict[tuple[PackId, int], int]] = defaultdict(dict)
        for pack, (number, blobs) in self._bad.items():
            for blob in blobs:
                places[blob.kind, blob.id][pack, blob.offset] = number
        for (kind, name), bad in places.items():
            # A good copy elsewhere means that nothing is lost.
            if all((copy.pack, copy.offset) in bad for copy in self.index.find_all(kind, name)):
                self._findings.lose(kind, name, *sorted(set(bad.values())))

    # Indexes

    def _observed(self, name: str) -> Iterator[IndexedPack]:
        try:
            # Whole before the first is used: half an index would look like a whole one with packs missing.
            packs = list(self._repository.read_index(name))
        except NotFound:
            return  # gone since the listing: what replaces it was written before
        except (IndexDamaged, ObjectDamaged, StorageError) as error:
            self._damaged_indexes.append(
                self._findings.add(FindingKind.INDEX_DAMAGED, Kind.INDEX.value, name, _reason(error))
            )
            return
        for pack in packs:
            self._observe(pack)
            yield pack

    def _observe(self, pack: IndexedPack) -> None:
        size = packed_size(pack.blobs) if is_contiguous(pack.blobs) else -1
        self._listings[pack.id] += 1
        if self._expected.setdefault(pack.id, size) != size:
            self._expected[pack.id] = -1
        if len({blob.kind for blob in pack.blobs}) > 1 and self._listings[pack.id] == 1:
            self._findings.add(FindingKind.PACK_MIXED, _DATA, pack.id.hex())

    # Packs

    def _compare_packs(self) -> None:
        for pack, count in self._listings.items():
            if count > 1:
                self._findings.add(FindingKind.PACK_INDEXED_TWICE, _DATA, pack.hex(), count=count)
        # Programs before restic 0.10 spread packs over several indexes: all that is said of such a pack counts.
        for job in jobs_for(self.table, (pack for pack, expected in self._expected.items() if expected < 0)):
            blobs = job.blobs()
            self._expected[job.pack] = packed_size(blobs) if is_contiguous(blobs) else -1
        wrong = {}
        for pack, expected in self._expected.items():
            size = self.sizes.get(pack)
            if size is None:
                wrong[pack] = self._findings.add(FindingKind.PACK_MISSING, _DATA, pack.hex())
            elif expected < 0:
                wrong[pack] = self._findings.add(FindingKind.PACK_INDEX_DIFFERS, _DATA, pack.hex())
            elif size != expected:
                reason = Phrase(N_("{size} bytes instead of {expected}"), size=size, expected=expected)
                wrong[pack] = self._findings.add(FindingKind.PACK_SIZE_WRONG, _DATA, pack.hex(), reason)
        self._by_pack = wrong
        for job in jobs_for(self.table, wrong) if wrong else []:
            end = self.sizes.get(job.pack, 0)
            # Without reading it: what lies behind the end of the pack is lost for certain.
            beyond = tuple(blob for blob in job.blobs() if blob.offset + blob.length > end)
            self._bad[job.pack] = (wrong[job.pack], beyond)

    def _note_repeated_blobs(self) -> None:
        count = wasted = 0
        last: tuple[int, bytes] | None = None
        for kind, blob, _, _, length, _ in self.table.rows():
            if last == (kind, blob):
                count += 1
                wasted += length
            last = (kind, blob)
        if count:
            self._findings.add(FindingKind.BLOBS_STORED_TWICE, _DATA, "", count=count, size=wasted)

    def _table_of_not_indexed(self) -> Table:
        """What lies in packs that no index lists: perhaps snapshots need it."""
        builder, box = TableBuilder(), Box(self._repository.master)
        for pack, size in self.sizes.items():
            if pack not in self._expected:
                try:
                    builder.add_pack(pack, read_pack_header(self._repository.storage, box, pack, size))
                    self._not_indexed[pack] = True
                except (PackDamaged, StorageError):
                    self._not_indexed[pack] = False
        return builder.build()

    def _conclude_not_indexed(self, pack: PackId) -> None:
        needed = self._needed.get(pack)
        if not needed or self._damaged_indexes:
            self._findings.add(FindingKind.PACK_NOT_INDEXED, _DATA, pack.hex())
        if not needed:
            return
        # Damaged indexes that are there explain why packs have none: they are the finding then.
        numbers = self._damaged_indexes or [self._findings.add(FindingKind.PACK_LACKS_INDEX, _DATA, pack.hex())]
        for kind, blob in needed:
            self._findings.lose(kind, blob, *numbers)

    def _add_report(self, report: PackReport) -> int:
        kind, reason = _verdict(report)
        return self._findings.add(kind, _DATA, report.pack.hex(), reason, count=len(report.bad))


def _verdict(report: PackReport) -> tuple[FindingKind, str]:
    """The one thing to say about a pack in which something is wrong."""
    if report.unreadable:
        return FindingKind.PACK_UNREADABLE, report.unreadable
    if not report.name_fits:
        return FindingKind.PACK_CONTENT_WRONG, report.header or "its content does not fit its name"
    if report.header:
        return FindingKind.PACK_HEADER_DAMAGED, report.header
    if report.index_differs:
        return FindingKind.PACK_INDEX_DIFFERS, ""
    return FindingKind.PACK_BLOBS_DAMAGED, ""


def _reason(error: Exception) -> str:
    details = getattr(error, "details", {})
    return str(details.get("reason") or error)
