"""What lies under ``locks``: the record in a lock object, and how locks are listed and removed.

A lock says who works on the repository and whether others may do so too. The record and the rules are restic's
(``docs/format.md``), so that both programs respect each other: a lock object of size zero is ignored, one that
cannot be read blocks everybody.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import msgspec

from pivori.errors import PivoriError
from pivori.repository.times import format_time, parse_time
from pivori.storage import Item, Kind, NotFound, Storage, StorageError
from pivori.translation import N_, Phrase

LARGEST_LOCK_BYTES: Final = 64 << 10
_LISTINGS: Final = 10


class UnpackedObjects(Protocol):
    """What locks need of a repository. The methods are safe to call from several threads."""

    @property
    def storage(self) -> Storage:
        """The medium, for listing and removing."""
        ...

    def save_unpacked(self, kind: Kind, plain: bytes) -> str:
        """Seal and store an object; returns its name. Sealing the same bytes twice gives two names."""
        ...

    def load_unpacked(self, kind: Kind, name: str) -> bytes:
        """The plain content of an object. Raises NotFound, or another PivoriError when it is damaged."""
        ...


class LockDamaged(PivoriError):
    """A lock object holds no lock record: nobody can tell whether it may be ignored, so it blocks."""

    code = "lock-damaged"
    message = N_("The lock {name} is damaged: {reason}.")
    hint = N_("Make sure that nothing works on the repository, then run `pivori unlock --remove-all`.")
    exit_status = 11


@dataclass(frozen=True)
class Holder:
    """Who takes a lock. ``uid`` and ``gid`` are 0 where the system has none."""

    hostname: str
    username: str
    pid: int
    uid: int = 0
    gid: int = 0


_Unsigned32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_ProcessNumber = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**32 - 1)]


class LockRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The JSON of a lock object, in restic's order of keys; ``time`` is RFC 3339 with nanoseconds.

    A reader tolerates missing details of the holder. A field with ``default_factory`` is written even when it is
    empty, one with a plain default is left out then: that is how restic writes them.
    """

    time: str
    exclusive: bool
    hostname: str = msgspec.field(default_factory=str)
    username: str = msgspec.field(default_factory=str)
    pid: _ProcessNumber = msgspec.field(default_factory=int)
    uid: _Unsigned32 = 0
    gid: _Unsigned32 = 0

    @property
    def created_ns(self) -> int:
        """When the lock was written, in nanoseconds since the epoch."""
        return parse_time(self.time)


@dataclass(frozen=True)
class LockInfo:
    """A lock object as it was found: its record, or what is wrong with it."""

    name: str
    content: LockRecord | LockDamaged

    @property
    def record(self) -> LockRecord | None:
        """The lock's record; None when it is damaged."""
        return self.content if isinstance(self.content, LockRecord) else None


def new_record(holder: Holder, *, exclusive: bool, now_ns: int) -> LockRecord:
    """The record of a lock that ``holder`` takes now."""
    return LockRecord(
        time=format_time(now_ns),
        exclusive=exclusive,
        hostname=presentable(holder.hostname),
        username=presentable(holder.username),
        pid=holder.pid,
        uid=holder.uid,
        gid=holder.gid,
    )


def presentable(text: str) -> str:
    """A name as a lock record holds it.

    The system may hand out names that are not UTF-8; JSON cannot hold them and a lock must still be possible.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def encode_lock(record: LockRecord) -> bytes:
    """The JSON that is sealed and stored."""
    return msgspec.json.encode(record)


def decode_lock(data: bytes, name: str) -> LockRecord:
    """Read a lock record, trusting nothing. Raises LockDamaged, which names the object ``name``."""
    try:
        record = msgspec.json.decode(data, type=LockRecord)
        parse_time(record.time)
    except (ValueError, RecursionError, PivoriError) as error:
        raise LockDamaged(name=name, reason=str(error)) from None
    return record


def age_seconds(record: LockRecord, now_ns: int) -> float:
    """How long ago the lock was written; never negative, even when its clock runs ahead of ours."""
    return max(0.0, (now_ns - record.created_ns) / 1e9)


def list_locks(
    objects: UnpackedObjects, *, skip: Collection[str] = (), known: dict[str, LockInfo] | None = None
) -> list[LockInfo]:
    """Every lock, by name, without those of size zero and those named in ``skip``.

    A holder refreshes by writing a new lock and removing the old one, so a lock that vanishes between listing and
    reading means that its successor may be missing from the listing: the locks are listed again then. ``known``
    holds locks that were read before; it saves reading them again and gets the new ones added. Raises StorageError.
    """
    known = {} if known is None else known
    found: dict[str, LockInfo] = {}
    for _ in range(_LISTINGS):
        items = [item for item in objects.storage.list(Kind.LOCK) if item.size > 0 and item.name not in skip]
        loaded = {item.name: known.get(item.name) or _load(objects, item) for item in items}
        found = {name: info for name, info in loaded.items() if info is not None}
        known.update((name, info) for name, info in found.items() if isinstance(info.content, LockRecord))
        if len(found) == len(loaded):
            break
    return [found[name] for name in sorted(found)]


def _load(objects: UnpackedObjects, item: Item) -> LockInfo | None:
    """The lock of a listed object; None when it is gone by now."""
    if item.size > LARGEST_LOCK_BYTES:
        reason = Phrase(N_("it has {size} bytes"), size=item.size)
        return LockInfo(item.name, LockDamaged(name=item.name, reason=reason))
    try:
        return LockInfo(item.name, decode_lock(objects.load_unpacked(Kind.LOCK, item.name), item.name))
    except NotFound:
        return None
    except StorageError:
        raise
    except LockDamaged as error:
        return LockInfo(item.name, error)
    except PivoriError as error:
        return LockInfo(item.name, LockDamaged(name=item.name, reason=str(error)))


def remove_lock(objects: UnpackedObjects, name: str) -> bool:
    """Remove a lock object; False when it was gone already. Raises StorageError."""
    try:
        objects.storage.delete(Kind.LOCK, name)
    except NotFound:
        return False
    return True


def remove_all(objects: UnpackedObjects) -> int:
    """Remove every lock, whoever holds it and whatever state it is in, and return how many. Raises StorageError."""
    return sum(remove_lock(objects, item.name) for item in list(objects.storage.list(Kind.LOCK)))
