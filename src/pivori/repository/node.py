"""Nodes: what a tree keeps of one file, and the exact bytes of it.

A tree is addressed by the hash of its bytes, so a node is encoded as Go's ``encoding/json`` does it: restic's field
order, its rules for what is left out, Go's escapes. Then unchanged directories stay the same blobs, whichever of the
two programs made them.
"""

import re
from collections.abc import Sequence
from os import stat_result
from typing import Annotated, Any

import msgspec

from pivori.repository.modes import NodeType, type_and_mode
from pivori.repository.names import quote_name, unquote_name
from pivori.repository.times import format_time

NO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time: what a time that was not recorded reads as."""

_LARGEST_OFFSET = (1 << 63) - 1

Id = Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
_Unsigned32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
_Unsigned64 = Annotated[int, msgspec.Meta(ge=0)]  # msgspec knows no bound over 2^63: the tree decoder checks the rest
_Offset = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_OFFSET)]


class ExtendedAttribute(msgspec.Struct, frozen=True, gc=False):
    """One extended attribute. A ``value`` of None, which restic never writes on Linux, means empty."""

    name: str
    value: bytes | None


class Node(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A file, directory or other item of a tree, in restic's terms and order of fields.

    ``name`` is quoted (:func:`raw_name` gives the bytes), ``mode`` is Go's (:mod:`.modes`), times are RFC 3339 texts
    (:func:`.times.parse_time`). ``linktarget`` holds bytes that are not UTF-8 as surrogates; :func:`link_target`
    gives the bytes. ``size`` is the sum of the lengths of the blobs in ``content``. ``generic_attributes`` is the
    JSON object of what other systems keep, passed on untouched.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    type: NodeType
    mode: _Unsigned32 = 0
    # A default is left out when the very same object is found, so a time that was stored is always written again.
    mtime: str = NO_TIME
    atime: str = NO_TIME
    ctime: str = NO_TIME
    # Fields that are always written have a default that msgspec does not compare with.
    uid: _Unsigned32 = msgspec.field(default_factory=int)
    gid: _Unsigned32 = msgspec.field(default_factory=int)
    user: str = ""
    group: str = ""
    inode: _Unsigned64 = 0
    device_id: _Unsigned64 = 0
    size: _Offset = 0
    links: _Offset = 0
    linktarget: str = ""
    linktarget_raw: bytes = b""
    extended_attributes: list[ExtendedAttribute] = []
    generic_attributes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    device: _Unsigned64 = 0
    content: list[Id] | None = msgspec.field(default_factory=lambda: None)
    subtree: Id | None = None
    error: str = ""


def raw_name(node: Node) -> bytes:
    """The name as the system knows it. Raises TreeDamaged, but not for a node of ``decode_tree``."""
    return unquote_name(node.name)


def link_target(node: Node) -> bytes:
    """Where a symbolic link points to, as the system knows it."""
    return node.linktarget.encode("utf-8", "surrogateescape")


def node_from_stat(
    name: bytes,
    status: stat_result,
    *,
    user: str,
    group: str,
    content: list[str] | None = None,
    subtree: str | None = None,
    linktarget: bytes | None = None,
    extended_attributes: Sequence[ExtendedAttribute] = (),
    with_atime: bool = False,
    size: int | None = None,
) -> Node:
    """The node of a file whose ``lstat`` is ``status``.

    ``size`` is how many bytes were read into ``content``; without it the size in ``status`` is believed. Attribute
    names that are not UTF-8 come with surrogates, as ``os.listxattr`` gives them. Raises IrregularFile.
    """
    kind, mode = type_and_mode(status.st_mode)
    mtime = format_time(status.st_mtime_ns)
    node = Node(
        name=quote_name(name),
        type=kind,
        mode=mode,
        mtime=mtime,
        atime=format_time(status.st_atime_ns) if with_atime else mtime,
        ctime=format_time(status.st_ctime_ns),
        uid=status.st_uid,
        gid=status.st_gid,
        user=user,
        group=group,
        inode=status.st_ino,
        device_id=status.st_dev,
        content=content,
        subtree=subtree,
    )
    if kind == "file":
        node.size = status.st_size if size is None else size
        node.links = status.st_nlink
    elif kind == "symlink":
        node.links = status.st_nlink
        _set_link_target(node, linktarget or b"")
    elif kind in ("dev", "chardev"):
        node.links = status.st_nlink
        node.device = status.st_rdev
    if extended_attributes:
        node.extended_attributes = list(extended_attributes)
    return node


def _set_link_target(node: Node, target: bytes) -> None:
    try:
        node.linktarget = target.decode()
    except UnicodeDecodeError:
        node.linktarget = target.decode("utf-8", "surrogateescape")
        node.linktarget_raw = target


_encode = msgspec.json.Encoder().encode
_surrogates = re.compile("[\ud800-\udfff]")
_TEXTS = ("user", "group", "linktarget", "error")


def encode_node(node: Node) -> bytes:
    """The JSON of a node, with bytes that are no UTF-8 as ``\\ufffd``. Only Go's escapes for HTML are left to
    :func:`.tree.assemble_tree`, which makes them for a whole directory at the price of one node."""
    try:
        return _encode(node)
    except UnicodeEncodeError:
        return _encode(_with_go_texts(node))


def _with_go_texts(node: Node) -> Node:
    """A copy in which every text with surrogates is JSON already."""
    changes: dict[str, Any] = {
        field: _go_text(text) for field in _TEXTS if _surrogates.search(text := getattr(node, field))
    }
    if node.extended_attributes:
        changes["extended_attributes"] = [
            msgspec.structs.replace(attribute, name=_go_text(attribute.name)) for attribute in node.extended_attributes
        ]
    return msgspec.structs.replace(node, **changes)


def _go_text(text: str) -> msgspec.Raw:
    return msgspec.Raw(b'"' + b"\\ufffd".join(_encode(part)[1:-1] for part in _surrogates.split(text)) + b'"')
