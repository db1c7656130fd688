"""A storage that fails as planned, to prove that nothing is lost when a real one does.

All copies of a storage, in whatever process, count together: the plan names a folder that holds the count. Objects
are never torn, since a medium puts them whole or not at all.
"""

import errno
import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

from pivori.storage.base import Item, Kind, Storage, StorageError, object_label
from pivori.storage.system_errors import storage_error
from pivori.storage.wrap.base import WrappedStorage

_WRITES_FILE = "writes"
_READS_FILE = "reads"
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
    from 1, of the put, delete or sync that fails (0: none does), as ``failure`` and ``moment`` say; with ``lasting``
    every later one fails too, before it happens. ``at_read`` is the number of the get, size or listing that fails as
    ``failure`` says. ``first_reads`` is how the first get and the first size of each object and the first listing of
    each kind fail, if they do.
    """

    state: Path
    at_write: int = 0
    at_read: int = 0
    failure: Failure = Failure.BROKEN
    moment: Moment = Moment.BEFORE
    lasting: bool = False
    first_reads: Failure | None = None

    def writes(self) -> int:
        """How many puts, deletes and syncs were begun so far, by all copies, the failing ones included."""
        try:
            with (self.state / _WRITES_FILE).open("rb") as file:
                flock(file, LOCK_SH)
                return int(file.read() or b"0")
        except FileNotFoundError:
            return 0

    def happened(self) -> bool:
        """Whether anything has failed so far."""
        return (self.state / _FAULT_FILE).exists()

    def count_write(self) -> int:
        """The number, from 1, of the write that begins now."""
        return self._count(_WRITES_FILE)

    def failure_of_read(self, operation: str, location: str, label: str) -> Failure | None:
        """How the get, size or listing that begins now fails, if it does; it is counted."""
        if self.at_read and self._count(_READS_FILE) == self.at_read:
            return self.failure
        if self.first_reads is not None and self._is_first(operation, location, label):
            return self.first_reads
        return None

    def _count(self, name: str) -> int:
        """One more of what a file counts; the number, from 1."""
        self.state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.state / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(descriptor, LOCK_EX)
            number = int(os.pread(descriptor, 20, 0) or b"0") + 1
            os.pwrite(descriptor, str(number).encode(), 0)
            return number
        finally:
            os.close(descriptor)

    def _is_first(self, *words: str) -> bool:
        """Whether no copy has asked this before; it counts as asked from now on."""
        self.state.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(os.fsencode("\0".join(words))).hexdigest()
        try:
            (self.state / f"first-{name}").touch(exist_ok=False)
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
        """See :meth:`Storage.get`; it is one read."""
        self._begin_read("get", object_label(kind, name))
        return self.inner.get(kind, name, offset, length)

    def size(self, kind: Kind, name: str) -> int:
        """See :meth:`Storage.size`; it is one read."""
        self._begin_read("size", object_label(kind, name))
        return self.inner.size(kind, name)

    def list(self, kind: Kind) -> Iterator[Item]:
        """See :meth:`Storage.list`; it is one read. One that fails has given a half of the items before."""
        failure = self.plan.failure_of_read("list", self.location, kind.value)
        if failure is None:
            yield from self.inner.list(kind)
            return
        items = tuple(self.inner.list(kind))
        yield from items[: len(items) // 2]
        raise self._fault(failure, "list", kind.value)

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

    def sync(self) -> None:
        """See :meth:`Storage.sync`; it is one write."""
        fails_after = self._begin_write("sync", Kind.PACK.value)
        self.inner.sync()
        if fails_after:
            self._fail_after("sync", Kind.PACK.value)

    def _begin_read(self, call: str, label: str) -> None:
        """Count a read of an object and fail if it is time."""
        failure = self.plan.failure_of_read(call, self.location, label)
        if failure is not None:
            raise self._fault(failure, "read", label)

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
