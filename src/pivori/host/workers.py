"""Worker processes for byte work: started fresh (never forked), one private socket each.

A worker is ``python -m pivori.host.worker FD``: it gets the function to run and its arguments as the first message,
so nothing secret is ever in an argument list or an environment. A worker whose parent dies reads the end of its
socket and exits.
"""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pivori.errors import PivoriError
from pivori.host.worker import PARENT_DECIDES
from pivori.translation import N_

_PATIENCE = 10.0
"""Seconds a worker gets to leave by itself before it is killed."""

_SOCKET_BUFFER = 1 << 20
"""Bytes that may wait on their way to a process that is busy, so that the sender goes on with its work."""

Serve = Callable[..., None]


class WorkerDied(PivoriError):
    """A worker process ended before its work was done."""

    code = "worker-died"
    message = N_("A worker process ended unexpectedly (status {status}).")
    hint = N_("The machine may be short of memory; run the command again.")


class Worker:
    """One worker process and the connection to it."""

    def __init__(self, serve: Serve, arguments: tuple[Any, ...]) -> None:
        # Imported here: a small job starts no workers, and starts itself some milliseconds sooner without it.
        from multiprocessing.connection import Connection

        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        with theirs, _signals_blocked():
            self._process = subprocess.Popen(
                # -P: no folder that happens to be the current one may put its modules in place of ours.
                [
                    sys.executable,
                    "-I" if sys.flags.isolated else "-P",
                    "-m",
                    "pivori.host.worker",
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.send((serve, arguments))

    def send(self, message: object) -> None:
        """Send a message. Raises WorkerDied."""
        try:
            self.connection.send(message)
        except OSError:
            raise self._died() from None

    def send_pickled(self, message: bytes | memoryview) -> None:
        """Send a message that is pickled already. Raises WorkerDied."""
        try:
            self.connection.send_bytes(message)
        except OSError:
            raise self._died() from None

    def receive(self) -> Any:
        """The next message. Raises WorkerDied, or the error the worker sent."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(message, Exception):
            raise message
        return message

    def _died(self) -> WorkerDied:
        try:
            status: int | None = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
        return WorkerDied(status=status)

    def stop(self, *, patiently: bool) -> None:
        """End the worker: when patient, it may finish what it does."""
        self.connection.close()
        if patiently:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Start a process with the signals blocked that it will ignore, so that none reaches it before it does so."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_DECIDES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerPool:
    """Several workers that run the same function. A context manager: they are gone when it is left."""

    def __init__(self, count: int, serve: Serve, *arguments: Any) -> None:
        self.workers: list[Worker] = []
        self._finished = False
        try:
            for _ in range(count):
                self.workers.append(Worker(serve, arguments))
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stop(patiently=error is None)

    def ready(self, timeout: float | None) -> Iterator[Worker]:
        """The workers that have a message; waits at most ``timeout`` seconds (None: until there is one)."""
        from multiprocessing.connection import wait

        found = wait([worker.connection for worker in self.workers], timeout)
        return (worker for worker in self.workers if worker.connection in found)

    def release(self, worker: Worker) -> None:
        """Let a worker go that has said its last word."""
        self.workers.remove(worker)
        worker.stop(patiently=True)

    def stop(self, *, patiently: bool = False) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.stop(patiently=patiently)
        self.workers = []
