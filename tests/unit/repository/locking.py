"""What the tests of locks share: a clock that is set by hand, and a repository's sealed objects in memory."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pivori.repository.crypto import MasterKey
from pivori.repository.lock_files import Holder, LockRecord, encode_lock, new_record
from pivori.repository.locks import LockNotes, Witness
from pivori.repository.objects import SealedObjects
from pivori.storage import Kind, MemoryStorage, Storage

SECOND = 1_000_000_000
NOW = 1_762_603_200 * SECOND  # 2025-11-08T12:00:00Z
US = Holder(hostname="here", username="ann", pid=100, uid=1000, gid=1000)
THEM = Holder(hostname="there", username="bob", pid=200)


class HandClock:
    """Time passes by sleeping, or when the test says so. ``during_sleep`` is called once, in the next sleep."""

    def __init__(self) -> None:
        self.wall = NOW
        self.steady = 1000.0
        self.slept: list[float] = []
        self.during_sleep: Callable[[], object] | None = None

    def now(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.wall // 1000)

    def now_ns(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        hook, self.during_sleep = self.during_sleep, None
        if hook is not None:
            hook()

    def advance(self, seconds: float, *, asleep: bool = False) -> None:
        """Let time pass; a machine that is ``asleep`` sees only its wall clock move."""
        self.wall += round(seconds * SECOND)
        if not asleep:
            self.steady += seconds


def sealed_objects(storage: Storage | None = None) -> SealedObjects:
    """The sealed objects of an empty repository."""
    if storage is None:
        storage = MemoryStorage()
        storage.create()
    return SealedObjects(storage, MasterKey(bytes(range(32)), bytes(16), bytes(range(16))), 2)


def put_lock(objects: SealedObjects, holder: Holder = THEM, *, exclusive: bool = False, age: float = 60.0) -> str:
    """Store a lock that ``holder`` took ``age`` seconds before NOW; returns its name."""
    record = new_record(holder, exclusive=exclusive, now_ns=NOW - round(age * SECOND))
    return put_record(objects, record)


def put_record(objects: SealedObjects, record: LockRecord) -> str:
    """Store a lock record; returns its name."""
    return objects.save_unpacked(Kind.LOCK, encode_lock(record))


def lock_names(objects: SealedObjects) -> set[str]:
    """The names of the lock objects in the storage."""
    return {item.name for item in objects.storage.list(Kind.LOCK)}


def witness_of(
    holder: Holder = US,
    alive: Callable[[int], bool] = lambda _pid: True,
    *,
    notes: LockNotes | None = None,
    booted: float | None = None,
) -> Witness:
    """What the machine of ``holder`` says; it was started ``booted`` seconds before NOW."""
    booted_ns = None if booted is None else NOW - round(booted * SECOND)
    return Witness(holder=holder, process_alive=alive, notes=notes or LockNotes(), booted_ns=booted_ns)
