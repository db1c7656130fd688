"""The folders above the snapshots, as restic's mount has them.

``ids/<short id>``, ``snapshots/<time>``, ``hosts/<host>/<time>`` and ``tags/<tag>/<time>``; in each folder of times a
link ``latest``. A time is written as the snapshot has it, without the fraction; when two are the same, the later ones
get ``-1``, ``-2`` and so on.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pivori.repository import LoadedSnapshot, newest_first

_FRACTION: Final = re.compile(r"\.[0-9]+")
_SHORT: Final = 8
_LONGEST_NAME: Final = 255


@dataclass(frozen=True)
class Link:
    """A symbolic link to a neighbour."""

    target: bytes
    time_ns: int


@dataclass
class Folder:
    """A folder that is in no snapshot. ``time_ns`` is that of the newest snapshot in it."""

    time_ns: int = 0
    items: "dict[bytes, Folder | Link | LoadedSnapshot]" = field(default_factory=dict)


def make_layout(snapshots: Iterable[LoadedSnapshot]) -> Folder:
    """The folders for these snapshots."""
    oldest_first = newest_first(snapshots)[::-1]
    hosts: dict[bytes, list[LoadedSnapshot]] = {}
    tags: dict[bytes, list[LoadedSnapshot]] = {}
    for loaded in oldest_first:
        hosts.setdefault(folder_name(loaded.snapshot.hostname), []).append(loaded)
        for tag in dict.fromkeys(map(folder_name, loaded.snapshot.tags)):
            tags.setdefault(tag, []).append(loaded)
    return _folder(
        {
            b"ids": _by_id(oldest_first),
            b"snapshots": _by_time(oldest_first),
            b"hosts": _folder({name: _by_time(members) for name, members in sorted(hosts.items())}),
            b"tags": _folder({name: _by_time(members) for name, members in sorted(tags.items())}),
        }
    )


def folder_name(text: str) -> bytes:
    """A host or tag as the name of a folder: nothing that leads elsewhere, nothing too long."""
    name = text.replace("/", "_").replace("\0", "_").encode("utf-8", "surrogateescape")[:_LONGEST_NAME]
    return b"_" * max(len(name), 1) if not name.strip(b".") else name


def _folder(items: dict[bytes, Folder]) -> Folder:
    return Folder(max((folder.time_ns for folder in items.values()), default=0), dict(items))


def _by_id(snapshots: Sequence[LoadedSnapshot]) -> Folder:
    """Each under its first digits; where these are the same, under as many as tell them apart."""
    folder = Folder(max((loaded.time_ns for loaded in snapshots), default=0))
    for loaded in snapshots:
        name = loaded.id[:_SHORT].encode()
        folder.items[name if name not in folder.items else loaded.id.encode()] = loaded
    return folder


def _by_time(snapshots: Sequence[LoadedSnapshot]) -> Folder:
    """Each under its time; ``snapshots`` has the oldest first, and at least one member where that matters."""
    folder = Folder()
    name = b""
    for loaded in snapshots:
        moment = os.fsencode(_FRACTION.sub("", loaded.snapshot.time))
        name, number = moment, 0
        while name in folder.items:
            number += 1
            name = b"%b-%d" % (moment, number)
        folder.items[name] = loaded
        folder.time_ns = loaded.time_ns
    if name:
        folder.items[b"latest"] = Link(name, folder.time_ns)
    return folder
