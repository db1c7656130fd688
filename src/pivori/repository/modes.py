"""File modes between the system's ``st_mode`` and Go's ``fs.FileMode``, which nodes hold.

Go keeps the nine permission bits where Unix has them and gives every other fact a bit of its own, counted from the
top of a 32-bit number (``os.ModeDir`` and its neighbours in Go's ``io/fs``).
"""

import stat
from functools import cache
from typing import Literal

from pivori.errors import PivoriError
from pivori.translation import N_

NodeType = Literal["file", "dir", "symlink", "dev", "chardev", "fifo", "socket"]

_GO_SETUID = 1 << 23
_GO_SETGID = 1 << 22
_GO_STICKY = 1 << 20

_TYPES: dict[int, tuple[NodeType, int]] = {
    stat.S_IFREG: ("file", 0),
    stat.S_IFDIR: ("dir", 1 << 31),
    stat.S_IFLNK: ("symlink", 1 << 27),
    stat.S_IFBLK: ("dev", 1 << 26),
    stat.S_IFCHR: ("chardev", 1 << 26 | 1 << 21),
    stat.S_IFIFO: ("fifo", 1 << 25),
    stat.S_IFSOCK: ("socket", 1 << 24),
}


class IrregularFile(PivoriError):
    """A kind of file that a tree cannot hold (a door, a whiteout)."""

    code = "irregular-file"
    message = N_("A file of an unknown kind (mode {mode}) cannot be kept in a snapshot.")
    hint = N_("Exclude it from the backup.")


@cache
def type_and_mode(st_mode: int) -> tuple[NodeType, int]:
    """The node type and the Go mode of an ``st_mode``, in one look-up. Raises IrregularFile."""
    try:
        kind, mode = _TYPES[stat.S_IFMT(st_mode)]
    except KeyError:
        raise IrregularFile(mode=oct(st_mode)) from None
    mode |= st_mode & 0o777
    if st_mode & stat.S_ISUID:
        mode |= _GO_SETUID
    if st_mode & stat.S_ISGID:
        mode |= _GO_SETGID
    if st_mode & stat.S_ISVTX:
        mode |= _GO_STICKY
    return kind, mode


def go_mode(st_mode: int) -> int:
    """The Go mode, type bits included, of an ``st_mode``. Raises IrregularFile."""
    return type_and_mode(st_mode)[1]


def node_type(st_mode: int) -> NodeType:
    """What restic calls this kind of file. Raises IrregularFile."""
    return type_and_mode(st_mode)[0]


def unix_mode(go: int) -> int:
    """The permission bits of a Go mode as ``chmod`` takes them: rwx for all, setuid, setgid and sticky."""
    mode = go & 0o777
    if go & _GO_SETUID:
        mode |= stat.S_ISUID
    if go & _GO_SETGID:
        mode |= stat.S_ISGID
    if go & _GO_STICKY:
        mode |= stat.S_ISVTX
    return mode
