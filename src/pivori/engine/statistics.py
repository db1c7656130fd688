"""The verb ``stats``: how much the snapshots would restore, and how much they take.

One walk visits every tree once; what a directory holds is remembered per tree, so that a hundred snapshots of one
unchanged folder cost little more than one. The modes are restic's:

- restore size: files, other entries and bytes that restoring each snapshot in turn would make; a file with several
  hard links counts once per snapshot. It is not remembered for directories that hold such files: they are walked again.
- files by contents: files that differ in content, and their bytes.
- raw data: the blobs that are needed, each once: stored bytes, bytes without compression, and the ratio.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from pivori.events import Event, Progress, Unit
from pivori.repository import BlobKind, LoadedSnapshot, Node, Repository, tree_id
from pivori.repository.reach import Reach, group_rows
from pivori.storage import Kind

_SEAL = 32
"""Bytes that sealing adds to every blob."""


class Mode(StrEnum):
    """What is counted."""

    SUMMARY = "summary"
    RESTORE_SIZE = "restore-size"
    FILES_BY_CONTENTS = "files-by-contents"
    RAW_DATA = "raw-data"


@dataclass(frozen=True, kw_only=True)
class RestoreSize:
    """What restoring all the snapshots one after the other makes: entries of every kind, regular files, bytes."""

    entries: int
    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class DistinctFiles:
    """Files that differ in content, and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class RawData:
    """The needed blobs, each once. All bytes include the seals, as in restic.

    ``stored_bytes`` is what they take, ``uncompressed_bytes`` what they would take without compression; the two
    ``compressed_…`` say the same of those that are compressed.
    """

    blobs: int
    tree_blobs: int
    stored_bytes: int
    uncompressed_bytes: int
    compressed_stored_bytes: int
    compressed_uncompressed_bytes: int

    @property
    def ratio(self) -> float:
        """How many times smaller compression makes what is compressed; 1 without any such data."""
        stored = self.compressed_stored_bytes
        return self.compressed_uncompressed_bytes / stored if stored else 1.0

    @property
    def space_saving(self) -> float:
        """The share of all bytes that compression saves, from 0 to 1."""
        return 1 - self.stored_bytes / self.uncompressed_bytes if self.uncompressed_bytes else 0.0

    @property
    def compression_progress(self) -> float:
        """The share of all bytes that lies in compressed blobs."""
        return self.compressed_uncompressed_bytes / self.uncompressed_bytes if self.uncompressed_bytes else 1.0


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """What the storage holds, needed or not: packs and their sizes, snapshots and keys."""

    packs: int
    pack_bytes: int
    snapshots: int
    keys: int


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What was counted; None for what the mode does not ask for."""

    snapshots: int
    restore_size: RestoreSize | None = None
    distinct_files: DistinctFiles | None = None
    raw_data: RawData | None = None
    holdings: Holdings | None = None


def measure(
    repository: Repository,
    snapshots: Sequence[LoadedSnapshot],
    mode: Mode,
    *,
    emit: Callable[[Event], None] = lambda _: None,
) -> Statistics:
    """Count over ``snapshots``; the index is loaded. Raises BlobMissing, BlobDamaged, TreeDamaged, storage errors."""
    roots = [loaded.snapshot.tree for loaded in snapshots]
    sizes = distinct = raw = None
    if mode in (Mode.SUMMARY, Mode.RESTORE_SIZE):
        sizes = _restore_size(repository, roots, emit)
    if mode is Mode.FILES_BY_CONTENTS:
        distinct = _distinct_files(repository, roots, emit)
    if mode in (Mode.SUMMARY, Mode.RAW_DATA):
        raw = _raw_data(repository, snapshots, emit)
    return Statistics(
        snapshots=len(snapshots),
        restore_size=sizes,
        distinct_files=distinct,
        raw_data=raw,
        holdings=_holdings(repository) if mode is Mode.SUMMARY else None,
    )


# Restore size


class _Totals(NamedTuple):
    """What is in a directory and below; ``has_links`` when some file in it has several names."""

    entries: int
    files: int
    bytes: int
    has_links: bool


@dataclass
class _Open:
    """A directory whose entries are being counted."""

    tree: str
    subtrees: Iterator[str]
    entries: int = 0
    files: int = 0
    bytes: int = 0
    has_links: bool = False

    def add(self, other: _Totals) -> None:
        self.entries += other.entries
        self.files += other.files
        self.bytes += other.bytes
        self.has_links = self.has_links or other.has_links


@dataclass
class _SizeWalk:
    """Sums up directories, bottom up, without recursion."""

    repository: Repository
    known: dict[str, _Totals] = field(default_factory=dict)

    def total(self, root: str) -> _Totals:
        """What restoring the tree makes."""
        links: set[tuple[int, int]] = set()
        stack = [self._open(root, links)]
        while True:
            top = stack[-1]
            child = next(top.subtrees, None)
            if child is not None:
                known = self.known.get(child)
                if known is not None and not known.has_links:
                    top.add(known)
                else:
                    stack.append(self._open(child, links))
                continue
            stack.pop()
            done = _Totals(top.entries, top.files, top.bytes, top.has_links)
            self.known[top.tree] = done
            if not stack:
                return done
            stack[-1].add(done)

    def _open(self, tree: str, links: set[tuple[int, int]]) -> _Open:
        nodes = self.repository.read_tree(tree)
        directory = _Open(tree, iter([node.subtree for node in nodes if node.subtree is not None]), entries=len(nodes))
        for node in nodes:
            if node.type == "file":
                directory.files += 1
                directory.bytes += self._bytes_once(node, links, directory)
        return directory

    def _bytes_once(self, node: Node, links: set[tuple[int, int]], directory: _Open) -> int:
        if node.links > 1:
            directory.has_links = True
            key = node.device_id, node.inode
            if key in links:
                return 0
            links.add(key)
        return node.size


def _restore_size(repository: Repository, roots: Iterable[str], emit: Callable[[Event], None]) -> RestoreSize:
    walk = _SizeWalk(repository)
    entries = files = size = 0
    for root in roots:
        total = walk.total(root)
        entries, files, size = entries + total.entries, files + total.files, size + total.bytes
        emit(Progress(files_done=files, bytes_done=size))
    return RestoreSize(entries=entries, files=files, bytes=size)


# Files by contents


def _distinct_files(repository: Repository, roots: Iterable[str], emit: Callable[[Event], None]) -> DistinctFiles:
    seen: set[bytes] = set()
    size = 0
    waiting = list(dict.fromkeys(roots))
    visited = Reach(repository)
    while waiting:
        tree = waiting.pop()
        if not visited.mark(BlobKind.TREE, tree_id(tree)):
            continue
        for node in repository.read_tree(tree):
            if node.subtree is not None:
                waiting.append(node.subtree)
            if node.type == "file":
                key = sha256("".join(node.content or ()).encode()).digest()[:16]
                if key not in seen:
                    seen.add(key)
                    size += node.size
        emit(Progress(files_done=len(seen), bytes_done=size))
    return DistinctFiles(files=len(seen), bytes=size)


# Raw data


def _raw_data(repository: Repository, snapshots: Collection[LoadedSnapshot], emit: Callable[[Event], None]) -> RawData:
    reach = Reach(repository)
    reach.mark_snapshots(snapshots, lambda trees: emit(Progress(files_done=trees, unit=Unit.FOLDERS)))
    counts = array("Q", bytes(8 * 6))
    marks = reach.marks
    for row, kind, copies in group_rows(reach.table):
        if not marks[row]:
            continue
        _, length, plain_length = copies[0]
        counts[0] += 1
        counts[1] += kind is BlobKind.TREE
        counts[2] += length
        counts[3] += plain_length + _SEAL if plain_length else length
        if plain_length:
            counts[4] += length
            counts[5] += plain_length + _SEAL
    return RawData(
        blobs=counts[0],
        tree_blobs=counts[1],
        stored_bytes=counts[2],
        uncompressed_bytes=counts[3],
        compressed_stored_bytes=counts[4],
        compressed_uncompressed_bytes=counts[5],
    )


def _holdings(repository: Repository) -> Holdings:
    storage = repository.storage
    packs = size = 0
    for item in storage.list(Kind.PACK):
        packs, size = packs + 1, size + item.size
    return Holdings(
        packs=packs,
        pack_bytes=size,
        snapshots=sum(1 for _ in storage.list(Kind.SNAPSHOT)),
        keys=sum(1 for _ in storage.list(Kind.KEY)),
    )
