"""Reading a stream ahead of whoever stores it, so that a program that prints does not wait while blobs are compressed.

A thread fills buffers and hashes them while others are being cut and stored; system calls and hashing let Python's
other threads run. A short stream is read without a thread.
"""

import hashlib
import threading
from collections.abc import Callable
from queue import Empty, Queue
from types import TracebackType
from typing import Final, Self

_BUFFER: Final = 2 << 20
_BUFFERS: Final = 8
_LOOK: Final = 0.2
"""Seconds after which the thread looks whether anybody still reads."""


class AheadReader:
    """Gives the bytes of ``read`` (which fills a buffer and says with how many; 0 is the end) through :meth:`readinto`.

    A context manager. ``digest`` is the SHA-256 of what was read, complete when the end was reached. Raises what
    ``read`` raises, at the place in the stream where it was raised.
    """

    def __init__(self, read: Callable[[memoryview], int]) -> None:
        self._read = read
        self.digest = hashlib.sha256()
        self._free: Queue[memoryview] = Queue()
        self._full: Queue[memoryview | BaseException | None] = Queue()
        self._current = memoryview(b"")
        self._lent: memoryview | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._is_at_end = False

    def __enter__(self) -> Self:
        first = memoryview(bytearray(_BUFFER))
        filled = self._fill(first)
        self._current = first[:filled]
        if filled < _BUFFER:
            self._is_at_end = True
            return self
        for _ in range(_BUFFERS):
            self._free.put(memoryview(bytearray(_BUFFER)))
        self._thread = threading.Thread(target=self._run, name="pivori-read-ahead", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The thread may wait in `read` for a program that the caller is about to end: it is not waited for.
        self._stopped.set()

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer from its start; 0 is the end."""
        if not self._current and not self._next():
            return 0
        count = min(len(buffer), len(self._current))
        buffer[:count] = self._current[:count]
        self._current = self._current[count:]
        return count

    def _next(self) -> bool:
        """Take the next buffer; whether there is one."""
        if self._is_at_end:
            return False
        if self._lent is not None:
            self._free.put(self._lent)
            self._lent = None
        found = self._full.get()
        if found is None:
            self._is_at_end = True
            return False
        if isinstance(found, BaseException):
            self._is_at_end = True
            raise found
        self._current = found
        self._lent = memoryview(found.obj)
        return True

    def _run(self) -> None:
        """What the thread does: fill buffers until the end, an error, or nobody wants any more."""
        try:
            while (buffer := self._free_buffer()) is not None:
                filled = self._fill(buffer)
                if filled:
                    self._full.put(buffer[:filled])
                if filled < _BUFFER:
                    self._full.put(None)
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised again where the stream is read
            self._full.put(error)

    def _free_buffer(self) -> memoryview | None:
        while not self._stopped.is_set():
            try:
                return self._free.get(timeout=_LOOK)
            except Empty:
                continue
        return None

    def _fill(self, buffer: memoryview) -> int:
        """Read until the buffer is full or the stream ends: how many bytes."""
        filled = 0
        while filled < len(buffer):
            count = self._read(buffer[filled:])
            if not count:
                break
            filled += count
        self.digest.update(buffer[:filled])
        return filled
