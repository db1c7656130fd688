"""Work handed to worker processes, with the results in the order of the tasks.

The same function object does the work in the parent when there are no workers. A task is not taken from its iterator
before there is room for it, so what waits is bounded by the number of workers.
"""

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pivori.host import keep_large_buffers
from pivori.host.workers import Worker, WorkerPool

Task = TypeVar("Task")
Result = TypeVar("Result")

_GIVEN_AHEAD: Final = 2
"""Tasks given to a worker before it is done with the first: it never waits for the next."""

_NO_MORE: Final = object()

_SMALL_MESSAGE: Final = 32 << 10
"""A pickled task of at most this many bytes fits into a socket's buffer: sending it never waits for the worker."""

_WAITING: Final = 4
"""Tasks per worker that are given out or whose results wait for an earlier one."""


class Ready(NamedTuple):
    """A result that needs no work; it keeps its place among the others."""

    result: Any


class Crew(Generic[Task, Result]):
    """Does tasks of one kind. A context manager: the workers are gone when it is left.

    ``work`` is a callable object that can be pickled; each worker has its own copy for as long as it lives. With less
    than two workers there are none, and the parent does the work.
    """

    def __init__(self, work: Callable[[Task], Result], workers: int) -> None:
        self._work = work
        self._pool: WorkerPool | None = None
        if workers > 1:
            keep_large_buffers()  # results of megabytes come in all the time
            self._pool = WorkerPool(workers, _serve, work)

    def __enter__(self) -> "Crew[Task, Result]":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._pool is not None:
            self._pool.__exit__(kind, error, trace)

    def run(self, tasks: Iterable[Task | Ready]) -> Iterator[Result]:
        """The results of the tasks, in their order. Raises what the work raises, and WorkerDied."""
        if self._pool is None:
            return (task.result if isinstance(task, Ready) else self._work(task) for task in tasks)
        return _Run[Task, Result](self._pool, iter(tasks)).results()


class _Slot:
    """The place of a task's result."""

    __slots__ = ("is_done", "result")

    def __init__(self, result: object = None, *, is_done: bool = False) -> None:
        self.result = result
        self.is_done = is_done


class _Run(Generic[Task, Result]):
    """One pass over the tasks."""

    def __init__(self, pool: WorkerPool, tasks: Iterator[Task | Ready]) -> None:
        self._pool = pool
        self._tasks: Iterator[Task | Ready] | None = tasks
        self._held: bytes | memoryview | None = None
        self._out: dict[Worker, deque[_Slot]] = {worker: deque() for worker in pool.workers}
        self._slots: deque[_Slot] = deque()
        self._most = _WAITING * len(pool.workers)

    def results(self) -> Iterator[Result]:
        """The results in order."""
        while True:
            self._hand_out()
            if not self._slots:
                return
            while not self._slots[0].is_done:
                self._collect()
                self._hand_out()
            yield self._slots.popleft().result  # type: ignore[misc]

    def _hand_out(self) -> None:
        """Give tasks until every worker has enough, or too many results wait."""
        while len(self._slots) < self._most:
            worker = min(self._out, key=lambda candidate: len(self._out[candidate]))
            if len(self._out[worker]) >= _GIVEN_AHEAD or not self._take_task():
                return
            if self._held is None:
                continue
            if self._out[worker] and len(self._held) > _SMALL_MESSAGE:
                return  # the worker may be sending: it would not take this in, nor this process its result
            slot = _Slot()
            self._slots.append(slot)
            self._out[worker].append(slot)
            worker.send_pickled(self._held)
            self._held = None

    def _take_task(self) -> bool:
        """Hold the next task ready, or put down its result; false when there is none any more."""
        if self._held is None:
            if self._tasks is None:
                return False
            task = next(self._tasks, _NO_MORE)
            if task is _NO_MORE:
                self._tasks = None
                return False
            if isinstance(task, Ready):
                self._slots.append(_Slot(task.result, is_done=True))
            else:
                self._held = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        return True

    def _collect(self) -> None:
        for worker in self._pool.ready(None):
            slot = self._out[worker].popleft()
            slot.result = worker.receive()
            slot.is_done = True


def _serve(connection: "Connection[Any, Any]", work: Callable[[Any], Any]) -> None:
    """The life of a worker: it ends when the parent closes the connection."""
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(work(task))
