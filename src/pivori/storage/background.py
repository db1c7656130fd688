"""Work that goes on behind the caller's back: one thread, a bound on what is outstanding, failures never lost."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from pivori.storage.base import StorageError


class Background:
    """Runs tasks one after the other in one thread, started with the first task.

    ``limit`` tasks may be outstanding; :meth:`start` waits for a free place. The first failure stays for good,
    since what was promised to the caller cannot be kept any more. At the interpreter's exit the thread finishes
    what was started.
    """

    def __init__(self, limit: int) -> None:
        self._places = threading.BoundedSemaphore(limit)
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._outstanding: dict[str, Future[None]] = {}
        self._failure: StorageError | None = None
        self._told = False

    def start(self, key: str, task: Callable[[], None]) -> None:
        """Have ``task`` done; it raises StorageError only. ``key`` names it for :meth:`wait`.

        After an interruption nobody knows whether the task was handed over: it may be under way, or still be begun,
        or never. What it does has to bear that.
        """
        self._places.acquire()
        place = _Place(self._places)
        try:
            with self._lock:
                self._outstanding[key] = self._submit(key, task, place)
        except BaseException:
            place.give_back()
            raise

    def _submit(self, key: str, task: Callable[[], None], place: "_Place") -> Future[None]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pivori-storage")
        return self._executor.submit(self._run, key, task, place)

    def _run(self, key: str, task: Callable[[], None], place: "_Place") -> None:
        try:
            task()
        except StorageError as error:
            self.keep(error)
        finally:
            with self._lock:
                self._outstanding.pop(key, None)
            place.give_back()

    def keep(self, error: StorageError) -> None:
        """Hold a failure for :meth:`raise_failure`, as an error nobody retries: a second try would hide it."""
        kept = StorageError(**error.details) if error.retryable else error
        with self._lock:
            self._failure = self._failure or kept

    def wait(self, key: str) -> None:
        """Return when the task called ``key`` is done, if there is one."""
        with self._lock:
            future = self._outstanding.get(key)
        if future is not None:
            future.result()

    def wait_all(self) -> None:
        """Return when every task started so far is done."""
        with self._lock:
            futures = list(self._outstanding.values())
        for future in futures:
            future.result()

    def raise_failure(self) -> None:
        """Raise the first failure there was, now and ever after."""
        if self._failure is not None:
            self._told = True
            raise self._failure

    def close(self) -> None:
        """Finish what is outstanding and end the thread; raise a failure that was never raised."""
        if self._executor is not None:
            self._executor.shutdown()
        if not self._told:
            self.raise_failure()


class _Place:
    """One of the places for what is outstanding; it is given back once, whoever comes first."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places
        self._taken_back = threading.Lock()

    def give_back(self) -> None:
        if self._taken_back.acquire(blocking=False):
            self._places.release()
