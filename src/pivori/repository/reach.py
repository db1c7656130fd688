"""What the snapshots reach: every tree below them is visited once, every blob they use is marked at one byte each.

Of the trees that wait only the ids are held. They are read a few thousand at a time, in the order in which they lie in
the packs, so that a walk over a whole repository is a few large reads instead of one per directory.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final

from pivori.errors import PivoriError
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.reading import BlobReader, WantedBlob, stretches
from pivori.repository.repository import BlobMissing, Repository, tree_id
from pivori.repository.selection import LoadedSnapshot
from pivori.repository.table import Location, Table, merge
from pivori.repository.tree import TreeDamaged, references
from pivori.translation import N_

_TREES_AT_ONCE: Final = 4096


class NamedTreeDamaged(TreeDamaged):
    """A tree that opens does not hold a directory; says which one it is."""

    message = N_("The tree {id} is damaged: {reason}.")


class Reach:
    """Marks over a repository's loaded index: which blobs have been reached so far.

    ``table`` is the whole index as one table. ``marks`` has a byte for each of its rows; of the rows of a blob that is
    stored more than once, the first one counts.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._reader = BlobReader(repository.storage, repository.master)
        self.table: Table = _one_table(repository.index.tables)
        self.marks = bytearray(self.table.count)

    def mark(self, kind: BlobKind, blob: BlobId) -> bool:
        """Mark a blob; whether it was not marked before. Raises BlobMissing when it is not indexed."""
        row = self.table.row_number(kind, blob)
        if row < 0:
            raise BlobMissing(kind=kind.word, id=blob.hex())
        fresh = not self.marks[row]
        self.marks[row] = 1
        return fresh

    def mark_all(self, kind: BlobKind, blobs: Iterable[str]) -> None:
        """Mark blobs named in hexadecimal digits. Raises BlobMissing."""
        row_number, marks, raw = self.table.row_number, self.marks, bytes.fromhex
        for name in blobs:
            row = row_number(kind, BlobId(raw(name)))
            if row < 0:
                raise BlobMissing(kind=kind.word, id=name)
            marks[row] = 1

    def trees(self, roots: Iterable[BlobId]) -> Iterator[tuple[BlobId, bytes, list[str]]]:
        """Every tree at and below ``roots`` that was not marked before: its id, its content, its data blobs.

        Trees are marked when they are found; data blobs are left to the caller. Raises BlobMissing, BlobDamaged,
        TreeDamaged, storage errors.
        """
        waiting: list[BlobId] = [root for root in roots if self.mark(BlobKind.TREE, root)]
        while waiting:
            batch, waiting = waiting[-_TREES_AT_ONCE:], waiting[:-_TREES_AT_ONCE]
            for tree, content in self._read(batch):
                subtrees, contents = _references(tree, content)
                waiting += [child for child in map(_raw, subtrees) if self.mark(BlobKind.TREE, child)]
                yield tree, content, contents

    def mark_snapshots(self, snapshots: Iterable[LoadedSnapshot], step: Callable[[int], None]) -> None:
        """Mark everything the snapshots need; ``step`` hears now and then how many trees that took.

        Raises what :meth:`trees` raises.
        """
        roots = [tree_id(loaded.snapshot.tree) for loaded in snapshots]
        for number, (_, _, contents) in enumerate(self.trees(roots)):
            self.mark_all(BlobKind.DATA, contents)
            if number % _TREES_AT_ONCE == 0:
                step(number + 1)

    def _read(self, trees: list[BlobId]) -> Iterator[tuple[BlobId, bytes]]:
        """The contents of trees, in the order in which they lie in the packs."""
        places = sorted((self._place(tree), tree) for tree in trees)
        for pack, members in groupby(places, key=lambda place: place[0].pack):
            wanted = [WantedBlob(tree, place.offset, place.length, place.plain_length) for place, tree in members]
            yield from self._read_from(pack, wanted)

    def _read_from(self, pack: PackId, wanted: list[WantedBlob]) -> Iterator[tuple[BlobId, bytes]]:
        for stretch in stretches(pack, wanted):
            for blob, content in zip(stretch.blobs, self._reader.read(stretch), strict=True):
                if isinstance(content, PivoriError):
                    # Another pack may have it whole; when none has, this raises the error that names it.
                    content = self._repository.read_blob(BlobKind.TREE, blob.id)
                yield blob.id, content

    def _place(self, tree: BlobId) -> Location:
        return self.table.location(self.table.row_number(BlobKind.TREE, tree))


def _one_table(tables: list[Table]) -> Table:
    return tables[0] if len(tables) == 1 else merge(tables)


def _raw(name: str) -> BlobId:
    return BlobId(bytes.fromhex(name))


def _references(tree: BlobId, content: bytes) -> tuple[list[str], list[str]]:
    try:
        return references(content)
    except TreeDamaged as error:
        raise NamedTreeDamaged(id=tree.hex(), **error.details) from None


def group_rows(table: Table) -> Iterator[tuple[int, BlobKind, list[tuple[int, int, int]]]]:
    """Every blob of a table: its first row, its kind, and its copies, each as pack number, length, plain length.

    A data blob and a tree may have the same id; they are two blobs whose rows may stand mixed.
    """
    previous: bytes = b""
    open_groups: dict[BlobKind, tuple[int, BlobKind, list[tuple[int, int, int]]]] = {}
    for row, (kind, blob, pack, _, length, plain_length) in enumerate(table.rows()):
        if blob != previous:
            yield from open_groups.values()
            open_groups, previous = {}, blob
        group = open_groups.get(kind)
        if group is None:
            open_groups[kind] = (row, kind, [(pack, length, plain_length)])
        else:
            group[2].append((pack, length, plain_length))
    yield from open_groups.values()
