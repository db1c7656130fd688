"""Freeing what no snapshot needs: plan first, then apply.

The plan reads everything it rests on (all snapshots, all trees below them, all index objects, the list of packs) and
refuses when any of it cannot be read, or when a pack with needed blobs is missing or has another size than the index
says: what is not understood is never removed.

Applying it, under an exclusive lock, goes in this order, and an end at any point leaves a good repository:

1. Packs that no index lists are removed: leftovers of interrupted work. Nothing can refer to them.
2. Needed blobs are copied out of the packs that go (:mod:`pivori.repository.repack`). New packs are made durable
   before anything lists them. An end here leaves packs that no index lists, and maybe some blobs twice.
3. New index objects are stored. Old and new ones now stand side by side; all packs that any of them lists are there.
4. The old index objects are removed, and that is made durable: until here nothing was taken away that is listed.
5. The packs that nothing lists any more are removed. An end here leaves leftovers for the next step 1.

The next prune begins with what it finds; there is no state of its own to resume from.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from pivori.errors import PivoriError
from pivori.events import DamageFound, Event, Progress, Unit
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.index_rewrite import IndexSurvey, IndexWriter, rewrite_indexes, survey_indexes
from pivori.repository.pack import PackedBlob, packed_size
from pivori.repository.prune_plan import PackChoice, PackUse, PruneLimits, choose_packs
from pivori.repository.reach import Reach, group_rows
from pivori.repository.repack import SAFE, TO_CHECK, TO_COPY, UNUSED, Repacking
from pivori.repository.repository import Repository
from pivori.repository.table import Table
from pivori.repository.writer import BlobWriter, WriterSettings
from pivori.storage import Kind, NotFound, Storage
from pivori.translation import N_, Phrase

_DELETIONS_PER_CHECK = 64
_EMPTY_PACK = packed_size([])
_PLAIN_ENTRY, _COMPRESSED_ENTRY = (
    packed_size([PackedBlob(BlobKind.DATA, BlobId(b""), 0, 0, plain)]) - _EMPTY_PACK for plain in (0, 1)
)


class PackUnsound(PivoriError):
    """A pack with needed blobs is not there, or has another size than the index says."""

    code = "pack-unsound"
    message = N_("The pack {pack} is needed, but {reason}; nothing was removed.")
    hint = N_("Run `pivori verify` to learn what is hurt, then `pivori repair index` or `pivori repair packs`.")


class IndexChanged(PivoriError):
    """The index objects are not those that were loaded."""

    code = "index-changed"
    message = N_("The index changed while it was being looked at; nothing was removed.")
    hint = N_("Run the command again.")


class NeededBlobUnsaved(PivoriError):
    """A blob that had to be copied was not met in any pack: the index in memory and in the storage differ."""

    code = "needed-blob-unsaved"
    message = N_("{count} needed blobs could not be found in their packs; nothing was removed.")
    hint = N_("Run `pivori repair index`, then prune again.")


@dataclass(kw_only=True)
class PruneFigures:
    """What a prune finds and does. Bytes are those of stored blobs, without the headers of packs.

    ``needed`` counts each needed blob once; ``duplicate`` its further copies; ``unused`` what no snapshot needs.
    ``repacked`` is what is copied into new packs, ``removed`` what there is less of afterwards; of what ``remains``,
    ``unused_remains`` is waste (unused blobs and duplicates). ``bytes_unindexed`` is the size of whole packs.
    """

    snapshots: int = 0
    blobs_needed: int = 0
    bytes_needed: int = 0
    blobs_duplicate: int = 0
    bytes_duplicate: int = 0
    blobs_unused: int = 0
    bytes_unused: int = 0
    packs_kept: int = 0
    packs_repacked: int = 0
    packs_removed: int = 0
    packs_unindexed: int = 0
    bytes_unindexed: int = 0
    blobs_repacked: int = 0
    bytes_repacked: int = 0
    blobs_remain: int = 0
    bytes_remain: int = 0
    bytes_unused_remain: int = 0

    @property
    def blobs_removed(self) -> int:
        """The blobs there are less afterwards."""
        return self.blobs_needed + self.blobs_duplicate + self.blobs_unused - self.blobs_remain

    @property
    def bytes_removed(self) -> int:
        """The bytes there are less afterwards, leftover packs not counted."""
        return self.bytes_needed + self.bytes_duplicate + self.bytes_unused - self.bytes_remain


@dataclass(frozen=True, kw_only=True)
class PrunePlan:
    """What is about to happen. It holds as long as the lock under which it was made."""

    figures: PruneFigures
    remove: frozenset[PackId]
    """Packs without a needed blob."""
    repack: frozenset[PackId]
    """Packs whose needed blobs are copied before they go."""
    unindexed: tuple[str, ...]
    """Names of packs that no index lists."""
    pack_size: int
    survey: IndexSurvey = field(repr=False)
    reach: Reach = field(repr=False)

    @property
    def changes_anything(self) -> bool:
        """Whether applying the plan removes a pack."""
        return bool(self.remove or self.repack or self.unindexed)


@dataclass(frozen=True, kw_only=True)
class PruneOutcome:
    """What came of it. ``retained`` are names of packs that stayed because of damage in them."""

    retained: tuple[str, ...]
    leftovers: int
    """Temporary files of interrupted writes that were removed."""


def plan_prune(
    repository: Repository,
    limits: PruneLimits,
    *,
    ignore: Collection[str] = (),
    emit: Callable[[Event], None] = lambda _: None,
) -> PrunePlan:
    """Look at everything and decide. The index is loaded, without tolerance for damage.

    ``ignore`` names snapshots that count as gone already. Raises SnapshotDamaged, TreeDamaged, BlobMissing,
    BlobDamaged, IndexDamaged, ObjectDamaged, PackUnsound, IndexChanged and storage errors.
    """
    names = [item.name for item in repository.storage.list(Kind.SNAPSHOT) if item.name not in ignore]
    snapshots = repository.snapshots(names=names)
    survey = survey_indexes(repository)
    reach = Reach(repository)
    _demand_same_index(reach.table, survey)
    reach.mark_snapshots(snapshots, lambda trees: emit(Progress(files_done=trees, unit=Unit.FOLDERS)))
    stored = {PackId(bytes.fromhex(item.name)): item.size for item in repository.storage.list(Kind.PACK)}
    packs, figures = _uses(reach, stored)
    choice = choose_packs(packs, limits)
    unindexed = sorted(stored.keys() - survey.all_packs())
    figures.snapshots = len(snapshots)
    figures.packs_unindexed = len(unindexed)
    figures.bytes_unindexed = sum(stored[pack] for pack in unindexed)
    _settle(reach, packs, choice, figures)
    return PrunePlan(
        figures=figures,
        remove=choice.remove,
        repack=choice.repack,
        unindexed=tuple(pack.hex() for pack in unindexed),
        pack_size=limits.pack_size,
        survey=survey,
        reach=reach,
    )


def _demand_same_index(table: Table, survey: IndexSurvey) -> None:
    """The index in memory has to be that of the storage: what it does not know would look like a leftover."""
    loaded = {table.pack(number) for number in range(table.pack_count)}
    if loaded != survey.all_packs() or {source.hex() for source in table.sources} != survey.blob_counts.keys():
        raise IndexChanged


def _uses(reach: Reach, stored: dict[PackId, int]) -> tuple[list[PackUse], PruneFigures]:
    """What each pack is used for; of a blob that is stored more than once, one copy counts as needed.

    That is the one in a sound pack with the most that is needed besides: so the others may become empty.
    """
    table, marks, figures = reach.table, reach.marks, PruneFigures()
    packs = [PackUse(table.pack(number)) for number in range(table.pack_count)]
    sizes = [_EMPTY_PACK] * len(packs)
    for row, kind, copies in group_rows(table):
        for pack, length, plain_length in copies:
            sizes[pack] += length + (_COMPRESSED_ENTRY if plain_length else _PLAIN_ENTRY)
            if kind:
                packs[pack].has_trees = True
            else:
                packs[pack].has_data = True
        if not marks[row]:
            _count_unused(packs, copies)
            figures.blobs_unused += len(copies)
            figures.bytes_unused += sum(length for _, length, _ in copies)
        elif len(copies) == 1:
            pack, length, _ = copies[0]
            packs[pack].needed_blobs += 1
            packs[pack].needed_bytes += length
    found = ((number, _fault(stored.get(pack.id), sizes[number])) for number, pack in enumerate(packs))
    faults = {number: fault for number, fault in found if fault}
    for row, _, copies in group_rows(table):
        if marks[row] and len(copies) > 1:
            _count_duplicates(packs, copies, faults, figures)
    figures.blobs_needed = len(marks) - marks.count(UNUSED)
    figures.bytes_needed = sum(pack.needed_bytes for pack in packs)
    for number, fault in faults.items():
        if packs[number].needed_blobs:
            raise PackUnsound(pack=packs[number].id.hex(), reason=fault)
    return packs, figures


def _count_unused(packs: list[PackUse], copies: Iterable[tuple[int, int, int]]) -> None:
    for pack, length, _ in copies:
        packs[pack].unused_blobs += 1
        packs[pack].unused_bytes += length


def _count_duplicates(
    packs: list[PackUse], copies: list[tuple[int, int, int]], faults: Collection[int], figures: PruneFigures
) -> None:
    best = max(copies, key=lambda copy: (copy[0] not in faults, packs[copy[0]].needed_bytes, packs[copy[0]].id))
    others = [copy for copy in copies if copy is not best]
    packs[best[0]].needed_blobs += 1
    packs[best[0]].needed_bytes += best[1]
    _count_unused(packs, others)
    figures.blobs_duplicate += len(others)
    figures.bytes_duplicate += sum(length for _, length, _ in others)


def _fault(stored: int | None, expected: int) -> str:
    """What is wrong with a pack, as far as its size tells; empty when nothing is."""
    if stored is None:
        return N_("it is missing")
    if stored == expected:
        return ""
    return Phrase(N_("its size is {size} bytes instead of {expected}"), size=stored, expected=expected)


def _settle(reach: Reach, packs: list[PackUse], choice: PackChoice, figures: PruneFigures) -> None:
    """Turn the marks into what is to be done with each blob, and count what will be."""
    marks = reach.marks
    stays = [pack.id not in choice.remove and pack.id not in choice.repack for pack in packs]
    figures.packs_kept = sum(stays)
    figures.packs_repacked, figures.packs_removed = len(choice.repack), len(choice.remove)
    for row, _, copies in group_rows(reach.table):
        staying = [length for pack, length, _ in copies if stays[pack]]
        figures.blobs_remain += len(staying)
        figures.bytes_remain += sum(staying)
        if not marks[row]:
            figures.bytes_unused_remain += sum(staying)
        elif staying:
            figures.bytes_unused_remain += sum(staying[1:])
            marks[row] = SAFE if len(staying) == len(copies) else TO_CHECK
        else:
            marks[row] = TO_COPY
            figures.blobs_repacked += 1
            figures.bytes_repacked += _copied_length(packs, choice, copies)
    figures.blobs_remain += figures.blobs_repacked
    figures.bytes_remain += figures.bytes_repacked


def _copied_length(packs: list[PackUse], choice: PackChoice, copies: list[tuple[int, int, int]]) -> int:
    """The length of the copy that repacking takes when all copies go."""
    return min((packs[pack].id, length) for pack, length, _ in copies if packs[pack].id in choice.repack)[1]


def apply_prune(
    repository: Repository,
    plan: PrunePlan,
    *,
    before_write: Callable[[], None] = lambda: None,
    emit: Callable[[Event], None] = lambda _: None,
) -> PruneOutcome:
    """Carry out a plan under the exclusive lock it was made under. The loaded index is out of date afterwards.

    ``before_write`` is called before whatever writes or removes: the place to make sure that the lock still holds.
    Raises NeededBlobUnsaved and storage errors; nothing that is listed was removed then.
    """
    before_write()
    leftovers = _remove_leftovers(repository.storage)
    _delete(repository.storage, Kind.PACK, plan.unindexed, before_write)
    gone = plan.remove | plan.repack
    indexes = IndexWriter(repository.objects, before_write)
    retained = _copy_needed(repository, plan, gone, indexes, before_write, emit)
    gone -= retained
    replaced = rewrite_indexes(repository, plan.survey, gone, indexes)
    repository.storage.sync()
    _delete(repository.storage, Kind.INDEX, replaced, before_write)
    _delete(repository.storage, Kind.PACK, sorted(pack.hex() for pack in gone), before_write)
    return PruneOutcome(retained=tuple(sorted(pack.hex() for pack in retained)), leftovers=leftovers)


def _copy_needed(
    repository: Repository,
    plan: PrunePlan,
    gone: Collection[PackId],
    indexes: IndexWriter,
    before_write: Callable[[], None],
    emit: Callable[[Event], None],
) -> frozenset[PackId]:
    """Bring every needed blob to safety; returns the packs that must not go after all."""
    settings = WriterSettings(master=repository.master, version=repository.version, pack_size=plan.pack_size)
    writer = BlobWriter(repository.storage, settings, indexes.add_header)
    done = 0

    def step(size: int) -> None:
        nonlocal done
        done += size
        before_write()
        total = plan.figures.bytes_repacked
        emit(Progress(bytes_done=min(done, total), bytes_total=total, unit=Unit.NOTHING))

    repacking = Repacking(
        repository,
        plan.reach,
        plan.repack,
        gone,
        writer,
        report=lambda error: emit(DamageFound(error=error)),
        step=step,
    )
    repacking.run(plan.survey.packs)
    unsaved = plan.reach.marks.count(TO_COPY) + plan.reach.marks.count(TO_CHECK)
    if unsaved:
        raise NeededBlobUnsaved(count=unsaved)
    writer.flush()
    return frozenset(repacking.retained)


def _delete(storage: Storage, kind: Kind, names: Iterable[str], before_write: Callable[[], None]) -> None:
    """Remove objects and make that durable. One that is gone already is as good as removed."""
    removed = False
    for number, name in enumerate(names):
        if number % _DELETIONS_PER_CHECK == 0:
            before_write()
        try:
            storage.delete(kind, name)
        except NotFound:
            continue
        removed = True
    if removed:
        storage.sync()


def _remove_leftovers(storage: Storage) -> int:
    """Remove temporary files of interrupted writes, on a medium that has such."""
    for layer in _layers(storage):
        remove: Callable[[], int] | None = getattr(layer, "remove_leftovers", None)
        if remove is not None:
            return remove()
    return 0


def _layers(storage: object) -> Iterator[object]:
    """A storage and those it is wrapped around."""
    while storage is not None:
        yield storage
        storage = getattr(storage, "inner", None)
