"""No snapshot when nothing that was asked for has changed."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.engine.backup import BackupOutcome
from pivori.repository import LoadedSnapshot
from pivori.storage import Kind, MemoryStorage
from tests.unit.engine.looking import backup_of, new_repository


class Keeper:
    """Backs up a folder and a file in another folder, unless they are what they were."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "way/folder/inner").mkdir(parents=True)
        (root / "way/folder/inner/file").write_text("content")
        (root / "other").mkdir()
        (root / "other/single").write_text("content")
        self.storage = MemoryStorage()
        self.repository = new_repository(self.storage)
        self.parent: LoadedSnapshot | None = None
        self.parent = self.repository.load_snapshot(self.keep().snapshot_id or "")

    def keep(self, *, dry_run: bool = False) -> BackupOutcome:
        """One backup."""
        sources = self.root / "way/folder", self.root / "other/single"
        options = {"parent": self.parent, "skip_if_unchanged": True, "dry_run": dry_run}
        return backup_of(self.repository, *sources, **options).run()


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


@pytest.mark.parametrize(
    ("change", "skipped"),
    [
        (lambda root: None, True),
        (lambda root: (root / "new").touch(), True),
        (lambda root: (root / "way/new").touch(), True),
        (lambda root: (root / "way").chmod(0o700), True),
        (lambda root: (root / "other/new").touch(), True),
        (lambda root: (root / "way/folder/new").touch(), False),
        (lambda root: (root / "way/folder/inner/file").write_text("changed"), False),
        (lambda root: (root / "way/folder/inner").chmod(0o700), False),
        (lambda root: (root / "way/folder").chmod(0o700), False),
        (lambda root: (root / "other/single").write_text("changed"), False),
        (lambda root: (root / "other/single").unlink(), False),
    ],
)
def test_only_what_was_asked_for_counts(keeper: Keeper, change: Callable[[Path], object], skipped: bool) -> None:
    change(keeper.root)
    outcome = keeper.keep()
    assert outcome.skipped == skipped
    assert (outcome.snapshot_id is None) == skipped


def test_a_rehearsal_does_not_look_for_trees_that_it_has_not_stored(keeper: Keeper) -> None:
    (keeper.root / "way/new").touch()
    assert keeper.keep(dry_run=True).snapshot_id is None


def test_damage_of_the_one_before_counts_as_a_change(keeper: Keeper) -> None:
    for pack in [name for name, _ in keeper.storage.list(Kind.PACK)]:
        keeper.storage.delete(Kind.PACK, pack)
    (keeper.root / "way/new").touch()
    outcome = keeper.keep()
    assert outcome.snapshot_id is not None


def test_a_source_may_lie_deeper_than_functions_may_call_each_other(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d"] * 1100)
    for depth in range(0, 1101, 100):
        tmp_path.joinpath(*["d"] * depth).mkdir(parents=True, exist_ok=True)
    repository = new_repository()
    first = backup_of(repository, folder).run()
    (folder.parent / "new").touch()
    parent = repository.load_snapshot(first.snapshot_id or "")
    again = backup_of(repository, folder, parent=parent, skip_if_unchanged=True).run()
    # What clears temporary folders away calls itself for every folder.
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    assert again.skipped
