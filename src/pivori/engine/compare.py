"""The verb ``diff``: what changed between two trees, and how many bytes that is.

Directories with the same id are the same, whatever is in them, so only what differs is read. Counting bytes asks one
thing more: a blob of a new file is not new data when a directory both sides share holds it already. Those shared
directories are looked through only while there is a blob left to be found, each once.

What counts as a change, and the letters for it, are restic's (``cmd/restic/cmd_diff.go``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from pivori.errors import PivoriError
from pivori.repository import BlobId, BlobKind, Node, Repository, demand_reachable, raw_name, references, tree_id

OnDamage = Callable[[bytes, PivoriError], None]


class Change(NamedTuple):
    """One difference. ``modifier``: ``+`` added, ``-`` removed, ``T`` another type, ``M`` other content,
    ``M?`` other content although nothing else differs (bit rot), ``U`` other metadata; ``T`` and ``U`` may go
    together."""

    path: bytes
    modifier: str
    is_directory: bool


@dataclass
class Amount:
    """What was added, or removed. ``bytes`` are those of the blobs before compression."""

    files: int = 0
    dirs: int = 0
    others: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    bytes: int = 0

    def count(self, node: Node) -> None:
        """Count one item."""
        if node.type == "file":
            self.files += 1
        elif node.type == "dir":
            self.dirs += 1
        else:
            self.others += 1


@dataclass
class Statistics:
    """The sums of a comparison."""

    changed_files: int = 0
    added: Amount = field(default_factory=Amount)
    removed: Amount = field(default_factory=Amount)


class _Pair(NamedTuple):
    """An item on both sides; one of them may lack it."""

    path: bytes
    before: Node | None
    after: Node | None


_Blob = tuple[BlobKind, bytes]


class Comparison:
    """Compares two trees once: go through :meth:`changes` to the end, then ask for :meth:`statistics`."""

    def __init__(
        self, repository: Repository, before: str, after: str, *, metadata: bool = False, on_damage: OnDamage
    ) -> None:
        self._repository = repository
        self._roots = before, after
        self._metadata = metadata
        self._on_damage = on_damage
        self._statistics = Statistics()
        self._before: set[_Blob] = set()
        self._after: set[_Blob] = set()
        self._shared: set[str] = set()

    def changes(self) -> Iterator[Change]:
        """Every difference, a directory before what is in it, in the order of the names."""
        before, after = self._roots
        if before == after:
            return
        self._before.add((BlobKind.TREE, tree_id(before)))
        self._after.add((BlobKind.TREE, tree_id(after)))
        stack = [self._pairs(before, after, b"")]
        while stack:
            pair = next(stack[-1], None)
            if pair is None:
                stack.pop()
                continue
            path, old, new = pair
            modifier = self._compare(old, new)
            if modifier:
                yield Change(path, modifier, (new or old).type == "dir")  # type: ignore[union-attr]  # one is there
            below = self._below(old, new)
            if below is not None and self._is_reachable(len(stack), path):
                stack.append(self._pairs(*below, path))

    def statistics(self) -> Statistics:
        """The sums, when all changes have been seen."""
        removed, added = self._before - self._after, self._after - self._before
        self._drop_shared(removed, added)
        self._weigh(removed, self._statistics.removed)
        self._weigh(added, self._statistics.added)
        return self._statistics

    def _is_reachable(self, levels: int, path: bytes) -> bool:
        try:
            demand_reachable(levels, path)
        except PivoriError as error:
            self._on_damage(path, error)
            return False
        return True

    def _pairs(self, before: str | None, after: str | None, path: bytes) -> Iterator[_Pair]:
        old, new = self._nodes(before, path), self._nodes(after, path)
        for name in sorted(old.keys() | new.keys()):
            yield _Pair(path + b"/" + name, old.get(name), new.get(name))

    def _nodes(self, tree: str | None, path: bytes) -> dict[bytes, Node]:
        if tree is None:
            return {}
        try:
            return {raw_name(node): node for node in self._repository.read_tree(tree)}
        except PivoriError as error:
            self._on_damage(path or b"/", error)
            return {}

    def _compare(self, old: Node | None, new: Node | None) -> str:
        """The modifier of a pair, empty when nothing changed; counts it and notes its blobs."""
        if old is not None:
            _note_blobs(old, self._before)
        if new is not None:
            _note_blobs(new, self._after)
        if old is None or new is None:
            return self._count_one_sided(old, new)
        modifier = "T" if old.type != new.type else ""
        if old.type == new.type == "file" and (old.content or []) != (new.content or []):
            self._statistics.changed_files += 1
            same_otherwise = _without_content(old) == _without_content(new)
            return modifier + ("M?" if same_otherwise else "M")
        if self._metadata and old != new:
            modifier += "U"
        return modifier

    def _count_one_sided(self, old: Node | None, new: Node | None) -> str:
        if new is not None:
            self._statistics.added.count(new)
            return "+"
        if old is not None:
            self._statistics.removed.count(old)
        return "-"

    def _below(self, old: Node | None, new: Node | None) -> tuple[str | None, str | None] | None:
        """The trees to compare below a pair; None when there is nothing to look at."""
        before = old.subtree if old is not None and old.type == "dir" else None
        after = new.subtree if new is not None and new.type == "dir" else None
        if before == after:
            if before is not None:
                self._shared.add(before)
            return None
        if old is not None and new is not None and (before is None or after is None):
            return None  # another type: that says it all
        return before, after

    def _drop_shared(self, *unshared: set[_Blob]) -> None:
        """Take what the shared directories hold out of both sets."""
        waiting = list(self._shared)
        while waiting and any(unshared):
            tree = waiting.pop()
            try:
                blob = self._repository.read_blob(BlobKind.TREE, tree_id(tree))
                subtrees, contents = references(blob)
            except PivoriError as error:
                self._on_damage(b"/", error)
                continue
            held = {(BlobKind.DATA, bytes.fromhex(name)) for name in contents}
            held.add((BlobKind.TREE, bytes.fromhex(tree)))
            for blobs in unshared:
                blobs -= held
            fresh = set(subtrees) - self._shared
            self._shared |= fresh
            waiting.extend(fresh)

    def _weigh(self, blobs: set[_Blob], amount: Amount) -> None:
        length = self._repository.index.content_length
        for kind, name in blobs:
            if kind is BlobKind.TREE:
                amount.tree_blobs += 1
            else:
                amount.data_blobs += 1
            amount.bytes += length(kind, BlobId(name)) or 0


def _note_blobs(node: Node, blobs: set[_Blob]) -> None:
    if node.type == "file":
        blobs.update((BlobKind.DATA, bytes.fromhex(name)) for name in node.content or ())
    elif node.type == "dir" and node.subtree is not None:
        blobs.add((BlobKind.TREE, bytes.fromhex(node.subtree)))


def _without_content(node: Node) -> Node:
    return msgspec.structs.replace(node, content=None)
