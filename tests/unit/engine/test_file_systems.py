"""File systems that are mounted in another way than at the last backup, and those that a backup keeps out of."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pivori.engine.backup import BackupOutcome, walk
from pivori.engine.exclusion import Exclusion
from pivori.engine.restore.items import find_subtree
from pivori.host import Entry, find_entries, read_directory
from pivori.repository import LoadedSnapshot, Node, Repository, raw_name, unix_mode
from tests.unit.engine.looking import backup_of, new_repository

FIELDS = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime", "st_mtime", "st_ctime")


@dataclass(frozen=True)
class Mount:
    """What a mount says of everything in it, whatever the file system itself has; ctimes stay as they are."""

    device: int
    uid: int
    gid: int
    umask: int

    def status(self, found: os.stat_result) -> os.stat_result:
        """The status of an entry, as this mount shows it."""
        values = {name: getattr(found, name) for name in FIELDS}
        mode = found.st_mode & ~0o777 | 0o777 & ~self.umask
        values |= {"st_dev": self.device, "st_uid": self.uid, "st_gid": self.gid, "st_mode": mode}
        exact = {name: getattr(found, name) for name in ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")}
        return os.stat_result(tuple(values[name] for name in FIELDS), exact | {"st_rdev": 0})


@dataclass(frozen=True)
class MountedEntry:
    """An entry of a mounted file system."""

    entry: Entry
    mount: Mount

    def __getattr__(self, name: str) -> Any:
        return getattr(self.entry, name)

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        """What the mount says of it."""
        return self.mount.status(self.entry.stat(follow_symlinks=follow_symlinks))


@dataclass
class Machine:
    """A folder that is a mount point, backed up again and again."""

    folder: Path
    cache: Path
    patch: pytest.MonkeyPatch
    repository: Repository = field(default_factory=new_repository)
    parent: LoadedSnapshot | None = None

    def mount(self, mount: Mount) -> None:
        """From now on the folder and what is in it is seen through this mount."""
        top = os.fsencode(self.folder)

        def seen(entries: Iterable[Entry]) -> list[Any]:
            return [
                MountedEntry(entry, mount) if entry.path == top or entry.path.startswith(top + b"/") else entry
                for entry in entries
            ]

        self.patch.setattr(walk, "read_directory", lambda path: seen(read_directory(path)))
        self.patch.setattr(walk, "find_entries", lambda path, names: seen(find_entries(path, names)))

    def keep(self) -> BackupOutcome:
        """One backup, compared with the one before."""
        outcome = backup_of(self.repository, self.folder, parent=self.parent, cache_directory=self.cache).run()
        self.parent = self.repository.load_snapshot(outcome.snapshot_id or "")
        return outcome

    def nodes(self, outcome: BackupOutcome) -> list[Node]:
        """The folder's own node, and those of all that is in it."""
        tree, top = find_subtree(self.repository, outcome.tree, os.fsencode(self.folder))
        assert top is not None
        nodes = [top, *self.repository.read_tree(tree)]
        return nodes + self.repository.read_tree(next(node.subtree for node in nodes if raw_name(node) == b"inner"))


BEFORE = Mount(device=77, uid=4_000_111, gid=4_000_112, umask=0o022)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner/file").write_text("content")
    (folder / "file").write_text("content")
    (folder / "link").symlink_to("file")
    (tmp_path / "cache").mkdir()
    machine = Machine(folder, tmp_path / "cache", monkeypatch)
    machine.mount(BEFORE)
    time.sleep(0.1)  # what changed in this tick of the clock is not recognised
    return machine


@pytest.mark.parametrize(
    "after",
    [
        Mount(device=78, uid=4_000_111, gid=4_000_112, umask=0o022),
        Mount(device=77, uid=4_000_113, gid=4_000_112, umask=0o022),
        Mount(device=77, uid=4_000_111, gid=4_000_114, umask=0o022),
        Mount(device=77, uid=4_000_111, gid=4_000_112, umask=0o077),
    ],
    ids=["device", "owner", "group", "mode"],
)
def test_what_another_mount_says_of_files_is_kept_and_nothing_is_read_again(machine: Machine, after: Mount) -> None:
    machine.keep()
    machine.mount(after)
    outcome = machine.keep()
    nodes = machine.nodes(outcome)
    assert len(nodes) == 5
    assert {(node.device_id, node.uid, node.gid) for node in nodes} == {(after.device, after.uid, after.gid)}
    assert {unix_mode(node.mode) for node in nodes} == {0o777 & ~after.umask}
    assert (outcome.summary.files_unmodified, outcome.summary.data_blobs) == (2, 0)


def test_the_same_mount_is_recognised(machine: Machine) -> None:
    machine.keep()
    for _ in range(9):  # somebody else may have written into a folder above meanwhile
        again = machine.keep()
        if not again.summary.dirs_changed:
            break
    assert (again.summary.dirs_changed, again.summary.dirs_new, again.summary.tree_blobs) == (0, 0, 0)


def test_a_mount_point_at_the_root_of_the_machine_is_another_file_system() -> None:
    repository = new_repository()
    exclusion = Exclusion(["/*", "!/proc"], roots=[b"/"])
    outcome = backup_of(repository, Path("/"), exclusion=exclusion, one_file_system=True).run()
    [proc] = repository.read_tree(outcome.tree)
    assert raw_name(proc) == b"proc"
    assert repository.read_tree(proc.subtree or "") == []
