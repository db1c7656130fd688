"""Taking and holding a lock, so that two programs do not spoil each other's work.

Shared locks let others work too (backup, reading, copy); an exclusive one tolerates nobody (prune, forget, repair).
Whoever wants a lock looks at the locks, writes its own, waits 200 ms and looks again: of two that write at the same
time at least one then sees the other and gives way. A held lock is renewed every five minutes by writing a new object
before the old one is removed. The intervals are restic's (``docs/format.md``).

When the last look is taken. What keeps two lockers apart is that each looks after its own write; the wait is there
for media that show a new object late. A locker that defers it (``confirm_later``) therefore looks right after its
write, before it reads the index, and once more in :meth:`Lock.confirm`: when 200 ms have passed, and in any case
before it writes anything else.

- An exclusive locker that wrote before us is seen by the look after our write, or is done and gone by then, and the
  index that is loaded afterwards is the one it left.
- One that writes after us sees our lock in its own last look and gives way; restic's exclusive lockers do so too.
- On a medium with late listings, :meth:`Lock.confirm` is the look that restic takes, as far from the write as restic's.

So a backup that finds nothing to store has spent the 200 ms reading. Once confirmed, nobody can rightfully hold an
exclusive lock while our object is there; :meth:`Lock.confirm` then only asks whether it is (somebody may have removed
it by hand). Whoever is about to make work visible, by writing a snapshot, calls it again first.

``restic unlock`` asks whether the process of a lock is alive by sending it SIGHUP. A program that holds locks therefore
ignores that signal, as restic does; to see to it is up to whoever owns the process.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from pivori.clock import Clock
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.repository.lock_conflicts import Conflicts, RepositoryLocked, StaleLockRemoved
from pivori.repository.lock_files import (
    STALE_AFTER_SECONDS,
    Holder,
    LockDamaged,
    LockInfo,
    LockRecord,
    UnpackedObjects,
    encode_lock,
    is_stale,
    list_locks,
    new_record,
    remove_all,
    remove_lock,
    remove_stale,
)
from pivori.storage import Kind, NotFound, StorageError
from pivori.translation import N_, duration_phrase

SETTLE_SECONDS: Final = 0.2
REFRESH_SECONDS: Final = 5 * 60
LOST_AFTER_SECONDS: Final = STALE_AFTER_SECONDS - 1.5 * REFRESH_SECONDS
_RETRY_REFRESH_SECONDS: Final = 30
_FIRST_RETRY_SECONDS: Final = 0.5
_LONGEST_RETRY_SECONDS: Final = 10
_RELEASE_PATIENCE_SECONDS: Final = 10
_POLL_SECONDS: Final = 5.0


class LockLost(PivoriError):
    """Our own lock object is gone: others may have begun to change the repository."""

    code = "lock-lost"
    message = N_("The lock on {location} was removed while it was in use.")
    hint = N_("Find out who ran `unlock`, then run the command again: what is stored already is not stored twice.")


class LockExpired(LockLost):
    """Our own lock could not be renewed in time."""

    message = N_("The lock on {location} could not be renewed for {age}: {reason}")
    hint = N_("Check that the storage can be reached, then run the command again.")


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingForLock(Event):
    """The repository is taken, ``reason`` tells by whom; it is tried again for up to ``seconds``."""

    reason: PivoriError
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LockNotReleased(Event):
    """Our own lock object could not be removed: it refuses others until it is stale or removed by hand."""

    name: str
    reason: PivoriError


class Lock:
    """A lock that is held; made by :func:`acquire`, given back by :meth:`release` or at the end of ``with``.

    A thread renews it in the background. The methods may be called from any thread; :meth:`check` and
    :meth:`refresh_if_due` cost about a microsecond when nothing is due.
    """

    def __init__(
        self,
        objects: UnpackedObjects,
        conflicts: Conflicts,
        *,
        holder: Holder,
        exclusive: bool,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self.exclusive = exclusive
        self._objects = objects
        self._conflicts = conflicts
        self._holder = holder
        self._clock = clock
        self._emit = emit
        self._mutex = threading.Lock()
        self._stopped = threading.Event()
        self._names: list[str] = []  # our objects, the newest last; the others could not be removed so far
        self._unnamed: LockRecord | None = None  # a record that is being written and whose name is not known yet
        self._written_ns = 0
        self._written_at = 0.0
        self._retry_at = 0.0
        self._confirmed = False
        self._lost: LockLost | None = None
        self._thread = threading.Thread(target=self._keep, name="pivori-lock", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def name(self) -> str:
        """The name of the lock object that stands for us at this moment; empty when there is none."""
        names = self._names
        return names[-1] if names else ""

    def take(self, *, confirm_later: bool) -> None:
        """Get the lock, as described at the top. Raises RepositoryLocked, LockDamaged, StorageError.

        Nothing of ours is left behind on failure. :func:`acquire` calls this.
        """
        try:
            self._conflicts.refuse(())
            self._write()
            if confirm_later:
                self._conflicts.refuse(self._names)
            else:
                self.confirm()
            self._thread.start()
        except BaseException:
            self.release()
            raise

    def confirm(self) -> None:
        """Make sure that the repository may be written to now.

        The first call waits for what is left of the 200 ms and looks for other locks again, later calls only ask
        whether our lock object is still there. Raises RepositoryLocked (the lock is released then), LockLost,
        LockDamaged, StorageError.
        """
        try:
            with self._mutex:
                self._raise_if_lost()
                if self._confirmed:
                    self._demand_presence(self._names[-1])
                    return
                remaining = SETTLE_SECONDS - (self._clock.monotonic() - self._written_at)
                if remaining > 0:
                    self._clock.sleep(remaining)
                self._demand_presence(self._names[-1])
                self._conflicts.refuse(self._names)
                self._confirmed = True
        except (RepositoryLocked, LockDamaged):
            self.release()
            raise

    def check(self) -> None:
        """Raise LockLost when the lock can no longer be relied upon; call it before every write.

        A lock that is overdue, because the machine slept, is renewed here if its object is still there.
        """
        self._raise_if_lost()
        if self._age() >= LOST_AFTER_SECONDS:
            self.refresh_if_due()

    def refresh_if_due(self) -> None:
        """Renew the lock when five minutes have passed. Raises LockLost.

        A storage that fails is tried again every 30 seconds, until the lock is 22.5 minutes old: then it is lost.
        """
        self._raise_if_lost()
        # An overdue lock is waited for: until it is renewed nothing may be written.
        if not self._is_due() or not self._mutex.acquire(blocking=self._age() >= LOST_AFTER_SECONDS):
            return
        try:
            if self._lost is None and self._is_due():
                self._refresh()
        finally:
            self._mutex.release()
        self._raise_if_lost()

    def release(self) -> None:
        """Give the lock back. Never raises, may be called again; what cannot be removed is told by LockNotReleased."""
        self._stopped.set()
        # A renewal under way is let finish; when its storage hangs, it removes what it wrote itself.
        entered = self._mutex.acquire(timeout=_RELEASE_PATIENCE_SECONDS)
        try:
            self._remove_own()
        finally:
            if entered:
                self._mutex.release()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=_POLL_SECONDS)

    def _keep(self) -> None:
        """Renew in the background; a lost lock is reported by :meth:`check` in the thread that works."""
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self.refresh_if_due()
            except LockLost:
                return

    def _age(self) -> float:
        """Seconds since the lock was written.

        The wall clock counts the time a machine sleeps, the other one cannot be set back: the larger one is right.
        """
        wall = (self._clock.now_ns() - self._written_ns) / 1e9
        return max(wall, self._clock.monotonic() - self._written_at)

    def _is_due(self) -> bool:
        if self._stopped.is_set():
            return False
        age = self._age()
        return age >= REFRESH_SECONDS and (age >= LOST_AFTER_SECONDS or self._clock.monotonic() >= self._retry_at)

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _write(self) -> None:
        """Write a lock object and make it the one that stands for us."""
        now_ns, now = self._clock.now_ns(), self._clock.monotonic()
        record = new_record(self._holder, exclusive=self.exclusive, now_ns=now_ns)
        self._unnamed = record
        name = self._objects.save_unpacked(Kind.LOCK, encode_lock(record))
        self._names.append(name)
        self._unnamed = None
        self._written_ns, self._written_at = now_ns, now

    def _refresh(self) -> None:
        """Renew, with the mutex held. Sets ``_lost`` or ``_retry_at`` on failure."""
        age = self._age()
        try:
            self._replace(settle=age >= LOST_AFTER_SECONDS)
        except LockLost as error:
            self._lost = error
        except PivoriError as error:
            self._retry_at = self._clock.monotonic() + _RETRY_REFRESH_SECONDS
            if age >= LOST_AFTER_SECONDS:
                self._lost = LockExpired(
                    location=self._objects.storage.location, age=duration_phrase(age), reason=str(error)
                )
        if self._stopped.is_set():
            self._remove_own()

    def _replace(self, *, settle: bool) -> None:
        """Write a new lock object, then remove the old ones.

        After a long sleep (``settle``) others may be removing ours as stale at this very moment: it has to be there
        before and, 200 ms later, after the new one was written.
        """
        old = self._names[-1]
        self._demand_presence(old)
        self._remove_unnamed()
        self._write()
        if settle:
            self._clock.sleep(SETTLE_SECONDS)
            self._demand_presence(old)
        for name in self._names[:-1]:
            try:
                remove_lock(self._objects, name)
            except StorageError:
                continue  # tried again at the next renewal and at the release
            self._names.remove(name)

    def _demand_presence(self, name: str) -> None:
        """Raise LockLost when our object is gone, StorageError when nobody can tell."""
        try:
            self._objects.storage.size(Kind.LOCK, name)
        except NotFound:
            self._lost = LockLost(location=self._objects.storage.location)
            raise self._lost from None

    def _remove_own(self) -> None:
        self._remove_unnamed()
        while self._names:
            self._remove_or_tell(self._names[0])
            del self._names[:1]

    def _remove_or_tell(self, name: str) -> None:
        try:
            remove_lock(self._objects, name)
        except StorageError as error:
            self._emit(LockNotReleased(name=name, reason=error))

    def _remove_unnamed(self) -> None:
        """Remove the object of a write that was interrupted: stored perhaps, but we never learnt its name."""
        record, self._unnamed = self._unnamed, None
        if record is None:
            return
        try:
            names = [info.name for info in list_locks(self._objects, skip=self._names) if info.record == record]
        except StorageError:
            return
        for name in names:
            self._remove_or_tell(name)


def acquire(
    objects: UnpackedObjects,
    *,
    holder: Holder,
    exclusive: bool,
    clock: Clock,
    emit: Callable[[Event], None],
    process_alive: Callable[[int], bool],
    wait_seconds: float = 0.0,
    confirm_later: bool = False,
) -> Lock:
    """Take a lock on the repository behind ``objects``; use it with ``with``.

    While somebody stands in the way it is tried again for up to ``wait_seconds``. With ``confirm_later`` the caller
    has to call :meth:`Lock.confirm` before it writes anything. Locks of dead processes of this machine
    (``process_alive`` tells) are removed and reported as StaleLockRemoved. Raises RepositoryLocked, LockDamaged,
    StorageError.
    """
    deadline = clock.monotonic() + wait_seconds
    # Two that collide must not try again in step: the process numbers keep them apart.
    delay = _FIRST_RETRY_SECONDS * (1 + holder.pid % 64 / 64)
    waiting = False
    conflicts = Conflicts(
        objects, holder=holder, exclusive=exclusive, clock=clock, emit=emit, process_alive=process_alive
    )
    while True:
        lock = Lock(objects, conflicts, holder=holder, exclusive=exclusive, clock=clock, emit=emit)
        try:
            lock.take(confirm_later=confirm_later)
        except (RepositoryLocked, LockDamaged) as error:
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                raise
            if not waiting:
                emit(WaitingForLock(reason=error, seconds=wait_seconds))
                waiting = True
            clock.sleep(min(delay, remaining))
            delay = min(2 * delay, _LONGEST_RETRY_SECONDS)
        else:
            return lock


__all__ = [
    "Holder",
    "Lock",
    "LockDamaged",
    "LockExpired",
    "LockInfo",
    "LockLost",
    "LockNotReleased",
    "LockRecord",
    "RepositoryLocked",
    "StaleLockRemoved",
    "UnpackedObjects",
    "WaitingForLock",
    "acquire",
    "is_stale",
    "list_locks",
    "remove_all",
    "remove_stale",
]
