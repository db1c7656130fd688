"""One lock: taken, confirmed, renewed while held, given back. :mod:`pivori.repository.locks` tells the protocol."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from pivori.clock import Clock
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.repository.lock_conflicts import Conflicts, RepositoryLocked
from pivori.repository.lock_files import (
    LockDamaged,
    LockRecord,
    UnpackedObjects,
    encode_lock,
    list_locks,
    new_record,
    remove_lock,
)
from pivori.repository.lock_witness import REFRESH_SECONDS, STALE_AFTER_SECONDS, Witness
from pivori.storage import Kind, NotFound, StorageError
from pivori.translation import N_, duration_phrase

SETTLE_SECONDS: Final = 0.2
LOST_AFTER_SECONDS: Final = STALE_AFTER_SECONDS - 1.5 * REFRESH_SECONDS
_RETRY_REFRESH_SECONDS: Final = 30
_OVERDUE_AFTER_SECONDS: Final = 1.5 * REFRESH_SECONDS
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
class LockNotReleased(Event):
    """Our own lock object could not be removed: it refuses others until it is stale or removed by hand."""

    name: str
    reason: PivoriError


class Lock:
    """A lock that is held; ``acquire`` makes it, :meth:`release` or the end of ``with`` gives it back.

    A thread renews it in the background. The methods may be called from any thread; :meth:`check` and
    :meth:`refresh_if_due` cost about a microsecond when nothing is due.
    """

    def __init__(
        self,
        objects: UnpackedObjects,
        conflicts: Conflicts,
        *,
        witness: Witness,
        exclusive: bool,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self.exclusive = exclusive
        self._objects = objects
        self._conflicts = conflicts
        self._holder = witness.holder
        self._notes = witness.notes
        self._clock = clock
        self._emit = emit
        # Reentrant, because an interruption may come between its acquisition and the place that would give it back.
        self._mutex = threading.RLock()
        self._stopped = threading.Event()
        self._held: dict[str, LockRecord] = {}  # our objects, the newest last; the others could not be removed so far
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
        names = list(self._held)
        return names[-1] if names else ""

    def take(self, *, confirm_later: bool) -> None:
        """Get the lock, as described at the top. Raises RepositoryLocked, LockDamaged, StorageError.

        Nothing of ours is left behind on failure. ``acquire`` calls this.
        """
        try:
            self._conflicts.refuse(())
            self._write()
            if confirm_later:
                self._conflicts.refuse(self._held)
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
                    self._demand_presence(self.name)
                    return
                remaining = SETTLE_SECONDS - (self._clock.monotonic() - self._written_at)
                if remaining > 0:
                    self._clock.sleep(remaining)
                self._demand_presence(self.name)
                self._conflicts.refuse(self._held)
                self._confirmed = True
        except (RepositoryLocked, LockDamaged):
            self.release()
            raise

    def check(self) -> None:
        """Raise LockLost when the lock can no longer be relied upon; call it before every write.

        A lock that is overdue, because the machine slept, is renewed here if its object is still there. One that
        could not be renewed when it was time is looked after: on a host of our name it counts as abandoned soon.
        """
        self._raise_if_lost()
        age = self._age()
        if age >= LOST_AFTER_SECONDS:
            self.refresh_if_due()
        elif age >= _OVERDUE_AFTER_SECONDS:
            # Who cannot be asked now cannot be written to either.
            with self._mutex, suppress(StorageError):
                self._demand_presence(self.name)

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
        """Give the lock back. May be called again; what cannot be removed is told by LockNotReleased.

        Nothing is raised but an interruption, once all is done.
        """
        try:
            self._release()
        except KeyboardInterrupt:
            # It comes once at most, so the second attempt goes through.
            self._release()
            raise

    def _release(self) -> None:
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
        encoded = encode_lock(record)
        self._unnamed = record
        self._notes.write(encoded)
        name = self._objects.save_unpacked(Kind.LOCK, encoded)
        self._held[name] = record
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
        old = self.name
        self._demand_presence(old)
        self._remove_unnamed()
        self._write()
        if settle:
            self._clock.sleep(SETTLE_SECONDS)
            self._demand_presence(old)
        for name in list(self._held)[:-1]:
            try:
                remove_lock(self._objects, name)
            except StorageError:
                continue  # tried again at the next renewal and at the release
            self._forget(name)

    def _demand_presence(self, name: str) -> None:
        """Raise LockLost when our object is gone, StorageError when nobody can tell."""
        try:
            self._objects.storage.size(Kind.LOCK, name)
        except NotFound:
            self._lost = LockLost(location=self._objects.storage.location)
            raise self._lost from None

    def _remove_own(self) -> None:
        self._remove_unnamed()
        for name in list(self._held):
            if self._remove_or_tell(name):
                self._forget(name)
            else:
                # Its note stays: who comes after us can tell that it is a dead process's.
                self._held.pop(name, None)

    def _forget(self, name: str) -> None:
        """The object of that name is gone: its note has nothing to say any more."""
        record = self._held.get(name)
        if record is not None:
            self._notes.remove(encode_lock(record))
        self._held.pop(name, None)

    def _remove_or_tell(self, name: str) -> bool:
        try:
            remove_lock(self._objects, name)
        except StorageError as error:
            self._emit(LockNotReleased(name=name, reason=error))
            return False
        return True

    def _remove_unnamed(self) -> None:
        """Remove the object of a write that was interrupted: stored perhaps, but we never learnt its name."""
        record = self._unnamed
        if record is None:
            return
        held = dict(self._held)
        try:
            names = [info.name for info in list_locks(self._objects, skip=held) if info.record == record]
        except StorageError:
            return
        if all([self._remove_or_tell(name) for name in names]) and record not in held.values():
            self._notes.remove(encode_lock(record))
        # Last, so that an interruption here is made good by the next call.
        self._unnamed = None
