"""Comparing trees: what is read, what is counted."""

import os
import shutil
from pathlib import Path

import pytest

from pivori.engine.compare import Change, Comparison, Statistics
from pivori.repository import BlobKind
from tests.unit.engine.looking import Shelf, never


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "s")


def compare(
    shelf: Shelf, before: int = 0, after: int = 1, *, metadata: bool = False
) -> tuple[list[Change], Statistics]:
    comparison = Comparison(shelf.repository, shelf.tree(before), shelf.tree(after), metadata=metadata, on_damage=never)
    return list(comparison.changes()), comparison.statistics()


def letters(changes: list[Change]) -> dict[bytes, str]:
    return {change.path: change.modifier for change in changes}


def test_nothing_changed_reads_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    (shelf.folder / "a").write_text("a")
    shelf.keep()
    shelf.keep()
    trees = shelf.tree(0), shelf.tree(1)
    assert trees[0] == trees[1]
    monkeypatch.setattr(shelf.repository, "read_blob", None)
    comparison = Comparison(shelf.repository, *trees, on_damage=never)
    assert list(comparison.changes()) == []
    assert comparison.statistics() == Statistics()


def test_every_modifier(shelf: Shelf) -> None:
    folder = shelf.folder
    for name in ("changed", "removed", "type", "touched", "rotten"):
        (folder / name).write_text(name)
    (folder / "gone/deep").mkdir(parents=True)
    (folder / "gone/deep/er").write_text("er")
    shelf.keep()
    (folder / "changed").write_text("other")
    (folder / "removed").unlink()
    (folder / "type").unlink()
    (folder / "type").mkdir()
    os.utime(folder / "touched", (1, 1))
    shutil.rmtree(folder / "gone")
    (folder / "added").symlink_to("x")
    shelf.keep()
    changes, statistics = compare(shelf)
    assert letters(changes) == {
        b"/added": "+",
        b"/changed": "M",
        b"/gone": "-",
        b"/gone/deep": "-",
        b"/gone/deep/er": "-",
        b"/removed": "-",
        b"/type": "T",
    }
    assert [change.path for change in changes if change.is_directory] == [b"/gone", b"/gone/deep", b"/type"]
    assert statistics.changed_files == 1
    assert (statistics.added.files, statistics.added.dirs, statistics.added.others) == (0, 0, 1)
    assert (statistics.removed.files, statistics.removed.dirs, statistics.removed.others) == (2, 2, 0)
    changes, _ = compare(shelf, metadata=True)
    assert letters(changes)[b"/touched"] == "U"
    assert letters(changes)[b"/type"] == "TU"


def test_bytes_are_those_of_blobs_nobody_else_has(shelf: Shelf) -> None:
    """A copy of what lies in an unchanged directory is a new file, but no new data."""
    (shelf.folder / "same").mkdir()
    shared, new = os.urandom(5000), os.urandom(7000)
    (shelf.folder / "same/file").write_bytes(shared)
    shelf.keep()
    (shelf.folder / "copy").write_bytes(shared)
    (shelf.folder / "new").write_bytes(new)
    shelf.keep()
    _, statistics = compare(shelf)
    assert statistics.added.files == 2
    assert statistics.added.data_blobs == 1
    assert statistics.added.tree_blobs == statistics.removed.tree_blobs == 1
    length = shelf.repository.read_blob(BlobKind.TREE, bytes.fromhex(shelf.tree(1)))
    assert statistics.added.bytes == 7000 + len(length)


def test_bit_rot_is_told_apart(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other content with the same size, times and inode: nobody wrote that."""
    (shelf.folder / "file").write_text("one")
    shelf.keep()
    (shelf.folder / "file").write_text("two")
    shelf.keep()
    assert letters(compare(shelf)[0]) == {b"/file": "M"}
    before, after = shelf.tree(0), shelf.tree(1)
    (sound,), (rotten,) = shelf.repository.read_tree(before), shelf.repository.read_tree(before)
    rotten.content = shelf.repository.read_tree(after)[0].content
    trees = {before: [sound], after: [rotten]}
    monkeypatch.setattr(shelf.repository, "read_tree", trees.__getitem__)
    comparison = Comparison(shelf.repository, before, after, on_damage=never)
    assert letters(list(comparison.changes())) == {b"/file": "M?"}
