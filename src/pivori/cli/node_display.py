"""How an item of a snapshot is shown: a line as ``ls -l`` writes it, or JSON with restic's field names."""

import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pivori.cli.wording import display_width, show_bytes, show_path, show_time
from pivori.repository import Node, link_target, raw_name, unix_mode

_KINDS: Final = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}
_GO_LETTERS: Final = "dalTLDpSugct?"
_PERMISSIONS: Final = "rwxrwxrwx"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SHOWN: Final = 253_402_214_400 * 1_000_000_000
_OWNER_WIDTH, _SIZE_WIDTH = 8, 10


def show_moment(ns: int) -> str:
    """Nanoseconds since the epoch in local time, to the second; years that ``datetime`` lacks as the nearest."""
    earliest = -62_135_510_400 * 1_000_000_000
    return show_time(_EPOCH + timedelta(microseconds=min(max(ns, earliest), _LATEST_SHOWN) // 1000))


def long_line(path: bytes, node: Node, mtime_ns: int) -> str:
    """``-rw-r--r-- me       staff      1.4 MiB 2025-11-08 12:00:00 /home/me/a``: columns that fit the usual case.

    The owner is a number where the snapshot has no name for it.
    """
    mode = stat.filemode(_KINDS[node.type] | unix_mode(node.mode))
    owner = show_path(os.fsencode(node.user)) or str(node.uid)
    group = show_path(os.fsencode(node.group)) or str(node.gid)
    size = show_bytes(node.size) if node.type == "file" else "-"
    parts = [mode, _padded(owner), _padded(group), " " * (_SIZE_WIDTH - display_width(size)) + size]
    return f"{' '.join(parts)} {show_moment(mtime_ns)} {path_and_target(path, node)}"


def path_and_target(path: bytes, node: Node) -> str:
    """The path, for a symbolic link with what it points to."""
    arrow = f" -> {show_path(link_target(node))}" if node.type == "symlink" else ""
    return show_path(path) + arrow


def listed_node(path: bytes, node: Node) -> dict[str, object]:
    """A ``node`` of ``ls --json``: restic's fields, then ours."""
    fields: dict[str, object] = {
        "name": raw_name(node),
        "type": node.type,
        "path": path,
        "uid": node.uid,
        "gid": node.gid,
    }
    if node.type == "file":
        fields["size"] = node.size
    fields |= {
        "mode": node.mode,
        "permissions": go_permissions(node.mode),
        "mtime": node.mtime,
        "atime": node.atime,
        "ctime": node.ctime,
        "inode": node.inode,
        "message_type": "node",
        "struct_type": "node",
    }
    return fields | _present({"user": node.user, "group": node.group, "links": node.links, "linktarget": _target(node)})


def matched_node(path: bytes, node: Node) -> dict[str, object]:
    """A match of ``find --json``: restic's fields; what is empty is left out, as there."""
    fields: dict[str, object] = {
        "path": path,
        "permissions": go_permissions(node.mode),
        "type": node.type,
        "mode": node.mode,
        "mtime": node.mtime,
        "atime": node.atime,
        "ctime": node.ctime,
        "uid": node.uid,
        "gid": node.gid,
    }
    return fields | _present(
        {
            "user": node.user,
            "group": node.group,
            "inode": node.inode,
            "device_id": node.device_id,
            "size": node.size,
            "links": node.links,
            "linktarget": _target(node),
            "device": node.device,
        }
    )


def go_permissions(mode: int) -> str:
    """A Go file mode as Go writes it (``drwxr-xr-x``, ``Lrwxrwxrwx``, ``urwxr-xr-x``)."""
    letters = "".join(letter for bit, letter in zip(range(31, 18, -1), _GO_LETTERS, strict=True) if mode >> bit & 1)
    bits = "".join(letter if mode >> 8 - position & 1 else "-" for position, letter in enumerate(_PERMISSIONS))
    return (letters or "-") + bits


def _target(node: Node) -> bytes:
    return link_target(node) if node.type == "symlink" else b""


def _present(fields: Mapping[str, Any]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def _padded(text: str) -> str:
    return text + " " * (_OWNER_WIDTH - display_width(text))
