"""Putting directories together: when the last node of a directory is there, its tree is stored and its own node
goes into the directory above."""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pivori.engine.backup.documents import Addition
from pivori.engine.backup.previous import node_is_unchanged
from pivori.engine.backup.reading import extended
from pivori.host import group_name, read_attributes, user_name
from pivori.repository import Node, assemble_tree, encode_node, node_from_stat

KEPT: Final = b""
"""Stands for the node that the previous tree has under the same name."""


class Facts(NamedTuple):
    """What is remembered of a directory: the digest of its signature, and what is in it."""

    digest: bytes
    files: int
    bytes: int
    others: int


@dataclass(slots=True, eq=False)
class Directory:
    """A directory on its way into the repository.

    ``names`` are its entries, in their order, and ``nodes`` has a slot for each: the node, encoded or as the parent
    snapshot has it; KEPT when that was not even looked up; None when the entry is left out. ``remaining`` counts the
    slots that are still open, and one more until the listing is complete. ``same`` stays true while everything is as
    it was in ``previous_id``, the tree of the parent snapshot; ``is_recognised`` says that this was seen from the
    signature. ``facts`` are what is remembered of it for the next run, if nothing is missing from it. ``addition`` is
    an entry besides those that were found; such a directory is neither recognised nor remembered.
    """

    number: int
    path: bytes
    name: bytes
    above: "Directory | None"
    slot: int
    status: os.stat_result
    previous_node: Node | None = None
    previous_id: str | None = None
    names: list[bytes] = field(default_factory=list)
    nodes: list[bytes | Node | None] = field(default_factory=list)
    remaining: int = 1
    same: bool = False
    is_recognised: bool = False
    facts: Facts | None = None
    addition: Addition | None = None


class Assembly:
    """Collects nodes until directories are complete.

    ``add_tree`` stores a tree: its id as text, and whether new. ``previous_nodes`` gives the nodes of a tree of the
    parent snapshot by name. ``remember`` gets a directory's path, tree and facts when nothing is missing from it.
    ``addition`` goes into the root.
    """

    def __init__(
        self,
        add_tree: Callable[[bytes], tuple[str, bool]],
        *,
        previous_nodes: Callable[[str | None], dict[bytes, Node]],
        remember: Callable[[bytes, str, Facts], None],
        with_atime: bool,
        addition: Addition | None = None,
    ) -> None:
        self._add_tree = add_tree
        self._previous_nodes = previous_nodes
        self._remember = remember
        self._with_atime = with_atime
        self._addition = addition
        self._open: dict[int, Directory] = {}
        self._next = 0
        self.root: str | None = None
        self.directories_new = 0
        self.directories_changed = 0
        self.directories_unmodified = 0

    def open(self, path: bytes, name: bytes, above: Directory | None, slot: int, status: os.stat_result) -> Directory:
        """A new directory, whose own node will go into ``slot`` of the directory ``above`` (None: the root)."""
        directory = Directory(self._next, path, name, above, slot, status)
        if above is None:
            directory.addition = self._addition
        self._next += 1
        self._open[directory.number] = directory
        return directory

    def directory(self, number: int) -> Directory:
        """An open directory by its number."""
        return self._open[number]

    def expect(self, directory: Directory, names: list[bytes]) -> None:
        """Say which entries the directory has."""
        directory.names = names
        directory.nodes = [None] * len(names)
        directory.remaining += len(names)

    def place(self, directory: Directory, slot: int, node: bytes | None) -> None:
        """Fill a slot; None leaves the entry out."""
        directory.nodes[slot] = node
        if node is None:
            directory.same = False
            directory.facts = None
        self.done(directory)

    def done(self, directory: Directory) -> None:
        """One thing less to wait for in ``directory``; completes it, and those above it, when it was the last."""
        directory.remaining -= 1
        current: Directory | None = directory
        while current is not None and current.remaining == 0:
            current = self._complete(current)

    def _complete(self, directory: Directory) -> Directory | None:
        del self._open[directory.number]
        tree, new = self._tree_of(directory)
        if directory.facts is not None:
            self._remember(directory.path, tree, directory.facts)
        directory.nodes = []
        above = directory.above
        if above is None:
            self.root = tree
            return None
        node, same = self._node_of(directory, tree)
        self._count(directory, new or not same)
        above.nodes[directory.slot] = node
        above.same = above.same and same
        above.remaining -= 1
        return above

    def _tree_of(self, directory: Directory) -> tuple[str, bool]:
        if directory.same and directory.previous_id is not None:
            return directory.previous_id, False
        nodes: Iterable[bytes | Node | None] = directory.nodes
        if directory.is_recognised:
            # Something below changed: now the nodes are needed that so far stayed unread in the previous tree.
            previous = self._previous_nodes(directory.previous_id)
            nodes = [
                previous.get(name) if node is KEPT else node
                for name, node in zip(directory.names, directory.nodes, strict=True)
            ]
        encoded = [node if isinstance(node, bytes) else encode_node(node) for node in nodes if node is not None]
        if directory.addition is not None:
            names = [name for name, node in zip(directory.names, nodes, strict=True) if node is not None]
            encoded.insert(bisect_left(names, directory.addition.name), directory.addition.node)
        return self._add_tree(assemble_tree(encoded))

    def _node_of(self, directory: Directory, tree: str) -> tuple[bytes | Node, bool]:
        """The directory's own node, and whether it is what it was."""
        status, previous = directory.status, directory.previous_node
        above = directory.above
        if tree == directory.previous_id and above is not None and above.is_recognised:
            if status.st_dev == above.status.st_dev:
                # The signature of the directory above covers everything that the node has besides the tree.
                return KEPT, True
            # But not of another file system, which may be mounted in another way than it was.
            previous = self._previous_nodes(above.previous_id).get(directory.name)
        if tree == directory.previous_id and previous is not None and node_is_unchanged(previous, status):
            return previous, not self._with_atime
        try:
            attributes = read_attributes(directory.path)
        except OSError:
            attributes = []
        node = node_from_stat(
            directory.name,
            status,
            user=user_name(status.st_uid),
            group=group_name(status.st_gid),
            subtree=tree,
            extended_attributes=extended(attributes),
            with_atime=self._with_atime,
        )
        return encode_node(node), node == previous

    def _count(self, directory: Directory, changed: bool) -> None:
        if directory.previous_id is None:
            self.directories_new += 1
        elif changed:
            self.directories_changed += 1
        else:
            self.directories_unmodified += 1
