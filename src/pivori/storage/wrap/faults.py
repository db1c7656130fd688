"""A storage that fails as planned, to prove that nothing is lost when a real one does.

All copies of a storage, in whatever process, count together: the plan names a folder that holds the count. Objects
are never torn, since a medium puts them whole or not at all.
"""

import errno
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

from pivori.storage.base import Kind, Storage, StorageError, object_label
from pivori.storage.system_errors import storage_error
from pivori.storage.wrap.base import WrappedStorage

_COUNT_FILE = "writes"
_FAULT_FILE = "fault"


class Moment(StrEnum):
    """When a write fails: it has not happened yet, or it has, and the caller does not learn of it."""

    BEFORE = "before"
    AFTER = "after"


class Failure(StrEnum):
    """How a call fails."""

    BROKEN = "broken"
    """StorageError, as for EIO."""
    TEMPORARY = "temporary"
    """TemporaryStorageError, as for ETIMEDOUT."""
    FULL = "full"
    """NoSpace, as for ENOSPC."""
    DENIED = "denied"
    """AccessDenied, as for EACCES."""
    KILL = "kill"
    """No error: the process that calls gets SIGKILL."""


_SYSTEM_ERRORS = {
    Failure.BROKEN: errno.EIO,
    Failure.TEMPORARY: errno.ETIMEDOUT,
    Failure.FULL: errno.ENOSPC,
    Failure.DENIED: errno.EACCES,
}


@dataclass(frozen=True)
class FaultPlan:
    """What fails, and when.

    ``state`` is an empty folder, made when needed, where all copies count together. ``at_write`` is the number,
    from 1, of the put or delete that fails (0: none does), as ``failure`` and ``moment`` say; with ``lasting`` every
    later one fails too, before it happens. ``first_reads`` is how the first ``get`` of each object fails, if it does.
    """

    state: Path
    at_write: int = 0
    failure: Failure = Failure.BROKEN
    moment: Moment = Moment.BEFORE
    lasting: bool = False
    first_reads: Failure | None = None

    def writes(self) -> int:
        """How many puts and deletes were begun so far, by all copies, the failing ones included."""
        try:
            with (self.state / _COUNT_FILE).open("rb") as file:
                flock(file, LOCK_SH)
                return int(file.read() or b"0")
        except FileNotFoundError:
            return 0

    def happened(self) -> bool:
        """Whether anything has failed so far."""
        return (self.state / _FAULT_FILE).exists()

    def count_write(self) -> int:
        """The number, from 1, of the write that begins now."""
        self.state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.state / _COUNT_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(descriptor, LOCK_EX)
            number = int(os.pread(descriptor, 20, 0) or b"0") + 1
            os.pwrite(descriptor, str(number).encode(), 0)
            return number
        finally:
            os.close(descriptor)

    def is_first_read(self, label: str) -> bool:
        """Whether no copy has read this object before; it counts as read from now on."""
        self.state.mkdir(parents=True, exist_ok=True)
        try:
            (self.state / f"read-{label.replace('/', '-')}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def note_fault(self) -> None:
        """Keep that something fails, for :meth:`happened`."""
        with suppress(FileExistsError):
            (self.state / _FAULT_FILE).touch(exist_ok=False)


class FaultStorage(WrappedStorage):
    """Fails as ``plan`` says; otherwise it is the storage inside. Errors are those of a real medium."""

    def __init__(self, inner: Storage, plan: FaultPlan) -> None:
        super().__init__(inner)
        self.plan = plan

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See :meth:`Storage.get`; the first time an object is read may fail."""
        label = object_label(kind, name)
        if self.plan.first_reads is not None and self.plan.is_first_read(label):
            raise self._fault(self.plan.first_reads, "read", label)
        return self.inner.get(kind, name, offset, length)

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """See :meth:`Storage.put`; it is one write."""
        fails_after = self._begin_write("write", object_label(kind, name))
        self.inner.put(kind, name, parts)
        if fails_after:
            self._fail_after("write", object_label(kind, name))

    def delete(self, kind: Kind, name: str) -> None:
        """See :meth:`Storage.delete`; it is one write."""
        fails_after = self._begin_write("delete", object_label(kind, name))
        self.inner.delete(kind, name)
        if fails_after:
            self._fail_after("delete", object_label(kind, name))

    def _begin_write(self, operation: str, label: str) -> bool:
        """Count a write and fail before it if it is time; whether it has to fail after."""
        plan = self.plan
        number = plan.count_write()
        is_the_one = number == plan.at_write
        is_later = plan.lasting and 0 < plan.at_write < number
        if is_later or (is_the_one and plan.moment is Moment.BEFORE):
            raise self._fault(plan.failure, operation, label)
        return is_the_one

    def _fail_after(self, operation: str, label: str) -> None:
        # A write that has happened is there for others too, not only on its way to them.
        self.inner.sync()
        raise self._fault(self.plan.failure, operation, label)

    def _fault(self, failure: Failure, operation: str, label: str) -> StorageError:
        """The error to raise; for KILL there is nothing after this."""
        self.plan.note_fault()
        if failure is Failure.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        number = _SYSTEM_ERRORS[failure]
        return storage_error(OSError(number, os.strerror(number)), self.location, operation, label)
