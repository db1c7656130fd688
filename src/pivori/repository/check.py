"""Checking a repository: every object that is there, everything the snapshots need, and what is hurt when it is not.

The order is that of every reader: snapshots, then indexes, then packs; so a backup that runs at the same time cannot
look like damage. What it has stored and not yet indexed is a hint at most. Prune and repair take objects away, and
need an exclusive lock for it: a shared one is enough for a check.
"""

from collections.abc import Callable, Iterable, Iterator

from pivori.errors import PivoriError
from pivori.repository.check_findings import GONE, Finding, FindingKind, Findings
from pivori.repository.check_packs import PackCheck
from pivori.repository.check_trees import TreeWalk
from pivori.repository.check_usage import hurt_by
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.keys import decode_key_object, load_key_object
from pivori.repository.last_seen import Record, SeenKey, SeenSnapshot
from pivori.repository.lock_files import LockDamaged, list_locks
from pivori.repository.pack_reading import PackJob, PackReader, PackReport
from pivori.repository.repository import Repository, seen_snapshot
from pivori.repository.selection import LoadedSnapshot
from pivori.storage import Kind, NotFound


class Check:
    """One check of an opened repository; its index need not be loaded.

    Call, in this order: :meth:`load`, then :meth:`read_jobs` (their reports go to :meth:`take`) beside
    :meth:`walk`, at last :meth:`conclude` and :meth:`accept`.
    """

    def __init__(self, repository: Repository, *, accept_gone: bool = False) -> None:
        """With ``accept_gone`` snapshots and keys may be gone without us: then that is no more than a hint."""
        self._repository = repository
        self._accept_gone = accept_gone
        self._findings = Findings(GONE if accept_gone else ())
        self._packs = PackCheck(repository, self._findings)
        self._walk: TreeWalk | None = None
        self.snapshots: list[LoadedSnapshot] = []
        self._before: Record | None = None
        self._present = Record()

    def index_bytes(self) -> int:
        """The size of all index objects: a first measure of how much there is to do."""
        return sum(item.size for item in self._repository.storage.list(Kind.INDEX))

    def load(self) -> None:
        """Load everything but packs: keys, locks, snapshots, indexes. Raises the storage's error for a listing.

        Which snapshots and keys are there is noted for the next check.
        """
        # What is stored after this was read, and noted there, is no loss.
        self._before = self._repository.last_seen.read()
        self._check_keys()
        self._check_locks()
        self._load_snapshots()
        # At once: what another command strikes off while this check goes on stays struck off.
        self._repository.last_seen.learn(self._present, before=self._before or Record())
        self._packs.load()
        self._walk = TreeWalk(self._repository, self._packs, self._findings)

    @property
    def pack_sizes(self) -> dict[PackId, int]:
        """The indexed packs that are there, with their sizes in bytes, in the order of their ids."""
        return {pack: self._packs.sizes[pack] for pack in self._packs.readable_packs()}

    @property
    def pack_count(self) -> int:
        """How many packs are stored."""
        return len(self._packs.sizes)

    @property
    def blob_count(self) -> int:
        """How many blobs are indexed."""
        return self._packs.table.count

    @property
    def tree_count(self) -> int:
        """How many trees were visited so far."""
        return self._walk.trees if self._walk is not None else 0

    @property
    def is_walking(self) -> bool:
        """Whether there are trees left to visit."""
        return self._walk is not None and self._walk.is_walking

    @property
    def reader(self) -> PackReader:
        """What reads packs; a pickled copy does so in another process."""
        return PackReader(self._repository.storage, self._repository.master)

    def read_jobs(self, packs: Iterable[PackId]) -> list[PackJob]:
        """The jobs for a :class:`PackReader` that read these packs; packs with trees come last."""
        jobs = self._packs.read_jobs(packs)
        return sorted(jobs, key=_has_trees)

    def without_known(self, job: PackJob) -> PackJob:
        """The job without the trees that the walk has read from this very pack by now."""
        if self._walk is None or not _has_trees(job):
            return job
        known, find = set(), self._packs.index.find
        for blob, kind, offset, _, _ in job.entries():
            if kind == BlobKind.TREE and self._walk.was_read(BlobId(blob)):
                location = find(BlobKind.TREE, BlobId(blob))
                if location is not None and (location.pack, location.offset) == (job.pack, offset):
                    known.add(offset)
        return job._replace(known=frozenset(known))

    def take(self, report: PackReport) -> None:
        """Add what a :class:`PackReader` has found."""
        self._packs.take(report)

    def walk(self) -> Iterator[None]:
        """Visit every tree of every snapshot, in steps of some milliseconds."""
        assert self._walk is not None  # noqa: S101 - load comes first
        return self._walk.steps(tree for _, tree in self._roots())

    def conclude(self) -> tuple[Finding, ...]:
        """Everything that was found, damage first, each with the snapshots and files that it hurts."""
        assert self._walk is not None  # noqa: S101 - load comes first
        self._add_gone()
        self._packs.conclude()
        self._walk.conclude()
        return self._findings.finished(hurt_by(self._findings, self._roots(), self._walk.read_raw))

    def _roots(self) -> list[tuple[str, BlobId]]:
        return [(loaded.id, BlobId(bytes.fromhex(loaded.snapshot.tree))) for loaded in self.snapshots]

    def accept(self) -> None:
        """Strike off what is gone, when that is accepted; until then every check misses it."""
        if self._accept_gone:
            gone = self._gone()
            self._repository.last_seen.strike([*gone.snapshots, *gone.keys])

    @property
    def has_looked_before(self) -> bool:
        """Whether this machine knew which snapshots and keys to expect."""
        return self._before is not None

    def _add_gone(self) -> None:
        gone = self._gone()
        for name, snapshot in gone.snapshots.items():
            folder, reason = Kind.SNAPSHOT.value, snapshot.description
            self._findings.add(FindingKind.SNAPSHOT_GONE, folder, name, reason, snapshots=(name,))
        for name, key in gone.keys.items():
            self._findings.add(FindingKind.KEY_GONE, Kind.KEY.value, name, key.description)

    def _gone(self) -> Record:
        """What was known before, is known still (nobody here has removed it meanwhile), and is not there."""
        before, now = self._before or Record(), self._repository.last_seen.read() or Record()
        gone = Record(
            {name: each for name, each in before.snapshots.items() if name in now.snapshots},
            {name: each for name, each in before.keys.items() if name in now.keys},
        )
        gone.strike([*self._present.snapshots, *self._present.keys])
        return gone

    def _check_keys(self) -> None:
        for name in self._names(Kind.KEY):
            self._present.keys[name] = SeenKey()
            self._try(FindingKind.KEY_DAMAGED, Kind.KEY, name, self._load_key)

    def _load_key(self, name: str) -> None:
        key = decode_key_object(name, load_key_object(self._repository.storage, name))
        self._present.keys[name] = SeenKey(key.created, key.hostname, key.username)

    def _check_locks(self) -> None:
        for info in list_locks(self._repository.objects):
            if isinstance(info.content, LockDamaged):
                reason = str(info.content.details["reason"])
                self._findings.add(FindingKind.LOCK_DAMAGED, Kind.LOCK.value, info.name, reason)

    def _load_snapshots(self) -> None:
        for name in self._names(Kind.SNAPSHOT):
            self._present.snapshots[name] = SeenSnapshot()
            self._try(FindingKind.SNAPSHOT_DAMAGED, Kind.SNAPSHOT, name, self._load_snapshot)
        self.snapshots.sort(key=lambda loaded: (loaded.time_ns, loaded.id))

    def _load_snapshot(self, name: str) -> None:
        loaded = self._repository.load_snapshot(name)
        self.snapshots.append(loaded)
        self._present.snapshots[name] = seen_snapshot(loaded.snapshot)

    def _names(self, kind: Kind) -> list[str]:
        return sorted(item.name for item in self._repository.storage.list(kind))

    def _try(self, finding: FindingKind, kind: Kind, name: str, read: Callable[[str], object]) -> None:
        try:
            read(name)
        except NotFound:
            # Removed since the listing.
            self._present.strike([name])
        except PivoriError as error:
            reason = str(error.details.get("reason") or error)
            hurt = (name,) if kind is Kind.SNAPSHOT else ()
            self._findings.add(finding, kind.value, name, reason, snapshots=hurt)


def _has_trees(job: PackJob) -> bool:
    """Whether the first of the blobs is a tree: only very old packs hold both kinds."""
    return bool(job.rows) and job.entries()[0][1] == BlobKind.TREE
