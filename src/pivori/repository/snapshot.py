"""Snapshots: the object that names a tree, a moment, a host and what was backed up.

The JSON is restic's, key by key (``docs/format.md``). Reading is tolerant as Go is: fields that are not known are
ignored, ``null`` counts as absent. It trusts nothing else: a wrong type, an id that is none or a time that is none
makes the snapshot damaged. Fields this program does not know are lost when a snapshot is written again, so nothing
of our own is kept in fields of our own.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final

import msgspec

from pivori.errors import PivoriError
from pivori.repository.times import parse_time
from pivori.translation import N_

_ObjectName = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Unsigned32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_GO_ZERO_TIME: Final = "0001-01-01T00:00:00Z"


class SnapshotDamaged(PivoriError):
    """A snapshot object opens, but does not hold a snapshot."""

    code = "snapshot-damaged"
    message = N_("The snapshot {name} is damaged: {reason}.")
    hint = N_("Run `pivori verify` to learn what is hurt; the other snapshots can still be restored.")


class Summary(msgspec.Struct, kw_only=True, frozen=True):
    """What a backup did: plain numbers, in restic's order. All are written, also zeros.

    ``data_added`` counts plain bytes of new blobs, ``data_added_packed`` what they take in the storage.
    """

    backup_start: str = _GO_ZERO_TIME
    backup_end: str = _GO_ZERO_TIME
    files_new: _Count = 0
    files_changed: _Count = 0
    files_unmodified: _Count = 0
    dirs_new: _Count = 0
    dirs_changed: _Count = 0
    dirs_unmodified: _Count = 0
    data_blobs: _Count = 0
    tree_blobs: _Count = 0
    data_added: _Count = 0
    data_added_packed: _Count = 0
    total_files_processed: _Count = 0
    total_bytes_processed: _Count = 0


class Snapshot(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One snapshot. ``time`` is RFC 3339 with nanoseconds; ``tree``, ``parent`` and ``original`` are names in hex.

    ``paths`` are the absolute paths that were backed up (see :func:`path_text`). ``original`` is the name under which
    the snapshot was first made, when its metadata was edited or it was copied since. Fields that are empty are not
    written, like Go's ``omitempty``.
    """

    time: str
    parent: _ObjectName | None = None
    tree: _ObjectName
    paths: list[str]
    hostname: str = ""
    username: str = ""
    uid: _Unsigned32 = 0
    gid: _Unsigned32 = 0
    excludes: list[str] = []
    tags: list[str] = []
    original: _ObjectName | None = None
    program_version: str = ""
    summary: Summary | None = None


@dataclass(frozen=True)
class LoadedSnapshot:
    """A snapshot and the name of its object (``id``: 64 hexadecimal digits)."""

    id: str
    snapshot: Snapshot

    @cached_property
    def time_ns(self) -> int:
        """When the snapshot was made, in nanoseconds since the epoch."""
        return parse_time(self.snapshot.time)


def path_text(path: bytes) -> str:
    """A source path as ``paths`` holds it. JSON holds no bytes: what is not UTF-8 becomes U+FFFD, as in restic."""
    return path.decode("utf-8", "replace")


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The JSON that is sealed and stored. Text from the system that is not UTF-8 is written with U+FFFD."""
    fields = {name: _presentable(getattr(snapshot, name)) for name in _TEXT_FIELDS}
    return msgspec.json.encode(msgspec.structs.replace(snapshot, **fields))


_TEXT_FIELDS: Final = ("paths", "hostname", "username", "excludes", "tags", "program_version")


def _presentable(value: str | list[str]) -> str | list[str]:
    if isinstance(value, list):
        return [_without_surrogates(text) for text in value]
    return _without_surrogates(value)


def _without_surrogates(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def decode_snapshot(data: bytes, name: str) -> Snapshot:
    """Read a snapshot, trusting nothing. Raises SnapshotDamaged, which names the object ``name``."""
    try:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        if isinstance(fields.get("summary"), dict):
            fields["summary"] = _without_nulls(fields["summary"])
        snapshot = msgspec.convert({"paths": []} | _without_nulls(fields), Snapshot)
        for time in _times(snapshot):
            parse_time(time)
    except (ValueError, RecursionError, PivoriError) as error:
        raise SnapshotDamaged(name=name, reason=str(error)) from None
    return snapshot


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _times(snapshot: Snapshot) -> list[str]:
    summary = snapshot.summary
    return [snapshot.time, summary.backup_start, summary.backup_end] if summary else [snapshot.time]


def edited(loaded: LoadedSnapshot, **changes: object) -> Snapshot:
    """A copy of a snapshot with ``changes``, which remembers under ``original`` where it comes from."""
    return msgspec.structs.replace(loaded.snapshot, original=loaded.snapshot.original or loaded.id, **changes)
