"""What lies at a path of a mounted repository, and what a file holds.

Knows nothing of the kernel. Safe to use from several threads: reading the repository is done by one at a time, and
what was read last is kept, so that a file read in small pieces costs each of its blobs once.
"""

import errno
import os
import stat
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final, NamedTuple

from pivori.engine.mount.layout import Folder, Link, make_layout
from pivori.engine.mount.recent import Recent
from pivori.repository import (
    BlobId,
    BlobKind,
    BlobMissing,
    LoadedSnapshot,
    Node,
    Repository,
    link_target,
    parse_time,
    raw_name,
    unix_mode,
)

_BLOB_BYTES: Final = 64 << 20
_DIRECTORY_ENTRIES: Final = 200_000
_BLOCK: Final = 512
_READ_SIZE: Final = 128 << 10

_KINDS: Final = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}

Item = Folder | Link | LoadedSnapshot | Node
Directory = Mapping[bytes, Item]


class OpenFile(NamedTuple):
    """A file whose content is read: ``ends`` has, for each blob, where the next one begins."""

    blobs: list[str]
    ends: "array[int]"


class SnapshotView:
    """The folders, and below them the snapshots. ``owner`` are the user and group that the folders belong to."""

    def __init__(
        self,
        repository: Repository,
        snapshots: Iterable[LoadedSnapshot],
        *,
        owner: tuple[int, int] = (0, 0),
        cache_bytes: int = _BLOB_BYTES,
    ) -> None:
        self._repository = repository
        self._root = make_layout(snapshots)
        self._owner = owner
        self._lock = Lock()
        self._blobs = Recent[bytes](cache_bytes, len)
        self._directories = Recent[dict[bytes, Node]](_DIRECTORY_ENTRIES, lambda nodes: len(nodes) + 1)

    def find(self, path: bytes) -> Item:
        """What lies at a path.

        Raises FileNotFoundError and NotADirectoryError, and the repository's errors.
        """
        item: Item = self._root
        for name in path.split(b"/"):
            if not name:
                continue
            found = self.entries(item).get(name)
            if found is None:
                raise FileNotFoundError(path)
            item = found
        return item

    def entries(self, item: Item) -> Directory:
        """What is in a directory. Raises NotADirectoryError, and the repository's errors."""
        if isinstance(item, Folder):
            return item.items
        if isinstance(item, LoadedSnapshot):
            return self._nodes(item.snapshot.tree)
        if isinstance(item, Node) and item.subtree is not None:
            return self._nodes(item.subtree)
        raise NotADirectoryError

    def status(self, item: Item) -> dict[str, int]:
        """The fields of ``stat``, times in nanoseconds.

        A directory's link count is 1, which says that its subdirectories are not counted.
        """
        if isinstance(item, Node):
            return _node_status(item)
        uid, gid = self._owner
        kind = stat.S_IFLNK | 0o777 if isinstance(item, Link) else stat.S_IFDIR | 0o555
        size = len(item.target) if isinstance(item, Link) else 0
        return _status(kind, uid, gid, size, item.time_ns)

    def link(self, item: Item) -> bytes:
        """Where a symbolic link points to. Raises OSError (EINVAL) for anything else."""
        if isinstance(item, Link):
            return item.target
        if isinstance(item, Node) and item.type == "symlink":
            return link_target(item)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def attributes(self, item: Item) -> dict[bytes, bytes]:
        """The extended attributes."""
        if not isinstance(item, Node):
            return {}
        return {os.fsencode(each.name): each.value or b"" for each in item.extended_attributes}

    def open(self, item: Item) -> OpenFile:
        """A file, ready for :meth:`read`. Raises IsADirectoryError, and BlobMissing when a part is not there."""
        if not isinstance(item, Node) or item.type != "file":
            raise IsADirectoryError
        end, ends = 0, array("Q")
        blobs = item.content or []
        with self._lock:
            for name in blobs:
                length = self._repository.index.content_length(BlobKind.DATA, BlobId(bytes.fromhex(name)))
                if length is None:
                    raise BlobMissing(kind=BlobKind.DATA.word, id=name)
                end += length
                ends.append(end)
        return OpenFile(blobs, ends)

    def read(self, file: OpenFile, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``; fewer at the end of the file. Raises the repository's errors."""
        parts = []
        number = bisect_right(file.ends, offset)
        while size > 0 and number < len(file.blobs):
            start = file.ends[number - 1] if number else 0
            content = self._blob(file.blobs[number])
            part = content[offset - start : offset - start + size]
            parts.append(part)
            offset += len(part)
            size -= len(part)
            number += 1
        return b"".join(parts)

    def _blob(self, name: str) -> bytes:
        blob = BlobId(bytes.fromhex(name))
        with self._lock:
            return self._blobs.get(blob, lambda: self._repository.read_blob(BlobKind.DATA, blob))

    def _nodes(self, tree: str) -> dict[bytes, Node]:
        with self._lock:
            return self._directories.get(
                bytes.fromhex(tree), lambda: {raw_name(node): node for node in self._repository.read_tree(tree)}
            )


def _node_status(node: Node) -> dict[str, int]:
    size = 0
    if node.type == "file":
        size = node.size
    elif node.type == "symlink":
        size = len(link_target(node))
    mtime_ns = parse_time(node.mtime)
    status = _status(_KINDS[node.type] | unix_mode(node.mode), node.uid, node.gid, size, mtime_ns)
    status["st_nlink"] = max(node.links, 1)
    status["st_atime"] = parse_time(node.atime)
    status["st_ctime"] = parse_time(node.ctime)
    if node.type in ("dev", "chardev"):
        status["st_rdev"] = node.device
    return status


def _status(mode: int, uid: int, gid: int, size: int, time_ns: int) -> dict[str, int]:
    return {
        "st_mode": mode,
        "st_nlink": 1,
        "st_uid": uid,
        "st_gid": gid,
        "st_size": size,
        "st_blocks": -(-size // _BLOCK),
        "st_blksize": _READ_SIZE,
        "st_atime": time_ns,
        "st_mtime": time_ns,
        "st_ctime": time_ns,
    }
