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
        """Have ``task`` done; it raises StorageError only. ``key`` names it for :meth:`wait`."""
        self._places.acquire()
        try:
            with self._lock:
                self._outstanding[key] = self._submit(key, task)
        except BaseException:
            self._places.release()
            raise

    def _submit(self, key: str, task: Callable[[], None]) -> Future[None]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pivori-storage")
        return self._executor.submit(self._run, key, task)

    def _run(self, key: str, task: Callable[[], None]) -> None:
        try:
            task()
        except StorageError as error:
            self.keep(error)
        finally:
            with self._lock:
                self._outstanding.pop(key, None)
            self._places.release()

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
