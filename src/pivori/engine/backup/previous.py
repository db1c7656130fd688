"""The parent snapshot: which files need not be read again.

A file is unchanged when its inode number, size, modification and change times are as the parent snapshot has them,
and the repository still has all its blobs. Nothing else on a Unix system can change a file's content
without changing one of these, with one exception: a change in the same tick of the clock in which it was read. So
files that changed when the parent snapshot was being taken, or later, are read again.
"""

import os
from collections.abc import Callable
from enum import Enum

from pivori.errors import PivoriError
from pivori.host import group_name, user_name
from pivori.repository import BlobId, BlobKind, Node, Repository, format_time, parse_time, raw_name

TICK_NS = 20_000_000
"""Longer than a tick of any kernel's file clock (1–10 ms), in nanoseconds."""

_PERMISSIONS = 0o777


class PreviousTrees:
    """The trees of the parent snapshot, read when the walk gets there.

    ``since_ns`` is when the parent snapshot was begun. A tree that cannot be read counts as empty: everything in it
    is then read again; ``on_damage`` hears of it.
    """

    def __init__(
        self, repository: Repository, since_ns: int, on_damage: Callable[[PivoriError], None], *, reuse: bool = True
    ) -> None:
        self._read_tree = repository.read_tree
        self._has = repository.index.has
        self._racy_ns = since_ns - TICK_NS
        self._on_damage = on_damage
        self._reuse = reuse
        self.is_complete = False
        """Whether it is known already that the repository has every blob of the parent snapshot."""

    def nodes(self, tree: str | None) -> dict[bytes, Node]:
        """The nodes of a tree by name; nothing for None."""
        if tree is None:
            return {}
        try:
            return {raw_name(node): node for node in self._read_tree(tree)}
        except PivoriError as error:
            self._on_damage(error)
            return {}

    def compare(self, node: Node, status: os.stat_result) -> "Unchanged":
        """What ``node`` still says truly of the regular file whose ``lstat`` is ``status``."""
        ctime_ns = status.st_ctime_ns
        if (
            node.size != status.st_size
            or node.inode != status.st_ino
            or ctime_ns >= self._racy_ns
            or node.type != "file"
            or not _same_time(node.ctime, ctime_ns)
            or (
                not (node.mtime == node.ctime and status.st_mtime_ns == ctime_ns)
                and not _same_time(node.mtime, status.st_mtime_ns)
            )
            or not self._has_content(node)
        ):
            return Unchanged.NOTHING
        return Unchanged.ALL if _is_same_here(node, status) else Unchanged.CONTENT

    def _has_content(self, node: Node) -> bool:
        if self.is_complete:
            return self._reuse
        has, data = self._has, BlobKind.DATA
        for blob in node.content or ():
            if not has(data, BlobId(bytes.fromhex(blob))):
                return False
        return self._reuse


class Unchanged(Enum):
    """How much of a node still holds."""

    NOTHING = 0
    CONTENT = 1
    ALL = 2


def node_is_unchanged(node: Node, status: os.stat_result) -> bool:
    """Whether all metadata are what ``node`` recorded, given that nothing but a mount changes them without ctime."""
    return (
        node.inode == status.st_ino
        and _same_time(node.mtime, status.st_mtime_ns)
        and _same_time(node.ctime, status.st_ctime_ns)
        and _is_same_here(node, status)
    )


def _is_same_here(node: Node, status: os.stat_result) -> bool:
    """Whether the device has the number it had, the owners theirs and their names, and who may do what is the same.

    All this can change without ctime: by how a file system is mounted, and by who is called what on this machine.
    """
    return (
        node.device_id == status.st_dev
        and node.uid == status.st_uid
        and node.gid == status.st_gid
        and (node.mode ^ status.st_mode) & _PERMISSIONS == 0
        and node.user == user_name(status.st_uid)
        and node.group == group_name(status.st_gid)
    )


def _same_time(text: str, ns: int) -> bool:
    # restic writes local time: the same moment may be another text.
    return text == format_time(ns) or (not text.endswith("Z") and parse_time(text) == ns)
