"""Who stands in the way of a lock, and what to tell about them.

Two shared locks live together; any other pair does not. A lock that was left behind by a process of this machine is
removed on sight, when that is certain enough (:mod:`pivori.repository.lock_witness`). One of another machine never is,
however old: its holder may be asleep or have a wrong clock, so a person has to decide.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from pivori.clock import Clock
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.repository.lock_files import (
    LockDamaged,
    LockInfo,
    LockRecord,
    UnpackedObjects,
    age_seconds,
    encode_lock,
    list_locks,
    remove_lock,
)
from pivori.repository.lock_witness import ABANDONED_AFTER_SECONDS, STALE_AFTER_SECONDS, Standing, Witness
from pivori.storage import StorageError
from pivori.translation import N_, duration_phrase

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RepositoryLocked(PivoriError):
    """Somebody else holds a lock. ``exclusive`` in the details tells which kind."""

    code = "repository-locked"
    message = N_("{location} is in use by {username} on {hostname} (process {pid}) since {since}, {age} ago.")
    hint = N_("Run the command again when that program is done, or let it wait with --retry-lock.")
    exit_status = 11


class RepositoryLockedExclusively(RepositoryLocked):
    """Somebody else holds an exclusive lock."""

    message = N_(
        "{location} is locked for exclusive use by {username} on {hostname} (process {pid}) since {since}, {age} ago."
    )


class LockAbandoned(RepositoryLocked):
    """The lock in the way was not renewed for so long that its holder must be gone, or asleep."""

    message = N_(
        "{location} is still locked by {username} on {hostname} (process {pid}), but the lock was last renewed "
        "{since}, {age} ago."
    )
    hint = N_("The lock looks abandoned: make sure that program no longer runs, then run `pivori unlock`.")


class HolderUnseen(RepositoryLocked):
    """The lock in the way bears the name of this host, but its process is not seen here."""

    message = N_(
        "{location} is locked by {username} on {hostname} (process {pid}) since {since}, {age} ago. No such process "
        "runs here, but it may run in a container."
    )
    hint = N_(
        "If you know that it does not run any more, run `pivori unlock`. If it is not renewed, the lock counts as "
        "abandoned in {remaining} and is then removed by itself; --retry-lock waits for that."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleLockRemoved(Event):
    """The lock of a process that no longer runs on this machine was found and removed."""

    hostname: str
    username: str
    pid: int
    exclusive: bool
    age_seconds: float


class Conflicts:
    """Looks for locks in the way of one locker; what was read in one look is not read again in the next."""

    def __init__(
        self,
        objects: UnpackedObjects,
        *,
        witness: Witness,
        exclusive: bool,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self._objects = objects
        self._witness = witness
        self._exclusive = exclusive
        self._clock = clock
        self._emit = emit
        self._known: dict[str, LockInfo] = {}
        self._tidied = False

    def refuse(self, own: Collection[str]) -> None:
        """Look once, passing over the locks named in ``own``.

        Locks of dead processes of this machine are removed. Raises RepositoryLocked, LockDamaged, StorageError.
        """
        infos = list_locks(self._objects, skip=own, known=self._known)
        if not self._tidied:
            self._tidied = True
            self._witness.notes.tidy([encode_lock(info.record) for info in infos if info.record is not None])
        for info in infos:
            record = info.content
            if isinstance(record, LockDamaged):
                raise record
            standing = self._witness.standing(record, self._clock.now_ns())
            if standing in (Standing.ABANDONED, Standing.DEAD) and self._remove(info.name, record):
                continue
            if self._exclusive or record.exclusive:
                raise _refusal(self._objects.storage.location, record, standing, self._clock)

    def _remove(self, name: str, record: LockRecord) -> bool:
        try:
            removed = remove_lock(self._objects, name)
        except StorageError:
            return False  # a medium without deletions: then the lock counts like any other
        self._witness.notes.remove(encode_lock(record))
        if removed:
            self._emit(
                StaleLockRemoved(
                    hostname=record.hostname,
                    username=record.username,
                    pid=record.pid,
                    exclusive=record.exclusive,
                    age_seconds=age_seconds(record, self._clock.now_ns()),
                )
            )
        return True


def _refusal(location: str, record: LockRecord, standing: Standing, clock: Clock) -> RepositoryLocked:
    age = age_seconds(record, clock.now_ns())
    kind = RepositoryLockedExclusively if record.exclusive else RepositoryLocked
    more = {}
    if standing is Standing.UNSEEN:
        kind = HolderUnseen
        # A lock from the future has to get as old as any other first.
        waiting = ABANDONED_AFTER_SECONDS - (clock.now_ns() - record.created_ns) / 1e9
        more["remaining"] = duration_phrase(waiting + 1)
    elif age > STALE_AFTER_SECONDS:
        kind = LockAbandoned
    return kind(
        location=location,
        username=record.username,
        hostname=record.hostname,
        pid=record.pid,
        exclusive=record.exclusive,
        since=_local_time(record, clock.now().tzinfo),
        age=duration_phrase(age),
        **more,
    )


def _local_time(record: LockRecord, zone: tzinfo | None) -> str:
    """When the lock was written, by our own clock; as the record says it when a calendar cannot express it."""
    try:
        moment = _EPOCH + timedelta(microseconds=record.created_ns // 1000)
        return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):
        return record.time
