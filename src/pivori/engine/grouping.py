"""Snapshots in groups by host, paths and tags, for listings."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pivori.engine.forget_plan import DEFAULT_GROUPING
from pivori.repository import LoadedSnapshot, newest_first


@dataclass(frozen=True)
class SnapshotGroup:
    """Snapshots that have something in common, the oldest first; what they are not grouped by is None."""

    host: str | None
    paths: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    snapshots: Sequence[LoadedSnapshot]


def group_snapshots(snapshots: Iterable[LoadedSnapshot], by: Collection[str]) -> list[SnapshotGroup]:
    """Divide by ``host``, ``paths`` and ``tags``, sorted by these; nothing to divide by makes one group.

    The order of a snapshot's paths and tags is of no account.
    """
    members: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[LoadedSnapshot]] = {}
    for loaded in newest_first(snapshots)[::-1]:
        snapshot = loaded.snapshot
        key = (
            snapshot.hostname if "host" in by else "",
            tuple(sorted(snapshot.paths)) if "paths" in by else (),
            tuple(sorted(snapshot.tags)) if "tags" in by else (),
        )
        members.setdefault(key, []).append(loaded)
    return [
        SnapshotGroup(
            host if "host" in by else None,
            paths if "paths" in by else None,
            tags if "tags" in by else None,
            members[host, paths, tags],
        )
        for host, paths, tags in sorted(members)
    ]


def newest_of_each(snapshots: Iterable[LoadedSnapshot], count: int, by: Collection[str]) -> list[LoadedSnapshot]:
    """The last ``count`` snapshots of each group, newest first; without ``by``, of each host and set of paths."""
    groups = group_snapshots(snapshots, by or DEFAULT_GROUPING)
    return newest_first(loaded for group in groups for loaded in group.snapshots[-count:])
