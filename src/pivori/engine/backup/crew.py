"""Who does the byte work of a backup: worker processes, or the parent alone when there is little to do.

Messages from the parent: ``("files", tasks)``, ``("segment", task)``, ``("known", flags)`` as the answer to a claim,
``("finish",)``. From a worker: ``("claim", ids)``, ``("files", result)``, ``("segment", result)``,
``("pack", id, header)``, ``("finished",)``.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

from pivori.engine.backup.reading import (
    BatchResult,
    BlobGroup,
    FileReader,
    FileTask,
    SegmentResult,
    SegmentTask,
)
from pivori.host.workers import Worker, WorkerPool
from pivori.repository import BlobWriter, Intake, WriterSettings
from pivori.storage import Storage

if TYPE_CHECKING:
    # A backup without workers never loads it; see pivori.host.workers.
    from multiprocessing.connection import Connection

Task = list[FileTask] | SegmentTask
Result = BatchResult | SegmentResult

_AHEAD: Final = 2
"""Tasks given to a worker before it is done with the first: it never waits for the next."""


class Crew(Protocol):
    """Takes tasks, gives results in any order."""

    def has_room(self) -> bool:
        """Whether another task can be given now."""
        ...

    def give(self, task: Task) -> None:
        """Hand a task out."""
        ...

    def results(self, *, patiently: bool) -> Iterator[Result]:
        """What has been done meanwhile; waits for something when patient and tasks are out."""
        ...

    def is_idle(self) -> bool:
        """Whether no task is out."""
        ...

    def finish(self) -> None:
        """Let everything be stored and reported to the intake."""
        ...


class Alone:
    """The parent does the work itself, task by task."""

    def __init__(self, intake: Intake, *, with_atime: bool) -> None:
        self._reader = FileReader(BlobGroup.into(intake), intake.writer, with_atime=with_atime)
        self._done: list[Result] = []

    def has_room(self) -> bool:
        """Always: the work is done at once."""
        return not self._done

    def give(self, task: Task) -> None:
        """Do the task."""
        if isinstance(task, SegmentTask):
            self._done.append(self._reader.read_segment(task))
        else:
            self._done.append(self._reader.read(task))

    def results(self, *, patiently: bool) -> Iterator[Result]:
        """The result of the task given last."""
        done, self._done = self._done, []
        return iter(done)

    def is_idle(self) -> bool:
        """Whether the last result was taken."""
        return not self._done

    def finish(self) -> None:
        """Store what waits for its answer; the intake's own writer holds the rest."""
        self._reader.finish()


class Workers:
    """Worker processes do the work. Close it by leaving the ``with`` of ``pool``."""

    def __init__(self, pool: WorkerPool, intake: Intake) -> None:
        self._pool = pool
        self._intake = intake
        self._out: dict[Worker, int] = dict.fromkeys(pool.workers, 0)
        self._finished = 0

    def has_room(self) -> bool:
        """Whether some worker has less than two tasks."""
        return min(self._out.values()) < _AHEAD

    def give(self, task: Task) -> None:
        """Hand a task to the worker that has least to do."""
        worker = min(self._out, key=lambda candidate: self._out[candidate])
        worker.send(("segment" if isinstance(task, SegmentTask) else "files", task))
        self._out[worker] += 1

    def is_idle(self) -> bool:
        """Whether no task is out."""
        return not any(self._out.values())

    def results(self, *, patiently: bool) -> Iterator[Result]:
        """Attend to every worker that has something to say."""
        timeout = None if patiently and not self.is_idle() else 0.0
        for worker in self._pool.ready(timeout):
            result = self._attend(worker)
            if result is not None:
                yield result

    def finish(self) -> None:
        """Let the workers store their last packs and leave."""
        for worker in self._out:
            worker.send(("finish",))
        while self._finished < len(self._out):
            for worker in self._pool.ready(None):
                self._attend(worker)

    def _attend(self, worker: Worker) -> Result | None:
        kind, *content = worker.receive()
        if kind == "claim":
            worker.send(("known", self._intake.claim(content[0])))
        elif kind == "pack":
            self._intake.record_pack(*content)
        elif kind == "finished":
            self._finished += 1
            self._pool.release(worker)
        else:
            self._out[worker] -= 1
            result: Result = content[0]
            return result
        return None


class _Mailbox:
    """A worker's end of the connection: answers to claims and tasks come mixed, and are taken apart."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self.send = connection.send
        self._receive = connection.recv
        self._tasks: deque[tuple[Any, ...]] = deque()
        self._answers: deque[bytes] = deque()

    def claim(self, ids: bytes) -> Callable[[], bytes]:
        """Ask which blobs are new; the answer is waited for when it is wanted."""
        self.send(("claim", ids))
        return self._answer

    def _answer(self) -> bytes:
        while not self._answers:
            self._sort_in()
        return self._answers.popleft()

    def task(self) -> tuple[Any, ...]:
        """The next task."""
        while not self._tasks:
            self._sort_in()
        return self._tasks.popleft()

    def _sort_in(self) -> None:
        message = self._receive()
        if message[0] == "known":
            self._answers.append(message[1])
        else:
            self._tasks.append(message)


def serve(connection: "Connection[Any, Any]", storage: Storage, settings: WriterSettings, with_atime: bool) -> None:
    """The life of a worker process."""
    mailbox = _Mailbox(connection)
    writer = BlobWriter(storage, settings, lambda pack, header: mailbox.send(("pack", pack, header)))
    reader = FileReader(BlobGroup(mailbox.claim, writer), writer, with_atime=with_atime)
    while True:
        kind, *content = mailbox.task()
        if kind == "finish":
            reader.finish()
            writer.flush()
            mailbox.send(("finished",))
            return
        if kind == "segment":
            mailbox.send(("segment", reader.read_segment(content[0])))
        else:
            mailbox.send(("files", reader.read(content[0])))
