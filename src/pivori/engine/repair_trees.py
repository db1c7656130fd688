"""Mending trees: what can still be had of a directory whose files or subdirectories are lost.

A file that lacks some of its blobs keeps the others and is called ``NAME.repaired``: nobody must take it for the
whole file, and the next backup reads the original again. A file of which nothing is left goes, and so does a directory
that cannot be read. A file whose size is not that of its content gets the right size. Nodes in which nothing changes
keep their very bytes, so fields this program does not know survive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from pivori.errors import PivoriError
from pivori.repository import (
    BlobDamaged,
    BlobId,
    BlobKind,
    BlobMissing,
    Node,
    Repository,
    TreeDamaged,
    assemble_tree,
    decode_tree,
    encode_node,
    quote_name,
    raw_name,
)

SUFFIX: Final = b".repaired"
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 4096
"""Longer paths are told without their middle: there may be many of them."""

AddTree = Callable[[bytes], str]


class ChangeKind(StrEnum):
    """What is done to a path."""

    DIRECTORY_REMOVED = "directory-removed"
    FILE_REMOVED = "file-removed"
    FILE_SHORTENED = "file-shortened"
    SIZE_CORRECTED = "size-corrected"
    ENTRY_REMOVED = "entry-removed"
    ENTRY_RENAMED = "entry-renamed"


@dataclass(frozen=True)
class Change:
    """One change; ``path`` is that in the first snapshot it was met in, ``new_name`` is empty when the name stays."""

    kind: ChangeKind
    path: bytes
    new_name: bytes = b""


class _RawTree(msgspec.Struct):
    nodes: list[msgspec.Raw]


class _Entry(NamedTuple):
    """A node as it is stored, decoded, and its raw name."""

    raw: bytes
    node: Node
    name: bytes


class _Frame(NamedTuple):
    """A directory that is being mended. Only its name is kept: the paths of all levels together could be immense."""

    tree: str
    name: bytes
    entries: list[_Entry]
    changes: list[Change]
    waiting: list[tuple[str, bytes]]


_raw_decoder = msgspec.json.Decoder(_RawTree)


class TreeRepair:
    """Mends trees, each once, however many snapshots have it. ``add_tree`` stores a tree and gives its id."""

    def __init__(self, repository: Repository, add_tree: AddTree) -> None:
        self._repository = repository
        self._add_tree = add_tree
        self._mended: dict[str, str | None] = {}
        self.changes: list[Change] = []

    def mend(self, root: str) -> str | None:
        """The id of the mended tree, the same when nothing is wrong with it; None when it cannot be read at all.

        Without recursion, and however deep the trees are: what is not followed would be lost.
        """
        stack: list[_Frame] = []
        self._enter(stack, root, b"")
        while stack:
            frame = stack[-1]
            if frame.waiting:
                self._enter(stack, *frame.waiting.pop())
            else:
                self._mended[frame.tree] = self._rebuild(frame, stack)
                stack.pop()
        return self._mended[root]

    def _enter(self, stack: list[_Frame], tree: str, name: bytes) -> None:
        if tree in self._mended:
            return
        try:
            content = self._repository.read_blob(BlobKind.TREE, BlobId(bytes.fromhex(tree)))
            entries, removed = _entries(content)
        except (BlobMissing, BlobDamaged, TreeDamaged, ValueError):
            self._mended[tree] = None
            return
        waiting = [(entry.node.subtree, entry.name) for entry in entries if entry.node.subtree is not None]
        frame = _Frame(tree, name, entries, [], waiting)
        stack.append(frame)
        frame.changes.extend(Change(ChangeKind.ENTRY_REMOVED, _path(stack, each)) for each in removed)

    def _rebuild(self, frame: _Frame, stack: Sequence[_Frame]) -> str:
        changes = frame.changes
        taken = {entry.name for entry in frame.entries}
        seen: set[bytes] = set()
        nodes: dict[bytes, bytes] = {}
        for entry in frame.entries:
            raw, change = self._mended_node(entry)
            name = entry.name
            if raw is not None and (entry.name in seen or change is ChangeKind.FILE_SHORTENED):
                name = _free_name(entry.name, taken)
                taken.add(name)
                change = change or ChangeKind.ENTRY_RENAMED
                raw = _renamed(raw, name)
            seen.add(entry.name)
            if change is not None:
                new_name = name if name != entry.name else b""
                changes.append(Change(change, _path(stack, entry.name), new_name))
            if raw is not None:
                nodes[name] = raw
        self.changes += changes
        if not changes and all(nodes[entry.name] is entry.raw for entry in frame.entries):
            return frame.tree
        return self._add_tree(assemble_tree([nodes[name] for name in sorted(nodes)]))

    def _mended_node(self, entry: _Entry) -> tuple[bytes | None, ChangeKind | None]:
        """The bytes of a node, the same object when nothing changes, and what was changed."""
        node = entry.node
        if node.subtree is not None:
            mended = self._mended[node.subtree]
            if mended is None:
                return None, ChangeKind.DIRECTORY_REMOVED
            if mended == node.subtree:
                return entry.raw, None
            old, new = b'"%s"' % node.subtree.encode(), b'"%s"' % mended.encode()
            if entry.raw.count(old) == 1:
                return entry.raw.replace(old, new), None
            return encode_node(msgspec.structs.replace(node, subtree=mended)), None
        if node.type != "file":
            return entry.raw, None
        return self._mended_file(entry)

    def _mended_file(self, entry: _Entry) -> tuple[bytes | None, ChangeKind | None]:
        node = entry.node
        left, size = [], 0
        for name in node.content or ():
            length = self._repository.index.content_length(BlobKind.DATA, BlobId(bytes.fromhex(name)))
            if length is not None:
                left.append(name)
                size += length
        if len(left) == len(node.content or ()):
            if size == node.size:
                return entry.raw, None
            return encode_node(msgspec.structs.replace(node, size=size)), ChangeKind.SIZE_CORRECTED
        if not left:
            return None, ChangeKind.FILE_REMOVED
        shortened = msgspec.structs.replace(node, content=left, size=size)
        return encode_node(shortened), ChangeKind.FILE_SHORTENED


def _path(stack: Sequence[_Frame], name: bytes) -> bytes:
    """The path of something in the directory on top of the stack; a long one without its middle."""
    path = b"/".join([*(frame.name for frame in stack), name])
    if len(path) > _LONGEST_PATH:
        return path[: _LONGEST_PATH // 2] + "/…/".encode() + path[-_LONGEST_PATH // 2 :]
    return path


def _entries(content: bytes) -> tuple[list[_Entry], list[bytes]]:
    """The nodes of a tree that can be understood, and the names of the others. Raises TreeDamaged."""
    try:
        raws = [bytes(raw) for raw in _raw_decoder.decode(content).nodes]
    except (ValueError, RecursionError) as error:
        raise TreeDamaged(reason=str(error)) from None
    try:
        nodes = decode_tree(content)
        return [_Entry(raw, node, raw_name(node)) for raw, node in zip(raws, nodes, strict=True)], []
    except TreeDamaged:
        entries = [(raw, _entry_alone(raw)) for raw in raws]
        removed = [_name_for_people(raw) for raw, entry in entries if entry is None]
        return [entry for _, entry in entries if entry is not None], removed


def _entry_alone(raw: bytes) -> _Entry | None:
    """One node of a tree that as a whole is not sound."""
    try:
        node = decode_tree(b'{"nodes":[' + raw + b"]}\n")[0]
        return _Entry(raw, node, raw_name(node))
    except PivoriError:
        return None


def _name_for_people(raw: bytes) -> bytes:
    """The name in a node that cannot be understood, as well as it can be had."""
    try:
        name = msgspec.json.decode(raw).get("name")
    except (ValueError, RecursionError, AttributeError):
        return b"?"
    return str(name).encode("utf-8", "surrogatepass")


def _free_name(name: bytes, taken: set[bytes]) -> bytes:
    """``NAME.repaired``, or with a number when that is taken; never longer than file systems allow."""
    number = 1
    while True:
        suffix = SUFFIX if number == 1 else SUFFIX + b"-%d" % number
        candidate = name[: _LONGEST_NAME - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        number += 1


def _renamed(raw: bytes, name: bytes) -> bytes:
    """The bytes of a node with another name."""
    node = decode_tree(b'{"nodes":[' + raw + b"]}\n")[0]
    return encode_node(msgspec.structs.replace(node, name=quote_name(name)))
