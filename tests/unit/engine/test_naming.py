"""Which objects are read for a name, and whose damage matters."""

from pathlib import Path

import pytest

from pivori.engine.naming import SnapshotFilters, filtered_snapshots, named_or_filtered, named_snapshot, named_subtree
from pivori.errors import PivoriError
from pivori.repository.objects import ObjectDamaged
from pivori.repository.selection import NoSnapshots, SnapshotNotFound
from pivori.storage import Kind
from tests.unit.engine.looking import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "s")
    for number in range(3):
        (shelf.folder / "file").write_text(str(number))
        shelf.keep(host="h" if number else "other", tags=("t",) if number == 1 else ())
    return shelf


def damage(shelf: Shelf, number: int) -> None:
    name = shelf.snapshots[number].id
    shelf.storage._objects[Kind.SNAPSHOT][name] = b"damaged"


def test_names(shelf: Shelf) -> None:
    first, second, third = shelf.snapshots
    repository = shelf.repository
    assert named_snapshot(repository, "latest") == third
    assert named_snapshot(repository, "latest~2") == first
    assert named_snapshot(repository, second.id[:12].upper()) == second
    assert named_snapshot(repository, "latest", SnapshotFilters(hosts=["other"])) == first
    assert named_snapshot(repository, third.id, SnapshotFilters(hosts=["other"])) == third
    assert named_subtree(repository, "latest:/a//b/") == (third, b"/a/b")
    with pytest.raises(SnapshotNotFound):
        named_snapshot(repository, "0" * 64)
    with pytest.raises(NoSnapshots):
        named_snapshot(repository, "latest", SnapshotFilters(tags=[["nowhere"]]))


def test_several_names(shelf: Shelf) -> None:
    first, second, third = shelf.snapshots
    names = ["latest", first.id, third.id[:10]]
    assert named_or_filtered(shelf.repository, names, SnapshotFilters()) == [third, first]
    assert named_or_filtered(shelf.repository, [], SnapshotFilters.parse(["h"], ["t,", "t"], [])) == [second]
    assert filtered_snapshots(shelf.repository) == [third, second, first]


def test_damage_of_others_does_not_matter_to_an_id(shelf: Shelf) -> None:
    damage(shelf, 2)
    assert named_snapshot(shelf.repository, shelf.snapshots[0].id) == shelf.snapshots[0]
    with pytest.raises(ObjectDamaged):
        named_snapshot(shelf.repository, shelf.snapshots[2].id, on_damage=lambda _error: None)


def test_damage_is_heard_of_where_all_are_looked_at(shelf: Shelf) -> None:
    damage(shelf, 2)
    heard: list[PivoriError] = []
    assert named_snapshot(shelf.repository, "latest", on_damage=heard.append) == shelf.snapshots[1]
    assert [error.details["name"] for error in heard] == [shelf.snapshots[2].id]
    with pytest.raises(ObjectDamaged):
        named_snapshot(shelf.repository, "latest")
