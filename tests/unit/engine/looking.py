"""Repositories in memory, made by a real backup of a real folder."""

import os
from pathlib import Path
from typing import Any

from pivori.clock import SystemClock
from pivori.engine.backup import Backup, BackupRequest
from pivori.engine.restore.items import find_subtree
from pivori.host import ProcessIdentity
from pivori.repository import LoadedSnapshot, Repository, Snapshot, format_time
from pivori.storage import MemoryStorage, Storage

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND


def new_repository(storage: Storage | None = None) -> Repository:
    """An empty repository, in memory unless a storage is given."""
    return Repository.create(storage or MemoryStorage(), "x", username="u", hostname="h", created=format_time(START_NS))


def backup_of(repository: Repository, *sources: Path, **options: Any) -> Backup:
    """A backup of these paths at this moment, ready to run; ``options`` are those of its request."""
    usual = {"identity": ProcessIdentity.current(), "host": "h", "time_ns": SystemClock().now_ns()}
    request = BackupRequest(sources=[os.fsencode(source) for source in sources], **(usual | options))
    return Backup(repository, request, clock=SystemClock(), emit=lambda _event: None)


class Shelf:
    """A repository and the folder that is backed up into it; :meth:`keep` makes one more snapshot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.storage = MemoryStorage()
        self.repository = new_repository(self.storage)
        self.snapshots: list[LoadedSnapshot] = []

    def keep(self, *, host: str = "h", tags: tuple[str, ...] = ()) -> LoadedSnapshot:
        """Back the folder up."""
        time_ns = START_NS + len(self.snapshots) * 60 * SECOND
        outcome = backup_of(self.repository, self.folder, host=host, tags=tags, time_ns=time_ns).run()
        assert outcome.snapshot_id is not None
        self.snapshots.append(self.repository.load_snapshot(outcome.snapshot_id))
        return self.snapshots[-1]

    def tree(self, number: int = -1) -> str:
        """The tree of the folder itself in a snapshot."""
        root = self.snapshots[number].snapshot.tree
        return find_subtree(self.repository, root, os.fsencode(self.folder))[0]


def never(path: bytes, error: Exception) -> None:
    """For walks in which nothing is damaged."""
    raise AssertionError((path, error))


def loaded(name: str, second: int = 0, **fields: object) -> LoadedSnapshot:
    """A snapshot that is in no repository."""
    time = format_time(START_NS + second * SECOND)
    values = {"time": time, "tree": "0" * 64, "paths": ["/p"], "hostname": "h"} | fields
    return LoadedSnapshot(name.ljust(64, "0"), Snapshot(**values))
