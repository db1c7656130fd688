"""Which snapshot is meant: by id prefix, ``latest``, ``latest~N`` or ``@2025-11-08T12:00``; and filters on many.

Everything here is a pure function over snapshots that were loaded before. A snapshot is newer than another one when
its time is later; at the same time, when its id is greater, so that answers never depend on the order of a listing.
"""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from pivori.errors import PivoriError
from pivori.repository.snapshot import LoadedSnapshot
from pivori.translation import N_

_LATEST = re.compile(r"latest(?:~([0-9]{1,9}))?")
_ID_PREFIX = re.compile(r"[0-9a-f]{1,64}", re.IGNORECASE)
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]((?:[01][0-9]|2[0-3]):[0-9]{2})(?:(:[0-9]{2})(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000
_SHOWN_CANDIDATES: Final = 5
_SHOWN_DIGITS: Final = 8


class SnapshotNotFound(PivoriError):
    """No snapshot fits what was asked for."""

    code = "snapshot-not-found"
    message = N_("There is no snapshot {text}.")
    hint = N_("List the snapshots with `pivori snapshots`.")


class NoSnapshots(SnapshotNotFound):
    """There is nothing to choose from."""

    message = N_("There is no snapshot to choose {text} from.")
    hint = N_("Check the filters for host, tag and path, or make a snapshot with `pivori backup`.")


class TooFewSnapshots(SnapshotNotFound):
    """``latest~N`` reaches further back than there are snapshots."""

    message = N_("There is no snapshot {text}: the oldest is latest~{last}.")


class NoSnapshotBefore(SnapshotNotFound):
    """Every snapshot is later than the moment asked for."""

    message = N_("There is no snapshot {text}: the oldest one, {oldest}, is from {time}.")


class NotASnapshotName(SnapshotNotFound):
    """The text cannot name a snapshot."""

    code = "not-a-snapshot-name"
    message = N_("{text} does not name a snapshot.")
    hint = N_("Write the first digits of its id, `latest`, `latest~2`, or a moment such as `@2025-11-08T12:00`.")


class AmbiguousSnapshot(PivoriError):
    """An id prefix fits several snapshots."""

    code = "ambiguous-snapshot"
    message = N_("{text} fits {count} snapshots: {candidates}.")
    hint = N_("Write more digits of the id.")


def newest_first(snapshots: Iterable[LoadedSnapshot]) -> list[LoadedSnapshot]:
    """The snapshots from the newest to the oldest."""
    return sorted(snapshots, key=_age_order, reverse=True)


def _age_order(loaded: LoadedSnapshot) -> tuple[int, str]:
    return loaded.time_ns, loaded.id


def find(snapshots: Sequence[LoadedSnapshot], text: str, *, zone: tzinfo | None = None) -> LoadedSnapshot:
    """The snapshot that ``text`` names among ``snapshots`` (for ``latest``, those that passed the filters).

    A moment without an offset is meant in ``zone``; None is the zone of the machine. Raises NotASnapshotName,
    SnapshotNotFound, AmbiguousSnapshot.
    """
    latest = _LATEST.fullmatch(text)
    if latest:
        return _find_latest(snapshots, text, int(latest[1] or 0))
    if text.startswith("@"):
        return _find_moment(snapshots, text, zone)
    if _ID_PREFIX.fullmatch(text):
        return _find_id(snapshots, text)
    raise NotASnapshotName(text=text)


def _find_latest(snapshots: Sequence[LoadedSnapshot], text: str, back: int) -> LoadedSnapshot:
    if not snapshots:
        raise NoSnapshots(text=text)
    if back >= len(snapshots):
        raise TooFewSnapshots(text=text, last=len(snapshots) - 1)
    return newest_first(snapshots)[back]


def _find_moment(snapshots: Sequence[LoadedSnapshot], text: str, zone: tzinfo | None) -> LoadedSnapshot:
    moment_ns = parse_moment(text[1:], zone=zone)
    if not snapshots:
        raise NoSnapshots(text=text)
    until = [loaded for loaded in snapshots if loaded.time_ns <= moment_ns]
    if not until:
        oldest = min(snapshots, key=_age_order)
        raise NoSnapshotBefore(text=text, oldest=oldest.id[:_SHOWN_DIGITS], time=_shown(oldest, zone))
    return max(until, key=_age_order)


def _shown(loaded: LoadedSnapshot, zone: tzinfo | None) -> str:
    """A snapshot's time in the zone the moment was meant in, to the second."""
    with suppress(ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(loaded.time_ns // _SECOND, UTC).astimezone(zone)
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return loaded.snapshot.time


def _find_id(snapshots: Sequence[LoadedSnapshot], text: str) -> LoadedSnapshot:
    prefix = text.lower()
    by_id = {loaded.id: loaded for loaded in snapshots if loaded.id.startswith(prefix)}
    found = [by_id[name] for name in sorted(by_id)]
    if not found:
        raise SnapshotNotFound(text=text)
    if len(found) > 1:
        raise AmbiguousSnapshot(text=text, count=len(found), candidates=_candidates([loaded.id for loaded in found]))
    return found[0]


def _candidates(ids: list[str]) -> str:
    """The first of several ids, with as many digits as tell them all apart."""
    digits = next(count for count in range(_SHOWN_DIGITS, 65) if len({name[:count] for name in ids}) == len(ids))
    more = ["…"] if len(ids) > _SHOWN_CANDIDATES else []
    return ", ".join([name[:digits] for name in ids[:_SHOWN_CANDIDATES]] + more)


def parse_moment(text: str, *, zone: tzinfo | None = None, start: bool = False) -> int:
    """The last nanosecond since the epoch that a written moment includes; with ``start``, the first one.

    To search, a date means the end of that day. A second includes what happened within it, as listings show whole
    seconds. A minute is its very beginning: who asks for the state at noon does not want what came after. To record,
    the beginning is what was written. An offset (``Z``, ``+02:00``) overrides ``zone``; None is the zone of the
    machine. Raises NotASnapshotName.
    """
    match = _MOMENT.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        date, minute, second, fraction, offset = match.groups()
        if minute is None:
            day = datetime.fromisoformat(date)
            return _nanoseconds(day, zone) if start else _nanoseconds(day + timedelta(days=1), zone) - 1
        written = datetime.fromisoformat(f"{date}T{minute}{second or ''}{offset or ''}")
        beginning = _nanoseconds(written, zone)
    except (ValueError, OverflowError, OSError):
        raise NotASnapshotName(text=f"@{text}") from None
    if fraction:
        return beginning + int(fraction[1:].ljust(9, "0"))
    return beginning + _SECOND - 1 if second and not start else beginning


def _nanoseconds(written: datetime, zone: tzinfo | None) -> int:
    if written.tzinfo is None:
        written = written.replace(tzinfo=zone) if zone is not None else written.astimezone()
    return (written - _EPOCH) // timedelta(seconds=1) * _SECOND


def split_subtree(text: str) -> tuple[str, bytes]:
    """Split ``SNAP:/sub/dir`` into the snapshot's name and the path below its root, ``/sub/dir``.

    The path is normal: one slash between names, none at the end, no ``.``; empty when there is none or it is the
    root. In a moment, whose time has colons itself, the path has to begin with a slash. Raises NotASnapshotName
    for a path with ``..``.
    """
    name, separator, path = text.partition(":/" if text.startswith("@") else ":")
    if not separator:
        return text, b""
    parts = [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise NotASnapshotName(text=text)
    return name, b"".join(b"/" + part for part in parts)


def parse_tags(text: str) -> tuple[str, ...]:
    """What one ``--tag`` option asks for: all of the tags between its commas; an empty text, that there is none."""
    return tuple(part.strip() for part in text.split(","))


def select(
    snapshots: Iterable[LoadedSnapshot],
    *,
    hosts: Collection[str] = (),
    tags: Collection[Collection[str]] = (),
    paths: Collection[str] = (),
) -> list[LoadedSnapshot]:
    """The snapshots that pass every filter, in their order; an empty filter lets all pass. The rules are restic's.

    ``hosts``: the host is one of them. ``tags``: of one of the groups (:func:`parse_tags`) the snapshot has all; the
    empty tag fits a snapshot without tags. ``paths``: all of them were backed up.
    """
    wanted_hosts, wanted_paths = frozenset(hosts), frozenset(paths)
    return [
        loaded
        for loaded in snapshots
        if (not wanted_hosts or loaded.snapshot.hostname in wanted_hosts)
        and (not tags or any(_has_tags(loaded.snapshot.tags, group) for group in tags))
        and wanted_paths.issubset(loaded.snapshot.paths)
    ]


def _has_tags(present: Sequence[str], wanted: Iterable[str]) -> bool:
    """Whether all ``wanted`` tags are there; from an empty tag on, whether there are none at all."""
    for tag in wanted:
        if not tag and not present:
            return True
        if tag not in present:
            return False
    return True


def parent_for(
    snapshots: Iterable[LoadedSnapshot], *, host: str, paths: Collection[str], before: int
) -> LoadedSnapshot | None:
    """The newest snapshot of the same host and the same set of paths, made at ``before`` (nanoseconds) or earlier."""
    wanted = frozenset(paths)
    fitting = [
        loaded
        for loaded in snapshots
        if loaded.snapshot.hostname == host and loaded.time_ns <= before and frozenset(loaded.snapshot.paths) == wanted
    ]
    return max(fitting, key=_age_order, default=None)


__all__ = [
    "AmbiguousSnapshot",
    "LoadedSnapshot",
    "NoSnapshotBefore",
    "NoSnapshots",
    "NotASnapshotName",
    "SnapshotNotFound",
    "TooFewSnapshots",
    "find",
    "newest_first",
    "parent_for",
    "parse_moment",
    "parse_tags",
    "select",
    "split_subtree",
]
