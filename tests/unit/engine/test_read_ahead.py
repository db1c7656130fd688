"""Blobs come in order, marks where they were, and no more is read than is soon wanted."""

import os
from collections.abc import Iterator
from pathlib import Path

from pivori.engine.read_ahead import read_ahead
from pivori.repository import BlobId, BlobMissing
from tests.unit.engine.looking import Shelf

SIZE = 1 << 20


def blobs(shelf: Shelf, name: str) -> list[BlobId]:
    node = next(node for node in shelf.repository.read_tree(shelf.tree()) if node.name == name)
    return [BlobId(bytes.fromhex(each)) for each in node.content or ()]


def test_the_order_is_that_of_the_stream(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "s")
    contents = {f"{number:02d}": os.urandom(1000 + number) for number in range(40)}
    for name, content in contents.items():
        (shelf.folder / name).write_bytes(content)
    shelf.keep()
    stream: list[str | BlobId] = []
    expected: list[object] = []
    for name in sorted(contents, reverse=True):
        stream += [name, *blobs(shelf, name), *blobs(shelf, name)]
        expected += [name, contents[name], contents[name]]
    assert list(read_ahead(shelf.repository, stream)) == expected


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A stream without end is read a few windows ahead."""
    shelf = Shelf(tmp_path / "s")
    (shelf.folder / "file").write_bytes(os.urandom(400_000))
    shelf.keep()
    (blob,) = blobs(shelf, "file")
    pulled = 0

    def endless() -> Iterator[BlobId]:
        nonlocal pulled
        while True:
            pulled += 1
            yield blob

    reading = read_ahead(shelf.repository, endless())
    for _ in range(100):
        next(reading)
    assert pulled * 400_000 < 100 * 400_000 + 40 * SIZE
    reading.close()


def test_what_is_missing_is_an_error_in_its_place(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "s")
    (shelf.folder / "file").write_bytes(b"content")
    shelf.keep()
    lost = BlobId(bytes(32))
    first, second, third = read_ahead(shelf.repository, [lost, "mark", *blobs(shelf, "file")])
    assert isinstance(first, BlobMissing)
    assert (second, third) == ("mark", b"content")
