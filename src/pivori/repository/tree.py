"""Trees: one directory's nodes as the bytes of a blob, and back, trusting nothing.

``{"nodes":[…]}`` and a line feed, nodes in the byte order of their raw names. Decoding and encoding again gives the
same bytes for what restic and this program write, with three exceptions, all of them inherited: fields that this
program does not know, ``\\u0008`` and ``\\u000c`` from restic built with Go before 1.22, and a U+FFFD that stands for
lost bytes in an attribute's name (or in a link target written by restic before 0.17). So trees are copied as bytes.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from pivori.repository.names import TreeDamaged, unquote_name
from pivori.repository.node import (
    NO_TIME,
    ExtendedAttribute,
    Id,
    Node,
    encode_node,
    link_target,
    node_from_stat,
    raw_name,
)
from pivori.repository.times import valid_times
from pivori.translation import N_, Phrase

__all__ = [
    "EMPTY_TREE",
    "MAXIMUM_TREE_SIZE",
    "NO_TIME",
    "ExtendedAttribute",
    "Node",
    "TreeDamaged",
    "assemble_tree",
    "decode_tree",
    "encode_node",
    "link_target",
    "node_from_stat",
    "raw_name",
    "references",
]

EMPTY_TREE = b'{"nodes":[]}\n'
"""The tree of an empty directory."""

MAXIMUM_TREE_SIZE = 1 << 30
"""The largest tree that is decoded, in bytes: some two million files in one directory."""


class _Tree(msgspec.Struct, gc=False):
    nodes: list[Node]


class _Reference(msgspec.Struct, gc=False):
    content: list[Id] | None = None
    subtree: Id | None = None


class _References(msgspec.Struct, gc=False):
    nodes: list[_Reference]


_tree_decoder = msgspec.json.Decoder(_Tree)
_references_decoder = msgspec.json.Decoder(_References)
_HEXADECIMAL = b"0123456789abcdef"
_GO_ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_GO_LINE_ESCAPES = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


def assemble_tree(nodes: Sequence[bytes]) -> bytes:
    """The tree of encoded nodes, which stand in the order of their raw names and have no name in common."""
    tree = b'{"nodes":[' + b",".join(nodes) + b"]}\n"
    # What Go escapes although JSON does not ask for it; outside of strings JSON has none of these bytes.
    for plain, escaped in _GO_ESCAPES if tree.isascii() else _GO_ESCAPES + _GO_LINE_ESCAPES:
        if plain in tree:
            tree = tree.replace(plain, escaped)
    return tree


def decode_tree(blob: bytes) -> list[Node]:
    """The nodes of a tree, in the order of the blob (early restic did not sort them). Raises TreeDamaged.

    What comes back can be used without further care: a name is one component of a path, and not ``.`` or ``..``;
    no two names are the same; a directory has a subtree and a file has content; ids are ids, times are times and
    numbers fit their fields.
    """
    _check_size(blob)
    try:
        nodes = _tree_decoder.decode(blob).nodes
    except (ValueError, RecursionError) as error:
        raise TreeDamaged(reason=str(error)) from error
    except MemoryError:
        reason = Phrase(N_("its {size} bytes need more memory than there is"), size=len(blob))
        raise TreeDamaged(reason=reason) from None
    _check_names(nodes)
    _check_ids(
        [name for node in nodes if node.content for name in node.content],
        [node.subtree for node in nodes if node.subtree is not None],
    )
    _check_times(nodes)
    for node in nodes:
        _check_node(node)
    return nodes


def references(blob: bytes) -> tuple[list[str], list[str]]:
    """The ids of the subtrees and of the data blobs that a tree refers to, repeats included. Raises TreeDamaged.

    Checks no more than that; for walks over whole repositories.
    """
    _check_size(blob)
    try:
        nodes = _references_decoder.decode(blob).nodes
    except (ValueError, RecursionError) as error:
        raise TreeDamaged(reason=str(error)) from error
    subtrees = [node.subtree for node in nodes if node.subtree is not None]
    contents = [name for node in nodes if node.content for name in node.content]
    _check_ids(subtrees, contents)
    return subtrees, contents


def _check_size(blob: bytes) -> None:
    if len(blob) > MAXIMUM_TREE_SIZE:
        raise TreeDamaged(reason=Phrase(N_("it is larger than {size} bytes"), size=MAXIMUM_TREE_SIZE))


def _check_ids(*lists: list[str]) -> None:
    """Check the digits of ids, whose lengths are known to be right, all at once."""
    for names in lists:
        if "".join(names).encode().translate(None, _HEXADECIMAL):
            wrong = next(name for name in names if name.encode().translate(None, _HEXADECIMAL))
            raise TreeDamaged(reason=Phrase(N_("{text!a} is not the id of a blob"), text=wrong))


def _check_names(nodes: list[Node]) -> None:
    """Check all names at once: most directories hold no name that needs a closer look."""
    names = [node.name for node in nodes]
    joined = "/".join(names)
    if joined.count("/") >= max(len(names), 1) or not joined.isprintable() or "\\" in joined or '"' in joined:
        names = [_checked_name(name) for name in names]
    unique = set(names)
    if "." in unique or ".." in unique:
        raise TreeDamaged(reason=N_("a name points outside the directory"))
    if len(unique) != len(names):
        raise TreeDamaged(reason=Phrase(N_("the name {name!a} is there twice"), name=_first_repeated(names)))


def _checked_name(stored: str) -> str:
    """The raw name as text with surrogates."""
    name = unquote_name(stored)
    if not name or b"/" in name or b"\0" in name:
        raise TreeDamaged(reason=Phrase(N_("the name {name!a} is not the name of a file"), name=stored[:64]))
    return name.decode("utf-8", "surrogateescape")


def _first_repeated(names: list[str]) -> str:
    return next(name for name, count in Counter(names).items() if count > 1)


def _check_times(nodes: list[Node]) -> None:
    times = [node.mtime for node in nodes]
    times += [node.ctime for node in nodes]
    times += [node.atime for node in nodes if node.atime != node.mtime]
    if not valid_times(times):
        wrong = next(time for time in times if not valid_times([time]))
        raise TreeDamaged(reason=Phrase(N_("{text!a} is not a time"), text=wrong[:64]))


def _check_node(node: Node) -> None:
    """Check what depends on the type, and bring the rarely used fields into the form that :class:`Node` promises."""
    kind = node.type
    if kind == "file":
        if node.content is None:
            raise TreeDamaged(reason=Phrase(N_("the file {name!a} has no content"), name=node.name))
    elif kind == "dir":
        if node.subtree is None:
            raise TreeDamaged(reason=Phrase(N_("the directory {name!a} has no subtree"), name=node.name))
    elif kind == "symlink":
        _check_link(node)
    if (node.inode | node.device_id | node.device) >> 64:
        raise TreeDamaged(reason=Phrase(N_("a number of {name!a} is too large"), name=node.name))
    if node.extended_attributes:
        _check_attributes(node)
    if node.generic_attributes is not msgspec.UNSET:
        node.generic_attributes = _checked_generic_attributes(node.name, node.generic_attributes)


def _check_link(node: Node) -> None:
    if node.linktarget_raw:
        node.linktarget = node.linktarget_raw.decode("utf-8", "surrogateescape")
    if "\0" in node.linktarget:
        raise TreeDamaged(reason=Phrase(N_("the target of the link {name!a} holds a zero byte"), name=node.name))


def _check_attributes(node: Node) -> None:
    if any(not attribute.name or "\0" in attribute.name for attribute in node.extended_attributes):
        raise TreeDamaged(reason=Phrase(N_("an attribute of {name!a} has no usable name"), name=node.name))


def _checked_generic_attributes(name: str, stored: msgspec.Raw) -> msgspec.Raw:
    raw = bytes(stored)
    if not raw.startswith(b"{"):
        raise TreeDamaged(reason=Phrase(N_("the generic attributes of {name!a} are not an object"), name=name))
    return msgspec.Raw(raw)  # a copy: what the decoder gives keeps the whole blob in memory
