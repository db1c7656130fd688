"""The walk and what ``ls`` makes of it."""

import os
from pathlib import Path

import pytest

from pivori.engine.listing import Entry, Order, list_paths, sort_entries, walk
from pivori.engine.restore.items import PathNotInSnapshot
from pivori.errors import PivoriError
from pivori.storage import Kind
from tests.unit.engine.looking import Shelf, never


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "s")
    (shelf.folder / "d/e").mkdir(parents=True)
    for name, size, second in (("d/big", 30, 1), ("d/e/mid", 20, 3), ("a", 1, 2), ("z", 1, 2)):
        (shelf.folder / name).write_bytes(b"x" * size)
        os.utime(shelf.folder / name, (second, second))
    os.utime(shelf.folder / "d/e", (0, 0))
    os.utime(shelf.folder / "d", (0, 0))
    shelf.keep()
    return shelf


def names(entries: object) -> list[bytes]:
    return [entry.path for entry in entries]


def listed(shelf: Shelf, *paths: bytes, recursive: bool = False) -> list[Entry]:
    return list(list_paths(shelf.repository, shelf.tree(), paths, recursive=recursive, on_damage=never))


def test_a_directory_comes_before_what_is_in_it(shelf: Shelf) -> None:
    assert names(listed(shelf)) == [b"/a", b"/d", b"/d/big", b"/d/e", b"/d/e/mid", b"/z"]


def test_a_path_is_listed_flat_unless_asked(shelf: Shelf) -> None:
    assert names(listed(shelf, b"/d")) == [b"/d", b"/d/big", b"/d/e"]
    assert names(listed(shelf, b"d//e/", b"/a")) == [b"/d/e", b"/d/e/mid", b"/a"]
    assert names(listed(shelf, b"/")) == [b"/a", b"/d", b"/z"]
    assert names(listed(shelf, b"/d", recursive=True)) == [b"/d", b"/d/big", b"/d/e", b"/d/e/mid"]
    with pytest.raises(PathNotInSnapshot):
        listed(shelf, b"/d", b"/nothing")


def test_orders(shelf: Shelf) -> None:
    entries = listed(shelf)
    assert sort_entries(entries, Order.NAME) is entries
    assert names(sort_entries(entries, Order.NAME, reverse=True)) == names(entries)[::-1]
    assert names(sort_entries(entries, Order.SIZE)) == [b"/d/big", b"/d/e/mid", b"/a", b"/z", b"/d", b"/d/e"]
    assert names(sort_entries(entries, Order.TIME))[:4] == [b"/d/e/mid", b"/a", b"/z", b"/d/big"]
    assert names(sort_entries(entries, Order.TIME, reverse=True))[-1] == b"/d/e/mid"


def test_a_damaged_directory_costs_only_itself(shelf: Shelf) -> None:
    entries = {entry.path: entry.node for entry in listed(shelf)}
    missing = entries[b"/d/e"].subtree
    heard: list[tuple[bytes, PivoriError]] = []
    repository = shelf.repository
    read = repository.read_tree

    def reading(tree: str) -> object:
        if tree == missing:
            raise PivoriError(reason="gone")
        return read(tree)

    repository.read_tree = reading
    found = list(walk(repository, shelf.tree(), on_damage=lambda path, error: heard.append((path, error))))
    assert names(found) == [b"/a", b"/d", b"/d/big", b"/d/e", b"/z"]
    assert [path for path, _ in heard] == [b"/d/e"]


def test_an_empty_storage_is_heard_of_at_the_root(shelf: Shelf) -> None:
    shelf.storage._objects[Kind.PACK].clear()
    heard: list[bytes] = []
    assert (
        list(walk(shelf.repository, shelf.snapshots[0].snapshot.tree, on_damage=lambda path, _: heard.append(path)))
        == []
    )
    assert heard == [b"/"]
