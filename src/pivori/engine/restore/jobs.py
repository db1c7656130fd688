"""Who does the byte work of a restore: worker processes, or the parent alone when there is little to do."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Final

from pivori.engine.restore.writing import (
    CompareJob,
    CopyJob,
    FileWriter,
    Job,
    Manner,
    Piece,
    Result,
    WholeFile,
    WriteResult,
    serve,
)
from pivori.errors import PivoriError
from pivori.host import TargetTree
from pivori.host.workers import Worker, WorkerPool
from pivori.repository import BlobReader, Repository

_FEW_BYTES: Final = 8 << 20
_FEW_FILES: Final = 500
_AHEAD: Final = 2


class Crew:
    """Does jobs in any order. Workers are started when the first large lot of jobs comes."""

    def __init__(
        self, stack: ExitStack, repository: Repository, target: TargetTree, workers: int, manner: Manner
    ) -> None:
        self._stack = stack
        self._reader = BlobReader(repository.storage, repository.master)
        self._target = target
        self._manner = manner
        self._count = workers if repository.storage.shareable else 1
        self._pool: WorkerPool | None = None
        self._waiting: deque[Job] = deque()
        self._out: dict[Worker, int] = {}
        self._alone = FileWriter(self._reader, target, manner)

    def start(self, jobs: Iterable[Job]) -> None:
        """Begin with ``jobs``; :meth:`results` gives what comes of them. The crew is not busy when this is called."""
        listed = list(jobs)
        if self._count > 1 and self._pool is None and not _is_little(listed):
            self._pool = self._stack.enter_context(
                WorkerPool(self._count, serve, self._reader, self._target, self._manner)
            )
        self._waiting = deque(listed)
        if self._pool is not None:
            for worker in self._pool.workers * _AHEAD:
                self._give(worker)

    @property
    def is_busy(self) -> bool:
        """Whether there are results to come."""
        return bool(self._waiting) or any(self._out.values())

    def results(self, *, patiently: bool) -> Iterator[Result]:
        """What has been done meanwhile; when patient, at least one result if there are any to come."""
        if self._pool is None:
            if self._waiting:
                yield self._alone.do(self._waiting.popleft())
        elif self.is_busy:
            for worker in self._pool.ready(None if patiently else 0):
                result: Result = worker.receive()
                self._out[worker] -= 1
                self._give(worker)
                yield result

    def do(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """The results of ``jobs``, as they come."""
        self.start(jobs)
        while self.is_busy:
            yield from self.results(patiently=True)

    def write_blob(self, targets: list[WholeFile | Piece], content: bytes | PivoriError) -> WriteResult:
        """Write one blob that the parent has read itself."""
        return self._alone.write_blob(targets, content)

    def _give(self, worker: Worker) -> None:
        if self._waiting:
            worker.send(self._waiting.popleft())
            self._out[worker] = self._out.get(worker, 0) + 1


def _is_little(jobs: list[Job]) -> bool:
    files = size = 0
    for job in jobs:
        if isinstance(job, CompareJob):
            files += 1
            size += sum(length for _, length in job.blobs)
        elif isinstance(job, CopyJob):
            files += 1
            size += sum(length for _, length in job.parts)
        else:
            files += sum(map(len, job.targets))
            size += sum(blob.plain_length or blob.length for blob in job.stretch.blobs)
    return files < _FEW_FILES and size < _FEW_BYTES
