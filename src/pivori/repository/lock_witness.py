"""Whether the holder of a lock still works: what this machine can say, and when a lock may therefore be removed.

A lock names its holder's host and process, and both may deceive: a container may have the name of its host and
processes of its own, two machines may have one name, and a process number is given out again. Removing the lock of
somebody who works loses data; leaving a dead one in place only asks for patience. So there are three degrees:

- *proven dead*: the lock is ours (:mod:`pivori.repository.lock_notes`), and its process is known to be gone;
- *abandoned*: it bears the name of this host, no process of its number runs here, and it was not renewed for ten
  minutes. Whoever lives renews after five, wherever it is: this program and restic alike;
- *unseen*: the same, but younger. It may be in a container; only a person can know.

The first two are removed on sight, the third by ``unlock`` only. That the machine was started anew counts like a
process that is not there, once that is ten minutes ago too: until then clocks may still be being set.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pivori.clock import Clock
from pivori.repository.lock_files import (
    Holder,
    LockRecord,
    UnpackedObjects,
    age_seconds,
    encode_lock,
    list_locks,
    presentable,
    remove_lock,
)
from pivori.repository.lock_notes import LockNotes, Whereabouts

REFRESH_SECONDS: Final = 5 * 60
ABANDONED_AFTER_SECONDS: Final = 2 * REFRESH_SECONDS
STALE_AFTER_SECONDS: Final = 30 * 60


class Standing(Enum):
    """What is to be thought of a lock."""

    HELD = "held"
    """Nothing speaks against its holder being at work, but perhaps its age."""
    UNSEEN = "unseen"
    """It says that it is of this host; its process is not seen here. Too young to be called abandoned."""
    ABANDONED = "abandoned"
    """As before, and not renewed for ten minutes."""
    DEAD = "dead"
    """Its process is proven to be gone."""


@dataclass(frozen=True, kw_only=True)
class Witness:
    """This machine as a witness: who asks (``holder``), and how it finds out.

    ``booted_ns`` is when the machine was started, None where it does not say.
    """

    holder: Holder
    process_alive: Callable[[int], bool]
    notes: LockNotes = field(default_factory=LockNotes)
    booted_ns: int | None = None

    def standing(self, record: LockRecord, now_ns: int) -> Standing:
        """What is to be thought of the lock with this record at this moment."""
        noted = self.notes.find(encode_lock(record))
        if noted is Whereabouts.GONE or (noted is Whereabouts.BEFORE and self._precedes_boot(record)):
            return Standing.DEAD
        is_old = age_seconds(record, now_ns) > ABANDONED_AFTER_SECONDS
        if noted is Whereabouts.RUNNING or not self._is_of_this_host(record):
            return Standing.HELD
        if noted is Whereabouts.ELSEWHERE:
            return Standing.ABANDONED if is_old else Standing.HELD
        if not self._is_seen(record):
            return Standing.ABANDONED if is_old else Standing.UNSEEN
        return Standing.ABANDONED if self._fell_with_the_machine(record, now_ns) else Standing.HELD

    def is_stale(self, record: LockRecord, now_ns: int) -> bool:
        """Whether ``unlock`` removes the lock: not renewed for 30 minutes, or its process is not seen where it was."""
        return age_seconds(record, now_ns) > STALE_AFTER_SECONDS or self.standing(record, now_ns) is not Standing.HELD

    def _is_of_this_host(self, record: LockRecord) -> bool:
        return bool(self.holder.hostname) and record.hostname == presentable(self.holder.hostname)

    def _is_seen(self, record: LockRecord) -> bool:
        """Whether a process of the lock's number runs here.

        Numbers below 1 name no process (and would address whole groups of them). Our own number is no other's: this
        process renews what it holds itself.
        """
        return record.pid > 0 and record.pid != self.holder.pid and self.process_alive(record.pid)

    def _precedes_boot(self, record: LockRecord) -> bool:
        return self.booted_ns is not None and record.created_ns < self.booted_ns

    def _fell_with_the_machine(self, record: LockRecord, now_ns: int) -> bool:
        """Whether the machine was started since the lock was renewed, and long enough ago for clocks to be right."""
        return (
            self.booted_ns is not None
            and self._precedes_boot(record)
            and now_ns - self.booted_ns > ABANDONED_AFTER_SECONDS * 10**9
        )


def remove_stale(objects: UnpackedObjects, *, witness: Witness, clock: Clock) -> int:
    """Remove the stale locks and return how many; damaged ones stay. Raises StorageError."""
    now_ns = clock.now_ns()
    removed = 0
    for info in list_locks(objects):
        if info.record is not None and witness.is_stale(info.record, now_ns):
            removed += remove_lock(objects, info.name)
            witness.notes.remove(encode_lock(info.record))
    return removed
