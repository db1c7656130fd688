"""Which snapshots a person means: names and filters, looked up in a repository.

The rules themselves are pure and stand in :mod:`pivori.repository.selection`; here is what has to be read for them.
A name made of hexadecimal digits costs one object, however many snapshots there are; ``latest`` and moments cost all.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pivori.errors import PivoriError
from pivori.repository import LoadedSnapshot, Repository, find, newest_first, parse_tags, select, split_subtree
from pivori.storage import Kind

_ID_PREFIX: Final = re.compile(r"[0-9a-f]{1,64}", re.IGNORECASE)

OnDamage = Callable[[PivoriError], None]


@dataclass(frozen=True, kw_only=True)
class SnapshotFilters:
    """Which snapshots are looked at; an empty filter lets all pass. The rules are restic's.

    ``hosts``: the host is one of them. ``tags``: of one of the groups the snapshot has all. ``paths``: all of them
    were backed up.
    """

    hosts: Sequence[str] = ()
    tags: Sequence[Sequence[str]] = ()
    paths: Sequence[str] = ()

    @classmethod
    def parse(cls, hosts: Iterable[str], tags: Iterable[str], paths: Iterable[str]) -> "SnapshotFilters":
        """From option values; each of ``tags`` is a group, its tags separated by commas."""
        return cls(hosts=tuple(hosts), tags=tuple(map(parse_tags, tags)), paths=tuple(paths))

    def __bool__(self) -> bool:
        return bool(self.hosts or self.tags or self.paths)


NO_FILTERS: Final = SnapshotFilters()


def filtered_snapshots(
    repository: Repository, filters: SnapshotFilters = NO_FILTERS, *, on_damage: OnDamage | None = None
) -> list[LoadedSnapshot]:
    """The snapshots that pass the filters, newest first.

    A damaged snapshot raises, unless ``on_damage`` is given to hear of it.
    """
    found = repository.snapshots(on_damage=on_damage)
    return newest_first(select(found, hosts=filters.hosts, tags=filters.tags, paths=filters.paths))


def named_snapshot(
    repository: Repository, name: str, filters: SnapshotFilters = NO_FILTERS, *, on_damage: OnDamage | None = None
) -> LoadedSnapshot:
    """The snapshot with this name: an id prefix, ``latest``, ``latest~2`` or ``@2025-11-08T12:00``.

    The filters count for ``latest`` and for moments; an id is an id. ``on_damage`` hears of damaged snapshots that
    were passed over in the search; the one that an id names raises. Raises SnapshotNotFound, AmbiguousSnapshot.
    """
    if _ID_PREFIX.fullmatch(name):
        return find(repository.snapshots(names=_names_with_prefix(repository, name.lower())), name)
    return find(filtered_snapshots(repository, filters, on_damage=on_damage), name)


def named_subtree(
    repository: Repository, text: str, filters: SnapshotFilters = NO_FILTERS, *, on_damage: OnDamage | None = None
) -> tuple[LoadedSnapshot, bytes]:
    """The snapshot that ``SNAP`` or ``SNAP:/sub/dir`` names, and the path in it: ``/sub/dir``, empty for the root.

    Raises what :func:`named_snapshot` raises; whether the path exists is not looked at.
    """
    name, path = split_subtree(text)
    return named_snapshot(repository, name, filters, on_damage=on_damage), path


def named_or_filtered(
    repository: Repository, names: Sequence[str], filters: SnapshotFilters, *, on_damage: OnDamage | None = None
) -> list[LoadedSnapshot]:
    """The snapshots that ``names`` name, each once, or without names those that pass the filters; newest first."""
    if not names:
        return filtered_snapshots(repository, filters, on_damage=on_damage)
    found = (named_snapshot(repository, name, filters, on_damage=on_damage) for name in names)
    return newest_first({loaded.id: loaded for loaded in found}.values())


def _names_with_prefix(repository: Repository, prefix: str) -> list[str]:
    return [item.name for item in repository.storage.list(Kind.SNAPSHOT) if item.name.startswith(prefix)]
