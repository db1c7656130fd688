"""The verb ``repair``: the index, packs, and snapshots, in this order; each is planned first and then applied.

The parts that know indexes and packs are :mod:`pivori.repository.repair_index` and ``repair_packs``. Snapshots are
repaired here: those that need what is lost are written again without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pivori.engine.repair_trees import Change, TreeRepair
from pivori.errors import PivoriError
from pivori.repository import (
    Intake,
    LoadedSnapshot,
    Repository,
    WriterSettings,
    edited,
)
from pivori.repository.check import Check
from pivori.repository.check_findings import FindingKind
from pivori.repository.repair_index import IndexNotSound, demand_lasting, remove_objects
from pivori.storage import DiscardingStorage, Kind, NotFound, StorageError

__all__ = [
    "IndexNotSound",
    "RepairedSnapshot",
    "SnapshotRepair",
    "SnapshotRepairOutcome",
    "SnapshotRepairRequest",
    "demand_sound_index",
]

TAG: Final = "repaired"

_INDEX_FIRST: Final = frozenset(
    {
        FindingKind.INDEX_DAMAGED,
        FindingKind.PACK_LACKS_INDEX,
        FindingKind.PACK_MISSING,
        FindingKind.PACK_INDEX_DIFFERS,
        FindingKind.PACK_SIZE_WRONG,
    }
)


@dataclass(frozen=True, kw_only=True)
class SnapshotRepairRequest:
    """Which snapshots to look at: all when ``snapshots`` is empty. With ``forget`` the broken ones are removed."""

    snapshots: Sequence[str] = ()
    forget: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class RepairedSnapshot:
    """A broken snapshot. ``new`` is the id of the one in its place: None when nothing is left, or for a dry run."""

    old: str
    new: str | None
    nothing_left: bool


@dataclass(frozen=True, kw_only=True)
class SnapshotRepairOutcome:
    """What was, or would be, done. ``unreadable`` are snapshot objects that cannot be read at all."""

    snapshots: tuple[RepairedSnapshot, ...]
    unreadable: tuple[str, ...]
    changes: tuple[Change, ...]
    checked: int
    removed: tuple[str, ...]


class SnapshotRepair:
    """One run, under an exclusive lock unless it is a dry one. Loads the index itself."""

    def __init__(
        self,
        repository: Repository,
        request: SnapshotRepairRequest,
        *,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._repository = repository
        self._request = request
        self._before_write = before_write

    def run(self) -> SnapshotRepairOutcome:
        """Mend the trees, store new snapshots, and then remove the broken ones if that is wanted.

        Raises IndexNotSound, and what loading the index raises.
        """
        demand_sound_index(self._repository)
        self._repository.load_index(None)
        loaded, unreadable = self._load()
        intake = self._intake()
        trees = TreeRepair(self._repository, lambda content: intake.add_tree(content)[0].hex())
        mended = [(snapshot, trees.mend(snapshot.snapshot.tree)) for snapshot in loaded]
        broken = [(snapshot, tree) for snapshot, tree in mended if tree != snapshot.snapshot.tree]
        if not self._request.dry_run:
            self._before_write()
        intake.flush()
        repaired = tuple(
            RepairedSnapshot(old=snapshot.id, new=self._save(snapshot, tree), nothing_left=tree is None)
            for snapshot, tree in broken
        )
        removed = self._remove([snapshot.id for snapshot, _ in broken] + unreadable)
        return SnapshotRepairOutcome(
            snapshots=repaired,
            unreadable=tuple(unreadable),
            changes=tuple(trees.changes),
            checked=len(loaded),
            removed=removed,
        )

    def _intake(self) -> Intake:
        repository = self._repository
        storage = DiscardingStorage(repository.storage) if self._request.dry_run else repository.storage
        settings = WriterSettings(master=repository.master, version=repository.version)
        before_write = (lambda: None) if self._request.dry_run else self._before_write
        return Intake(repository, settings, storage=storage, before_write=before_write)

    def _load(self) -> tuple[list[LoadedSnapshot], list[str]]:
        """The snapshots to look at, oldest first, and the names of those that cannot be read."""
        found, unreadable = [], []
        wanted = set(self._request.snapshots)
        for name in sorted(item.name for item in self._repository.storage.list(Kind.SNAPSHOT)):
            if wanted and name not in wanted:
                continue
            try:
                found.append(self._repository.load_snapshot(name))
            except NotFound:
                continue
            except StorageError as error:
                demand_lasting(error)
                unreadable.append(name)
            except PivoriError:
                unreadable.append(name)
        return sorted(found, key=lambda loaded: (loaded.time_ns, loaded.id)), unreadable

    def _save(self, loaded: LoadedSnapshot, tree: str | None) -> str | None:
        if tree is None or self._request.dry_run:
            return None
        self._before_write()
        tags = [*loaded.snapshot.tags, *([] if TAG in loaded.snapshot.tags else [TAG])]
        return self._repository.save_snapshot(edited(loaded, tree=tree, tags=tags))

    def _remove(self, names: list[str]) -> tuple[str, ...]:
        if not self._request.forget:
            return ()
        if not self._request.dry_run:
            remove_objects(self._repository, Kind.SNAPSHOT, names, self._before_write)
        return tuple(names)


def demand_sound_index(repository: Repository) -> None:
    """Make sure that the index tells the truth about the packs. Raises IndexNotSound."""
    check = Check(repository)
    check.load()
    for _ in check.walk():
        pass
    for finding in check.conclude():
        if finding.kind in _INDEX_FIRST:
            raise IndexNotSound(object=finding.object)
