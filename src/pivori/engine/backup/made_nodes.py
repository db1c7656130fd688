"""Nodes of files and folders that are on no disk: what a backup makes itself."""

import os
import stat
from typing import Final

from pivori.host import ProcessIdentity, group_name, user_name
from pivori.repository import Node, node_from_stat

FILE_MODE: Final = stat.S_IFREG | 0o600
FOLDER_MODE: Final = stat.S_IFDIR | 0o700


def made_node(
    identity: ProcessIdentity,
    time_ns: int,
    name: bytes,
    mode: int,
    *,
    content: list[str] | None = None,
    size: int = 0,
    subtree: str | None = None,
) -> Node:
    """The node of such a file (``content`` are its blobs) or folder, made at a time by the user of the program.

    It has neither an inode nor a device number, which no file of a real file system lacks.
    """
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    times = (seconds,) * 3 + (seconds + nanoseconds / 1e9,) * 3 + (time_ns,) * 3
    status = os.stat_result((mode, 0, 0, 1, identity.uid, identity.gid, size, *times))
    return node_from_stat(
        name,
        status,
        user=user_name(identity.uid),
        group=group_name(identity.gid),
        content=content,
        size=size if content is not None else None,
        subtree=subtree,
    )
