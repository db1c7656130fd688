"""The verb ``copy``: snapshots of one repository into another one, which has keys of its own.

Trees are copied byte for byte, so that every id stays what it is; data blobs are read in the order in which they lie in
the packs, checked, and sealed for the other repository, by worker processes when there is much to do. Blobs that the
second repository has already are not read. Files that the other repository's own backups cut in another way are stored
beside those copied: the two are not compared.

A copied snapshot remembers under ``original`` where it comes from, and has no parent. As in restic, a snapshot counts
as copied when the second repository has one with the same original, time, tree, host, user, paths, excludes and tags.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import msgspec

from pivori.engine.copy_work import Crew
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event, Progress, Unit
from pivori.repository import (
    BlobDamaged,
    BlobId,
    BlobKind,
    BlobMissing,
    BlobUnreadable,
    Compression,
    Intake,
    LoadedSnapshot,
    PackId,
    Repository,
    Snapshot,
    Stretch,
    TreeDamaged,
    WantedBlob,
    WriterSettings,
    stretches,
    tree_id,
)
from pivori.repository.reach import Reach
from pivori.translation import N_

_BLOBS_AT_ONCE: Final = 50_000
_BYTES_PER_FLUSH: Final = 1 << 30
_DAMAGE: Final = (BlobDamaged, BlobMissing, BlobUnreadable, TreeDamaged)


class SameRepository(PivoriError):
    """Source and destination are one repository."""

    code = "same-repository"
    message = N_("{location} is the repository to copy from and to copy to.")
    hint = N_("Name another repository with --to.")
    exit_status = 2


@dataclass(frozen=True)
class CopyPlan:
    """What is to be copied, oldest first, and what the second repository has already."""

    copy: tuple[LoadedSnapshot, ...]
    skip: tuple[LoadedSnapshot, ...]


@dataclass(frozen=True, kw_only=True)
class CopiedSnapshot:
    """A snapshot of the first repository and the id of its copy in the second one."""

    source_id: str
    id: str


@dataclass(frozen=True, kw_only=True)
class CopyOutcome:
    """What came of it. ``failed`` are ids of snapshots that could not be copied because something they need is damaged.

    ``bytes_added`` is what the new blobs take in the second repository.
    """

    copied: tuple[CopiedSnapshot, ...]
    failed: tuple[str, ...]
    data_blobs: int
    tree_blobs: int
    bytes_added: int


def plan_copy(wanted: Iterable[LoadedSnapshot], present: Iterable[LoadedSnapshot]) -> CopyPlan:
    """Decide which of the ``wanted`` snapshots are not among those ``present`` in the second repository."""
    known: dict[str, list[LoadedSnapshot]] = defaultdict(list)
    for loaded in present:
        known[loaded.id].append(loaded)
        if loaded.snapshot.original is not None:
            known[loaded.snapshot.original].append(loaded)
    copy: list[LoadedSnapshot] = []
    skip: list[LoadedSnapshot] = []
    for loaded in sorted(wanted, key=lambda each: (each.time_ns, each.id)):
        origin = loaded.snapshot.original or loaded.id
        there = any(_is_similar(loaded, other) for other in known.get(origin, ()))
        (skip if there else copy).append(loaded)
    return CopyPlan(tuple(copy), tuple(skip))


def _is_similar(one: LoadedSnapshot, other: LoadedSnapshot) -> bool:
    return one.time_ns == other.time_ns and _comparable(one.snapshot) == _comparable(other.snapshot)


def _comparable(snapshot: Snapshot) -> tuple[object, ...]:
    """All but the time, parent and original, and what says nothing of what was backed up."""
    who = (snapshot.hostname, snapshot.username, snapshot.uid, snapshot.gid)
    return snapshot.tree, who, snapshot.paths, snapshot.excludes, snapshot.tags


class Copy:
    """One run. Make it, then :meth:`run` it once; both indexes are loaded, both repositories are locked."""

    def __init__(
        self,
        source: Repository,
        destination: Repository,
        *,
        compression: Compression = Compression.AUTO,
        workers: int = 1,
        emit: Callable[[Event], None] = lambda _: None,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        """``before_write`` is called before anything is stored that is seen. Raises SameRepository."""
        if source.id == destination.id:
            raise SameRepository(location=destination.storage.location)
        self._source = source
        self._destination = destination
        self._settings = WriterSettings(master=destination.master, version=destination.version, compression=compression)
        self._workers = workers
        self._emit = emit
        self._before_write = before_write
        self._copied: list[CopiedSnapshot] = []
        self._failed: list[str] = []
        self._counts = [0, 0, 0]
        self._bytes_read = 0
        self._done = self._total = 0

    def run(self, snapshots: Sequence[LoadedSnapshot]) -> CopyOutcome:
        """Copy the snapshots, in their order. Damage costs the snapshots that it hurts; the others are copied.

        Raises storage errors and WorkerDied; what was stored until then is found by the next run.
        """
        self._total = len(snapshots)
        left = list(snapshots)
        while left:
            left = self._copy_until_damage(left)
        return CopyOutcome(
            copied=tuple(self._copied),
            failed=tuple(self._failed),
            data_blobs=self._counts[0],
            tree_blobs=self._counts[1],
            bytes_added=self._counts[2],
        )

    def _copy_until_damage(self, snapshots: list[LoadedSnapshot]) -> list[LoadedSnapshot]:
        """Copy until all is done or something is damaged; returns what is left.

        After damage, what the intake has promised to store and did not would count as stored: it is made anew.
        """
        intake = Intake(self._destination, self._settings, before_write=self._before_write)
        reach = Reach(self._source)
        waiting: list[LoadedSnapshot] = []
        left = list(snapshots)
        with ExitStack() as stack:
            crew = Crew(stack, self._source, self._destination.storage, intake, self._workers)
            while left:
                loaded = left.pop(0)
                try:
                    self._copy_contents(loaded, reach, intake, crew)
                except _DAMAGE as error:
                    self._failed.append(loaded.id)
                    self._emit(DamageFound(error=error))
                    break
                waiting.append(loaded)
                if crew.bytes_given >= _BYTES_PER_FLUSH:
                    self._save(waiting, intake, crew)
            self._save(waiting, intake, crew)
            crew.finish()
        counts = (intake.new_data_blobs, intake.new_tree_blobs, intake.stored_bytes)
        self._counts = [total + count for total, count in zip(self._counts, counts, strict=True)]
        return left

    def _copy_contents(self, loaded: LoadedSnapshot, reach: Reach, intake: Intake, crew: Crew) -> None:
        """Store every blob of a snapshot that is not there."""
        lacking: list[str] = []
        for _, content, data in reach.trees([tree_id(loaded.snapshot.tree)]):
            intake.add_tree(content)
            lacking += self._lacking(data, reach, intake)
            if len(lacking) >= _BLOBS_AT_ONCE:
                self._copy_data(lacking, crew)
                lacking = []
        self._copy_data(lacking, crew)
        crew.settle()

    def _lacking(self, data: list[str], reach: Reach, intake: Intake) -> list[str]:
        """The data blobs of one tree that are to be copied, each named once."""
        fresh = [name for name in data if reach.mark(BlobKind.DATA, BlobId(bytes.fromhex(name)))]
        flags = intake.claim(bytes.fromhex("".join(fresh)))
        return [name for name, new in zip(fresh, flags, strict=True) if new]

    def _copy_data(self, names: list[str], crew: Crew) -> None:
        for stretch in self._stretches(names):
            crew.give(stretch)
            self._bytes_read += stretch.length
            self._report()

    def _stretches(self, names: list[str]) -> Iterable[Stretch]:
        """The reads that bring the blobs, pack by pack."""
        packs: dict[PackId, list[WantedBlob]] = defaultdict(list)
        for name in names:
            blob = BlobId(bytes.fromhex(name))
            place = self._source.index.find(BlobKind.DATA, blob)
            if place is None:
                raise BlobMissing(kind=BlobKind.DATA.word, id=name)
            packs[place.pack].append(WantedBlob(blob, place.offset, place.length, place.plain_length))
        for pack in sorted(packs):
            yield from stretches(pack, packs[pack])

    def _save(self, waiting: list[LoadedSnapshot], intake: Intake, crew: Crew) -> None:
        """Make everything durable and listed, then store the snapshots that needed it."""
        crew.flush()
        self._before_write()
        intake.flush()
        sources = iter(waiting)

        def saved(name: str) -> None:
            self._copied.append(CopiedSnapshot(source_id=next(sources).id, id=name))
            self._done += 1
            self._report()

        self._destination.save_snapshots(map(self._copy_of, waiting), saved=saved)
        waiting.clear()

    def _copy_of(self, loaded: LoadedSnapshot) -> Snapshot:
        """The snapshot that is about to be stored in the other repository."""
        self._before_write()
        return msgspec.structs.replace(loaded.snapshot, parent=None, original=loaded.snapshot.original or loaded.id)

    def _report(self) -> None:
        done, total, size = self._done, self._total, self._bytes_read
        self._emit(Progress(files_done=done, files_total=total, bytes_done=size, unit=Unit.SNAPSHOTS))
