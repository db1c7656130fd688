"""What a snapshot's tree asks a restore to make, one item at a time.

The walk is iterative and holds one tree per level, so the width of a hostile tree costs no more than what is being
looked at; its depth is bounded.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pivori.errors import PivoriError
from pivori.repository import Node, Repository, demand_reachable, link_target, parse_time, raw_name, unix_mode
from pivori.translation import N_


class PathNotInSnapshot(PivoriError):
    """The snapshot does not hold the path that was asked for."""

    code = "path-not-in-snapshot"
    message = N_("The snapshot has no {path}.")
    hint = N_("List what it holds with `pivori ls SNAPSHOT`.")


class Selection(Protocol):
    """What decides which items are restored."""

    def decide(self, path: Sequence[bytes], is_directory: bool) -> tuple[bool, bool]:
        """Whether the item at ``path`` (names from the snapshot's root) is wanted, and whether something in it is."""
        ...


class Metadata(NamedTuple):
    """What a file gets besides its content, as :class:`pivori.host.TargetTree` takes it."""

    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    attributes: tuple[tuple[bytes, bytes], ...]
    user: str
    group: str


LinkKey = tuple[int, int, int]
"""What all names of one file share: device, inode, and a hash of what the file holds.

A number may come up again for another file: a snapshot can hold files of several machines, and a file that was
removed during a backup leaves its number to the next one.
"""


class FileItem(NamedTuple):
    """A regular file: ``content`` are the joined ids of its blobs."""

    path: bytes
    metadata: Metadata
    content: bytes
    size: int
    link_key: LinkKey | None


class DirectoryItem(NamedTuple):
    """A directory, before what is in it. ``names`` are all names the snapshot has in it, ``shown`` its path there.

    ``whole`` says that it was backed up itself: false for those on the way to what was, and where only some of what
    is in it was selected.
    """

    path: bytes
    metadata: Metadata
    names: frozenset[bytes]
    shown: tuple[bytes, ...]
    whole: bool


class OtherItem(NamedTuple):
    """A symbolic link, device, FIFO or socket."""

    path: bytes
    metadata: Metadata
    kind: str
    target: bytes
    device: int
    link_key: LinkKey | None


class LeaveItem(NamedTuple):
    """The end of a directory: everything in it has been named."""

    directory: DirectoryItem


Item = FileItem | DirectoryItem | OtherItem | LeaveItem


def metadata_of(node: Node) -> Metadata:
    """The metadata a node recorded."""
    found = node.extended_attributes
    attributes = tuple([(os.fsencode(item.name), item.value or b"") for item in found]) if found else ()
    mtime_ns = parse_time(node.mtime)
    atime_ns = mtime_ns if node.atime == node.mtime else parse_time(node.atime)
    return Metadata(unix_mode(node.mode), node.uid, node.gid, atime_ns, mtime_ns, attributes, node.user, node.group)


def find_subtree(repository: Repository, root: str, path: bytes) -> tuple[str, Node | None]:
    """The tree of the directory ``path`` below ``root`` and its node; for a file, the tree it is in and its node.

    Raises PathNotInSnapshot.
    """
    tree, node = root, None
    names = [name for name in path.split(b"/") if name]
    for number, name in enumerate(names):
        node = next((item for item in repository.read_tree(tree) if raw_name(item) == name), None)
        if node is None or (node.subtree is None and number + 1 < len(names)):
            raise PathNotInSnapshot(path=os.fsdecode(path))
        if node.subtree is not None:
            tree = node.subtree
    return tree, node


class _Level(NamedTuple):
    nodes: Iterator[tuple[bytes, Node]]
    item: DirectoryItem | None
    path: bytes
    shown: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is wanted of a snapshot. ``start`` is where the walk begins in it, and patterns see whole paths;
    ``sources`` are the paths that were backed up, each as its names; ``without`` are names left out at ``start``."""

    selection: Selection | None = None
    start: tuple[bytes, ...] = ()
    sources: Collection[tuple[bytes, ...]] = ()
    without: Collection[bytes] = ()

    def is_on_the_way(self, shown: tuple[bytes, ...]) -> bool:
        """Whether a directory only leads to what was backed up."""
        length = len(shown)
        return any(len(source) > length and source[:length] == shown for source in self.sources)

    def decide(self, shown: tuple[bytes, ...], is_directory: bool) -> tuple[bool, bool]:
        """Whether an item is wanted, and whether something in it may be."""
        return self.selection.decide(shown, is_directory) if self.selection else (True, True)


def walk_items(
    repository: Repository, tree: str, scope: Scope, on_damage: Callable[[bytes, PivoriError], None]
) -> Iterator[Item]:
    """Every wanted item below ``tree``, directories before what is in them. Paths are relative to the target.

    A directory that is not wanted itself is only named when something in it is. ``on_damage`` hears of trees that
    cannot be read; the rest goes on.
    """
    held: list[DirectoryItem] = []
    named = ((raw_name(node), node) for node in repository.read_tree(tree))
    stack = [_Level((each for each in named if each[0] not in scope.without), None, b"", scope.start)]
    while stack:
        level = stack[-1]
        entry = next(level.nodes, None)
        if entry is None:
            stack.pop()
            if held:
                held.pop()  # what is held back are the innermost directories, and nothing was found in this one
            elif level.item is not None:
                yield LeaveItem(level.item)
            continue
        name, node = entry
        path = level.path + b"/" + name if level.path else name
        shown = (*level.shown, name)
        selected, inside = scope.decide(shown, node.type == "dir")
        if node.type != "dir":
            if selected:
                yield from held
                held.clear()
                yield _item(node, path)
        elif selected or inside:
            try:
                nodes = _nodes_in(repository, node, path, len(stack))
            except PivoriError as error:
                on_damage(path, error)
                continue
            whole = selected and not scope.is_on_the_way(shown)
            names = list(map(raw_name, nodes))
            item = DirectoryItem(path, metadata_of(node), frozenset(names), shown, whole)
            held.append(item)
            if selected:
                yield from held
                held.clear()
            stack.append(_Level(zip(names, nodes, strict=True), item, path, shown))


def _nodes_in(repository: Repository, node: Node, path: bytes, levels: int) -> list[Node]:
    """What is in a directory. Raises NestedTooDeeply, and what reading a tree raises."""
    demand_reachable(levels, path)
    return repository.read_tree(node.subtree or "")


def _item(node: Node, path: bytes) -> FileItem | OtherItem:
    metadata = metadata_of(node)
    linked = node.links > 1 and node.inode
    if node.type == "file":
        content = bytes.fromhex("".join(node.content or ()))
        link_key = (node.device_id, node.inode, hash(content)) if linked else None
        return FileItem(path, metadata, content, node.size, link_key)
    target = link_target(node) if node.type == "symlink" else b""
    link_key = (node.device_id, node.inode, hash((node.type, target, node.device))) if linked else None
    return OtherItem(path, metadata, node.type, target, node.device, link_key)


def single_item(node: Node) -> FileItem | OtherItem:
    """The item for one file that is restored alone."""
    return _item(node, raw_name(node))
