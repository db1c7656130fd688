"""The verb ``verify``: is everything there that the snapshots need, and can it be read back?

The structure is checked in this process; with ``read_data`` worker processes read the packs meanwhile. A shared lock
is enough, or none at all (:mod:`pivori.repository.check` says why), so backups go on during a long check.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, Final

from pivori.engine.quantities import Part, Percent, Size
from pivori.events import Event, Progress, Unit
from pivori.host.workers import Worker, WorkerPool
from pivori.repository import PackId, Repository
from pivori.repository.check import Check
from pivori.repository.check_findings import GONE, Finding, FindingKind, Severity, damage_of
from pivori.repository.pack_reading import PackJob, PackReader, PackReport

_FEW_BYTES: Final = 24 << 20
"""Up to this many bytes, starting workers costs more than they save."""
_LARGE_INDEX: Final = 256 << 10
"""Index objects of so many bytes mean some ten thousand blobs."""
_AHEAD: Final = 2

_PACK_DAMAGE: Final = frozenset(
    {
        FindingKind.PACK_MISSING,
        FindingKind.PACK_UNREADABLE,
        FindingKind.PACK_SIZE_WRONG,
        FindingKind.PACK_CONTENT_WRONG,
        FindingKind.PACK_HEADER_DAMAGED,
        FindingKind.PACK_INDEX_DIFFERS,
        FindingKind.PACK_BLOBS_DAMAGED,
    }
)
_INDEX_DAMAGE: Final = frozenset(
    {FindingKind.INDEX_DAMAGED, FindingKind.PACK_LACKS_INDEX, FindingKind.PACK_MISSING, FindingKind.PACK_SIZE_WRONG}
)

Subset = Part | Percent | Size


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """What to check. ``subset`` limits which packs are read, and means nothing without ``read_data``.

    ``accept_missing``: snapshots and keys that are gone were removed elsewhere, with good reason.
    """

    read_data: bool = False
    accept_missing: bool = False
    subset: Subset | None = None
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class VerifyOutcome:
    """What was found, damage first, and how much was looked at. ``packs_read`` and ``bytes_read`` are whole packs.

    ``is_first_look``: which snapshots and keys there were before was not known on this machine.
    """

    findings: tuple[Finding, ...]
    snapshots: int
    trees: int
    blobs: int
    packs: int
    packs_read: int
    bytes_read: int
    is_first_look: bool

    @property
    def damage(self) -> list[Finding]:
        """The findings that are damage."""
        return damage_of(self.findings)

    @property
    def hints(self) -> list[Finding]:
        """The findings that are not."""
        return [finding for finding in self.findings if finding.severity is Severity.HINT]

    @property
    def broken_packs(self) -> list[str]:
        """The names of damaged packs: what ``repair packs`` is for."""
        return sorted(finding.name for finding in self.findings if finding.kind in _PACK_DAMAGE)

    @property
    def has_gone(self) -> bool:
        """Whether a snapshot or a key is gone that should be there."""
        return any(finding.kind in GONE for finding in self.damage)

    @property
    def has_lost_data(self) -> bool:
        """Whether there is other damage than what is gone."""
        return any(finding.kind not in GONE for finding in self.damage)

    @property
    def needs_index_repair(self) -> bool:
        """Whether ``repair index`` would mend something."""
        return any(finding.kind in _INDEX_DAMAGE for finding in self.findings)


class Verify:
    """One run. The repository is open; its index need not be loaded."""

    def __init__(
        self,
        repository: Repository,
        request: VerifyRequest,
        *,
        emit: Callable[[Event], None],
        choose: random.Random | None = None,
    ) -> None:
        """``choose`` picks the packs of a subset that is a share or a size; without it chance does."""
        self._request = request
        self._emit = emit
        self._shareable = repository.storage.shareable
        self._choose = choose or random.SystemRandom()
        self._check = Check(repository, accept_gone=request.accept_missing)
        self._packs_read = 0
        self._bytes_read = 0
        self._packs_total: int | None = None
        self._bytes_total: int | None = None

    def run(self) -> VerifyOutcome:
        """Check everything, and note which snapshots and keys are there.

        Damage is in the outcome, never raised. Raises storage errors of listings, WorkerDied.
        """
        check = self._check
        with ExitStack() as stack:
            pool = self._early_pool(stack)
            check.load()
            reading = self._reading(stack, pool)
            for _ in check.walk():
                next(reading, None)
                self._report()
            for _ in reading:
                self._report()
        findings = check.conclude()
        check.accept()
        return VerifyOutcome(
            findings=findings,
            snapshots=len(check.snapshots),
            trees=check.tree_count,
            blobs=check.blob_count,
            packs=check.pack_count,
            packs_read=self._packs_read,
            bytes_read=self._bytes_read,
            is_first_look=not check.has_looked_before,
        )

    def _early_pool(self, stack: ExitStack) -> WorkerPool | None:
        """Worker processes that start up while the index is loaded, where it is large enough to be worth it."""
        if self._request.read_data and self._check.index_bytes() > _LARGE_INDEX:
            return self._pool(stack)
        return None

    def _pool(self, stack: ExitStack) -> WorkerPool | None:
        if self._request.workers < 2 or not self._shareable:
            return None
        return stack.enter_context(WorkerPool(self._request.workers, serve, self._check.reader))

    def _reading(self, stack: ExitStack, pool: WorkerPool | None) -> Iterator[None]:
        """Reads the packs, a little in each step, while somebody takes steps."""
        if not self._request.read_data:
            return iter(())
        sizes = self._check.pack_sizes
        chosen = chosen_packs(sizes, self._request.subset, self._choose)
        self._packs_total = len(chosen)
        self._bytes_total = sum(sizes[pack] for pack in chosen)
        jobs = self._check.read_jobs(chosen)
        if pool is None and self._bytes_total > _FEW_BYTES:
            pool = self._pool(stack)
        if pool is None:
            return self._read_alone(jobs)
        # The workers begin now, not at the first step.
        waiting = iter(jobs)
        out = {worker: self._give(worker, islice(waiting, _AHEAD)) for worker in pool.workers}
        return self._read_shared(pool, waiting, out)

    def _read_alone(self, jobs: Iterable[PackJob]) -> Iterator[None]:
        reader = self._check.reader
        for job in jobs:
            self._take(reader.examine(self._check.without_known(job)))
            yield

    def _read_shared(self, pool: WorkerPool, jobs: Iterator[PackJob], out: dict[Worker, int]) -> Iterator[None]:
        walking = True
        while any(out.values()):
            # The walk goes on between the steps: its last step is not known here, so waiting is short.
            for worker in pool.ready(0.0 if walking else 0.1):
                report: PackReport = worker.receive()
                out[worker] += self._give(worker, islice(jobs, 1)) - 1
                self._take(report)
            walking = self._check.is_walking
            yield

    def _give(self, worker: Worker, jobs: Iterable[PackJob]) -> int:
        given = 0
        for job in jobs:
            worker.send(self._check.without_known(job))
            given += 1
        return given

    def _take(self, report: PackReport) -> None:
        self._packs_read += 1
        self._bytes_read += report.size
        self._check.take(report)

    def _report(self) -> None:
        if not self._request.read_data:
            self._emit(Progress(files_done=self._check.tree_count, unit=Unit.FOLDERS))
            return
        self._emit(
            Progress(
                files_done=self._packs_read,
                files_total=self._packs_total,
                bytes_done=self._bytes_read,
                bytes_total=self._bytes_total,
                unit=Unit.PACKS,
            )
        )


def chosen_packs(sizes: dict[PackId, int], subset: Subset | None, choose: random.Random) -> list[PackId]:
    """The packs that a subset means, in the order of ``sizes``.

    A part goes by the first byte of the pack's id, as restic's does, so that all parts together are the whole; a
    share or a size is a random sample of at least one pack.
    """
    packs = list(sizes)
    if subset is None or not packs:
        return packs
    if isinstance(subset, Part):
        return [pack for pack in packs if pack[0] % subset.parts == subset.number - 1]
    share = subset.value / 100 if isinstance(subset, Percent) else subset.bytes / max(1, sum(sizes.values()))
    count = min(len(packs), max(1, round(len(packs) * share)))
    sample = set(choose.sample(packs, count))
    return [pack for pack in packs if pack in sample]


def serve(connection: "Connection[Any, Any]", reader: PackReader) -> None:
    """The inside of a worker: examine the packs that come, until the parent hangs up."""
    while True:
        connection.send(reader.examine(connection.recv()))
