"""Which snapshots and files are hurt by what is lost: a second walk, made only when there is damage.

What is hurt below the bounds of :mod:`pivori.repository.nesting` is told as the directory there. Of the paths that are
hurt the first ones are kept; the others are counted by their digests, as every snapshot may have them again.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from pivori.repository.check_findings import SHOWN_PATHS, Findings, Hurt
from pivori.repository.ids import ID_BYTES, BlobId, BlobKind
from pivori.repository.names import TreeDamaged, unquote_name
from pivori.repository.nesting import NestedTooDeeply, demand_reachable

ReadTree = Callable[[BlobId], bytes | None]


class _Named(msgspec.Struct, gc=False):
    name: str = ""
    content: list[str] | None = None
    subtree: str | None = None


class _NamedNodes(msgspec.Struct, gc=False):
    nodes: list[_Named]


class _Entry(NamedTuple):
    """A node with what is lost of it: ``own`` are the findings that hurt it directly."""

    name: bytes
    subtree: BlobId | None
    own: frozenset[int]


class _Frame(NamedTuple):
    tree: BlobId
    findings: set[int]
    subtrees: list[BlobId]


class _Paths:
    """The paths that a finding hurts: the first of them, and how many there are."""

    def __init__(self) -> None:
        self.first: list[bytes] = []
        self._seen: set[bytes] = set()

    def add(self, path: bytes) -> None:
        digest = _digest(path)
        if digest not in self._seen:
            self._seen.add(digest)
            insort(self.first, path)
            del self.first[SHOWN_PATHS:]

    def __len__(self) -> int:
        return len(self._seen)


_MOST_DIRECTORIES: Final = 1_000_000
"""So many directories are gone through for paths: a few hostile trees can make endlessly many."""
_decoder = msgspec.json.Decoder(_NamedNodes)
_NOTHING: frozenset[int] = frozenset()


def hurt_by(findings: Findings, roots: Iterable[tuple[str, BlobId]], read: ReadTree) -> dict[int, Hurt]:
    """What each finding hurts, by its number. ``roots`` are the ids of snapshots with their trees."""
    if not findings.lost and not findings.nodes:
        return {}
    return _Usage(findings, read).of(roots)


class _Usage:
    def __init__(self, findings: Findings, read: ReadTree) -> None:
        self._lost: Mapping[tuple[BlobKind, BlobId], tuple[int, ...]] = findings.lost
        self._nodes = findings.nodes
        self._read = read
        self._beneath: dict[BlobId, frozenset[int]] = {}
        self._seen: set[bytes] = set()
        self._snapshots: dict[int, list[str]] = defaultdict(list)
        self._paths: dict[int, _Paths] = defaultdict(_Paths)

    def of(self, roots: Iterable[tuple[str, BlobId]]) -> dict[int, Hurt]:
        for snapshot, tree in roots:
            for number in self._findings_beneath(tree):
                self._snapshots[number].append(snapshot)
            self._name_paths(tree)
        return {number: self._hurt(number) for number in self._snapshots}

    def _hurt(self, number: int) -> Hurt:
        paths = self._paths[number]
        return Hurt(
            snapshots=tuple(self._snapshots[number]),
            paths=tuple(paths.first),
            path_count=len(paths),
        )

    def _findings_beneath(self, root: BlobId) -> frozenset[int]:
        """The findings that hurt a tree or anything below it. Without recursion: trees may be deep."""
        beneath = self._beneath
        stack = [] if root in beneath else [self._frame(root)]
        while stack:
            frame = stack[-1]
            while frame.subtrees and frame.subtrees[-1] in beneath:
                frame.findings.update(beneath[frame.subtrees.pop()])
            if frame.subtrees:
                stack.append(self._frame(frame.subtrees[-1]))
            else:
                beneath[frame.tree] = frozenset(frame.findings) or _NOTHING
                stack.pop()
        return beneath[root]

    def _frame(self, tree: BlobId) -> _Frame:
        findings = set(self._lost.get((BlobKind.TREE, tree), ()))
        subtrees = []
        for entry in self._entries(tree):
            findings.update(entry.own)
            if entry.subtree is not None:
                subtrees.append(entry.subtree)
        return _Frame(tree, findings, subtrees)

    def _name_paths(self, root: BlobId) -> None:
        """Note the paths that are hurt; what was seen at the same path in another snapshot is passed over."""
        top = self._enter(b"", root, 0)
        stack = [] if top is None else [(b"", top)]
        while stack and len(self._seen) < _MOST_DIRECTORIES:
            directory, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                continue
            path = directory + b"/" + entry.name
            self._note(path, entry.own)
            below = self._enter(path, entry.subtree, len(stack))
            if below is not None:
                stack.append((path, below))

    def _enter(self, path: bytes, tree: BlobId | None, levels: int) -> Iterator[_Entry] | None:
        """What is in a directory in which something is hurt; None for one that need not be gone through."""
        if tree is None or not self._beneath.get(tree):
            return None
        key = _digest(tree + path)
        if key in self._seen:
            return None
        self._seen.add(key)
        try:
            demand_reachable(levels, path)
        except NestedTooDeeply:
            self._note(path, self._beneath[tree])
            return None
        self._note(path or b"/", self._lost.get((BlobKind.TREE, tree), ()))
        return self._entries(tree)

    def _note(self, path: bytes, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._paths[number].add(path)

    def _entries(self, tree: BlobId) -> Iterator[_Entry]:
        content = self._read(tree)
        if content is None:
            return
        try:
            nodes = _decoder.decode(content).nodes
        except (ValueError, RecursionError):
            return
        wrong = self._nodes.get(tree, {})
        for node in nodes:
            own = {wrong[node.name]} if node.name in wrong else set()
            for name in node.content or ():
                own.update(self._lost.get((BlobKind.DATA, _id(name)), ()))
            yield _Entry(_raw_name(node.name), _id(node.subtree) if node.subtree else None, frozenset(own))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def _raw_name(stored: str) -> bytes:
    try:
        return unquote_name(stored)
    except TreeDamaged:
        return stored.encode("utf-8", "surrogatepass")


def _id(text: str) -> BlobId:
    """The id that a text names; one that no blob has when it names none."""
    try:
        return BlobId(bytes.fromhex(text))
    except ValueError:
        return BlobId(bytes(ID_BYTES))
