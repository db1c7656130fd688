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

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pivori.clock import Clock
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.repository.held_lock import Lock, LockExpired, LockLost, LockNotReleased
from pivori.repository.lock_conflicts import Conflicts, RepositoryLocked, StaleLockRemoved
from pivori.repository.lock_files import (
    Holder,
    LockDamaged,
    LockInfo,
    LockRecord,
    UnpackedObjects,
    list_locks,
    remove_all,
)
from pivori.repository.lock_notes import LockNotes
from pivori.repository.lock_witness import Witness, remove_stale

_FIRST_RETRY_SECONDS: Final = 0.5
_LONGEST_RETRY_SECONDS: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingForLock(Event):
    """The repository is taken, ``reason`` tells by whom; it is tried again for up to ``seconds``."""

    reason: PivoriError
    seconds: float


def acquire(
    objects: UnpackedObjects,
    *,
    witness: Witness,
    exclusive: bool,
    clock: Clock,
    emit: Callable[[Event], None],
    wait_seconds: float = 0.0,
    confirm_later: bool = False,
    announce: Callable[[Lock], object] = lambda _lock: None,
) -> Lock:
    """Take a lock on the repository behind ``objects``; use it with ``with``.

    While somebody stands in the way it is tried again for up to ``wait_seconds``. With ``confirm_later`` the caller
    has to call :meth:`Lock.confirm` before it writes anything. Locks of dead processes of this machine
    (the ``witness`` tells) are removed and reported as StaleLockRemoved. Raises RepositoryLocked, LockDamaged,
    StorageError.

    ``announce`` hears of each lock before anything of it is written. Who may be interrupted between the return of
    this function and the next line keeps the lock there, to release it in any case.
    """
    deadline = clock.monotonic() + wait_seconds
    # Two that collide must not try again in step: the process numbers keep them apart.
    delay = _FIRST_RETRY_SECONDS * (1 + witness.holder.pid % 64 / 64)
    waiting = False
    conflicts = Conflicts(objects, witness=witness, exclusive=exclusive, clock=clock, emit=emit)
    while True:
        lock = Lock(objects, conflicts, witness=witness, exclusive=exclusive, clock=clock, emit=emit)
        announce(lock)
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
    "LockNotes",
    "LockRecord",
    "RepositoryLocked",
    "StaleLockRemoved",
    "UnpackedObjects",
    "WaitingForLock",
    "Witness",
    "acquire",
    "list_locks",
    "remove_all",
    "remove_stale",
]
