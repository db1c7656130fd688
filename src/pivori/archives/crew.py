"""Work handed to worker processes, with the results in the order of the tasks.

The same function object does the work in the parent when there are no workers. A task is not taken from its iterator
before there is room for it, so what waits is bounded by the number of workers.
"""

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pivori.host import keep_large_buffers
from pivori.host.workers import Worker, WorkerPool

Task = TypeVar("Task")
Result = TypeVar("Result")

_GIVEN_AHEAD: Final = 3
"""Tasks given to a worker before it is done with the first: it never waits for the next."""

_NO_MORE: Final = object()

_SMALL_MESSAGE: Final = 32 << 10
"""Two pickled tasks of at most this many bytes fit into a socket's buffer: sending them never waits for the worker."""

_WAITING: Final = 6
"""Tasks per worker that are given out or whose results wait for an earlier one."""


class Ready(NamedTuple):
    """A result that needs no work; it keeps its place among the others."""

    result: Any


class Bulk(NamedTuple):
    """A result whose first field, bytes by the megabyte, follows the message as it is, without being pickled."""

    kind: Callable[..., Any]
    size: int
    fields: tuple[Any, ...]


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

    @property
    def lanes(self) -> int:
        """How many workers there are: one at least, the parent."""
        return 1 if self._pool is None else len(self._pool.workers)

    def run(self, tasks: Iterable[Task | Ready]) -> Iterator[Result]:
        """The results of the tasks, in their order. Raises what the work raises, and WorkerDied.

        A task with an attribute ``lane`` that is a number goes to that worker, which remembers the ones before.
        """
        if self._pool is None:
            return (task.result if isinstance(task, Ready) else self._work(task) for task in tasks)
        return _Run[Task, Result](self._pool, iter(tasks)).results()


class _Slot(Generic[Result]):
    """The place of a task's result."""

    __slots__ = ("made",)

    def __init__(self, *made: Result) -> None:
        self.made = made
        """The result, once there is one."""


class _Run(Generic[Task, Result]):
    """One pass over the tasks."""

    def __init__(self, pool: WorkerPool, tasks: Iterator[Task | Ready]) -> None:
        self._pool = pool
        self._tasks: Iterator[Task | Ready] | None = tasks
        self._held: bytes | None = None
        self._held_for: Worker | None = None
        self._out: dict[Worker, deque[_Slot[Result]]] = {worker: deque() for worker in pool.workers}
        self._slots: deque[_Slot[Result]] = deque()
        self._most = _WAITING * len(pool.workers)

    def results(self) -> Iterator[Result]:
        """The results in order."""
        while True:
            self._hand_out()
            if not self._slots:
                return
            while not self._slots[0].made:
                self._collect()
                self._hand_out()
            yield from self._slots.popleft().made

    def _hand_out(self) -> None:
        """Give tasks until every worker has enough, or too many results wait."""
        while len(self._slots) < self._most and self._take_task():
            if self._held is None:
                continue
            worker = self._held_for or min(self._out, key=lambda candidate: len(self._out[candidate]))
            given = len(self._out[worker])
            if given >= _GIVEN_AHEAD or (given and len(self._held) > _SMALL_MESSAGE):
                return  # a worker that is sending takes no large message in, nor this process its result
            slot = _Slot[Result]()
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
                self._slots.append(_Slot(task.result))
            else:
                self._held = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
                lane = getattr(task, "lane", None)
                self._held_for = None if lane is None else self._pool.workers[lane]
        return True

    def _collect(self) -> None:
        for worker in self._pool.ready(None):
            slot = self._out[worker].popleft()
            result = worker.receive()
            if isinstance(result, Bulk):
                result = result.kind(_read_content(worker, result.size), *result.fields)
            slot.made = (result,)


def _read_content(worker: Worker, size: int) -> bytearray:
    content = bytearray(size)
    rest = memoryview(content)
    while rest:
        count = os.readv(worker.connection.fileno(), [rest])
        if not count:
            worker.receive()  # it has died, which this says
        rest = rest[count:]
    return content


def _serve(connection: "Connection[Any, Any]", work: Callable[[Any], Any]) -> None:
    """The life of a worker: it ends when the parent closes the connection."""
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        result = work(task)
        if not (isinstance(result, tuple) and result and isinstance(result[0], bytes | bytearray)):
            connection.send(result)
            continue
        connection.send(Bulk(type(result), len(result[0]), result[1:]))
        rest = memoryview(result[0])
        while rest:
            rest = rest[os.write(connection.fileno(), rest) :]
