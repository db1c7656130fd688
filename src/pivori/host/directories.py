"""Paths inside a target, and the open directories that reach them without following a symbolic link.

A path is bytes, relative to the target's root, with ``/`` between its components: ``b"a/b/c"``. The root is ``b""``.
"""

import os
from collections import OrderedDict

from pivori.errors import PivoriError
from pivori.translation import N_

FORBIDDEN_NAMES = frozenset((b"", b".", b".."))

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafePath(PivoriError):
    """A path that could lead out of the target, or that no file can have."""

    code = "unsafe-path"
    message = N_("The path {path} is refused: it is not a plain path inside the target.")
    hint = N_("The snapshot was not made by a well-behaved program: exclude this path, and do not trust the rest.")


def unsafe(path: bytes) -> UnsafePath:
    """The error for a path, which may be any bytes and is shown as text."""
    return UnsafePath(path=path.decode(errors="backslashreplace"))


def check_path(path: bytes) -> None:
    """Raise UnsafePath unless every component is a plain name: not empty, ``.`` or ``..``, without NUL."""
    if b"\0" in path or not FORBIDDEN_NAMES.isdisjoint(path.split(b"/")):
        raise unsafe(path)


class OpenDirectories:
    """The most recently used directories under a root, open.

    A directory is reached from the root, or from an open directory above it, one component at a time, and a symbolic
    link among them is an error: whatever lies or is put in the way, the descriptor is of a directory under the root.
    """

    def __init__(self, root: int, capacity: int) -> None:
        """Work under the open directory ``root``, which is closed by :meth:`close`; keep ``capacity`` (>= 2) open."""
        self._root = root
        self._capacity = capacity
        self._open: OrderedDict[bytes, int] = OrderedDict()

    def descriptor(self, path: bytes) -> int:
        """The descriptor of a directory, good until the next call: the caller neither keeps nor closes it.

        Raises UnsafePath, or OSError (NotADirectoryError when a component is a symbolic link or a file).
        """
        if not path:
            return self._root
        try:
            self._open.move_to_end(path)
        except KeyError:
            return self._walk(path)
        return self._open[path]

    def _walk(self, path: bytes) -> int:
        """Open what is missing between the deepest open directory and ``path``."""
        check_path(path)
        reached, missing = path, []
        while reached and reached not in self._open:
            reached, _, name = reached.rpartition(b"/")
            missing.append(name)
        descriptor = self.descriptor(reached)
        while missing:
            name = missing.pop()
            descriptor = os.open(name, _FLAGS, dir_fd=descriptor)
            reached = b"%b/%b" % (reached, name) if reached else name
            self._remember(reached, descriptor)
        return descriptor

    def _remember(self, path: bytes, descriptor: int) -> None:
        """Keep a directory open, closing the one unused for longest when there are too many."""
        self._open[path] = descriptor
        if len(self._open) > self._capacity:
            os.close(self._open.popitem(last=False)[1])

    def forget(self, path: bytes) -> None:
        """Close what is open at ``path`` and below it, because it is about to be removed."""
        below = path + b"/"
        for known in [known for known in self._open if known == path or known.startswith(below)]:
            os.close(self._open.pop(known))

    def close(self) -> None:
        """Close everything, the root too."""
        while self._open:
            os.close(self._open.popitem()[1])
        if self._root >= 0:
            os.close(self._root)
            self._root = -1
