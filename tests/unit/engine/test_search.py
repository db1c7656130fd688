"""Finding by name, time and object; each tree is read once per path."""

import os
from collections import Counter
from datetime import UTC
from pathlib import Path

import pytest

from pivori.engine.search import (
    Criterion,
    NamesAndTimes,
    NotAnId,
    NotASearchTime,
    PackNotFound,
    Search,
    UsersOfObjects,
    checked_id,
    parse_newest,
    parse_oldest,
    users_of_packs,
)
from pivori.repository import BlobKind
from tests.unit.engine.looking import SECOND, Shelf, never


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "s")
    (shelf.folder / "docs/old").mkdir(parents=True)
    (shelf.folder / "src").mkdir()
    for name, second in (("docs/a.txt", 10), ("docs/old/B.TXT", 20), ("src/a.c", 30), ("top.txt", 40)):
        (shelf.folder / name).write_text(name)
        os.utime(shelf.folder / name, (second, second))
    shelf.keep()
    (shelf.folder / "src/a.c").write_text("changed")
    shelf.keep()
    return shelf


def found(shelf: Shelf, criterion: Criterion, number: int = 0) -> list[bytes]:
    search = Search(shelf.repository, criterion, on_damage=never)
    return [match.path for match in search.find(shelf.tree(number))]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.txt", [b"/docs/a.txt", b"/top.txt"]),
        ("old", [b"/docs/old"]),
        ("a.*", [b"/docs/a.txt", b"/src/a.c"]),
        ("docs/*.txt", [b"/docs/a.txt"]),
        ("old/*", [b"/docs/old/B.TXT"]),
        ("/top.txt", [b"/top.txt"]),
        ("/a.txt", []),
        ("/**/*.c", [b"/src/a.c"]),
        ("docs/", [b"/docs"]),
        ("top.txt/", []),
    ],
)
def test_patterns(shelf: Shelf, pattern: str, paths: list[bytes]) -> None:
    assert found(shelf, NamesAndTimes([pattern])) == paths


def test_case_and_several_patterns(shelf: Shelf) -> None:
    assert found(shelf, NamesAndTimes(["b.TxT"], ignore_case=True)) == [b"/docs/old/B.TXT"]
    assert found(shelf, NamesAndTimes(["*.txt", "!top.*"])) == [b"/docs/a.txt"]


def test_times(shelf: Shelf) -> None:
    files = NamesAndTimes(["*.*"], oldest_ns=20 * SECOND, newest_ns=30 * SECOND)
    assert found(shelf, files) == [b"/docs/old/B.TXT", b"/src/a.c"]
    assert found(shelf, NamesAndTimes([], newest_ns=10 * SECOND)) == [b"/docs/a.txt"]


def test_a_tree_is_read_once_per_path(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()
    read = shelf.repository.read_tree

    def counting(tree: str) -> object:
        reads[tree] += 1
        return read(tree)

    trees = [shelf.tree(number) for number in (0, 1, 0, 1)]
    monkeypatch.setattr(shelf.repository, "read_tree", counting)
    search = Search(shelf.repository, NamesAndTimes(["*.txt", "a.c", "old"]), on_damage=never)
    results = [[match.path for match in search.find(tree)] for tree in trees]
    assert results == [[b"/docs/a.txt", b"/docs/old", b"/src/a.c", b"/top.txt"]] * 4
    # The root and src differ; docs and docs/old are shared.
    assert sorted(reads.values()) == [1] * 6


def test_what_there_is_no_room_for_is_read_again(shelf: Shelf) -> None:
    """The same is found, in the same order, however little may be remembered."""
    shelf.keep()
    answers = []
    for room in (10**9, 0, 2500, 5000, 8000):
        search = Search(shelf.repository, NamesAndTimes([]), on_damage=never, room=room)
        answers.append([[match.path for match in search.find(shelf.tree(number))] for number in (0, -1, 0)])
        assert room or not search._known
    assert answers[0][0]
    assert answers[0][0] == answers[0][2]
    assert answers.count(answers[0]) == len(answers)


def test_users_of_blobs_and_trees(shelf: Shelf) -> None:
    repository, tree = shelf.repository, shelf.tree(0)
    docs = next(node for node in repository.read_tree(tree) if node.name == "docs")
    assert docs.subtree is not None
    text = next(node for node in repository.read_tree(docs.subtree) if node.name == "a.txt")
    assert text.content
    search = Search(repository, UsersOfObjects(blobs=[text.content[0][:10]]), on_damage=never)
    (match,) = search.find(tree)
    assert match[0] == b"/docs/a.txt"
    assert match[2:] == ("blob", text.content[0], docs.subtree)
    assert found(shelf, UsersOfObjects(trees=[tree, docs.subtree])) == [b"/", b"/docs"]
    assert found(shelf, UsersOfObjects(blobs=["0" * 64], trees=["0" * 64])) == []


def test_users_of_packs(shelf: Shelf) -> None:
    repository, tree = shelf.repository, shelf.tree(0)
    location = repository.index.find(BlobKind.TREE, bytes.fromhex(tree))
    assert location is not None
    assert b"/" in found(shelf, users_of_packs(repository, [location.pack.hex()[:12]]))
    every = users_of_packs(repository, [pack.hex() for pack in repository.index.packs()])
    assert len(found(shelf, every)) == 8
    with pytest.raises(PackNotFound):
        users_of_packs(repository, ["0" * 64])


def test_ids() -> None:
    assert checked_id("ABC") == "abc"
    for text in ("", "xyz", "a" * 65):
        with pytest.raises(NotAnId):
            checked_id(text)


def test_moments() -> None:
    day = 86_400 * SECOND
    assert parse_oldest("1970-01-02", zone=UTC) == day
    assert parse_newest("1970-01-02", zone=UTC) == 2 * day - 1
    assert parse_oldest("1970-01-02T00:00:05", zone=UTC) == day + 5 * SECOND
    assert parse_newest("1970-01-02T00:00:05", zone=UTC) == day + 6 * SECOND - 1
    assert parse_oldest("1970-01-02T00:00:05.25Z") == parse_newest("1970-01-02T00:00:05.25Z") == day + 5_250_000_000
    for text in ("yesterday", "1970-13-01", ""):
        with pytest.raises(NotASearchTime):
            parse_oldest(text)
