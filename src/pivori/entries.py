"""What is captured and brought back: one entry of a tree, whichever place it comes from or goes to.

Names are bytes: a file name is any bytes but ``/`` and NUL, not always text.
"""

from enum import StrEnum

import msgspec


class EntryKind(StrEnum):
    """What an entry is. Sockets and devices are never captured into archives."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"
    FIFO = "fifo"


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One item of a tree. There may be millions, so it is of the kind that is quickly made.

    ``path`` is relative to the tree's root, without a slash in front; the root itself is ``b""``. ``mode`` holds the
    permission bits with setuid, setgid and sticky (``0o7777``). Times are nanoseconds since 1970. ``sha256`` is the
    digest of a file's content as 64 hexadecimal digits, empty while it is not known. ``hard_link`` is the path of the
    entry whose file this is another name of. ``is_sparse``: holes are made of its zeros when it is brought back.
    ``ctime_ns``, ``inode`` and ``device_id`` are what the source said of it, to recognise it there later; zero when
    it comes from elsewhere. ``attributes`` are its extended attributes in the system's order.
    """

    path: bytes
    kind: EntryKind
    mode: int
    mtime_ns: int
    uid: int = 0
    gid: int = 0
    user: str = ""
    group: str = ""
    size: int = 0
    target: bytes = b""
    sha256: str = ""
    hard_link: bytes | None = None
    is_sparse: bool = False
    ctime_ns: int = 0
    inode: int = 0
    device_id: int = 0
    attributes: tuple[tuple[bytes, bytes], ...] = ()
