"""Removing a file or a whole tree, of any depth, without following symbolic links."""

import errno
import os
import stat
from contextlib import suppress
from typing import NamedTuple

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Level(NamedTuple):
    """A directory being emptied, between the top of the tree and the present place."""

    name: bytes
    identity: tuple[int, int]
    pending: list[bytes]


def remove_entry(directory: int, name: bytes) -> None:
    """Remove ``name`` from the open ``directory``: a file, or a directory with everything under it.

    Symbolic links are removed, not followed. Raises OSError at the first thing that cannot be removed, with EXDEV at
    a mount point: what another file system holds is not part of the tree.
    """
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        _remove_tree(directory, name)
    else:
        os.unlink(name, dir_fd=directory)


def _remove_tree(parent: int, name: bytes) -> None:
    """Empty and remove a directory, depth first, with an explicit stack and three descriptors at most.

    The way back up is ``..``, accepted only when it is the directory the descent came from: somebody may move
    directories about meanwhile.
    """
    device = os.fstat(parent).st_dev
    current, top = _enter(parent, name, device)
    levels = [top]
    try:
        while levels[-1].pending or len(levels) > 1:
            if levels[-1].pending:
                following, level = _enter(current, levels[-1].pending.pop(), device)
                levels.append(level)
                os.close(current)
                current = following
            else:
                emptied = levels.pop()
                following = _leave(current, levels[-1].identity)
                os.close(current)
                current = following
                os.rmdir(emptied.name, dir_fd=current)
    finally:
        os.close(current)
    os.rmdir(name, dir_fd=parent)


def _enter(parent: int, name: bytes, device: int) -> tuple[int, _Level]:
    """Open a directory and remove its files; its subdirectories are left pending."""
    descriptor = _open_directory(parent, name)
    try:
        status = os.fstat(descriptor)
        if status.st_dev != device:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
        if status.st_mode & 0o700 != 0o700:
            with suppress(OSError):
                os.fchmod(descriptor, 0o700)
        return descriptor, _Level(name, (status.st_dev, status.st_ino), _remove_files(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def _open_directory(parent: int, name: bytes) -> int:
    """Open a directory to read it; one whose owner took the right to read away is given it back."""
    try:
        return os.open(name, _FLAGS, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
        return os.open(name, _FLAGS, dir_fd=parent)


def _remove_files(descriptor: int) -> list[bytes]:
    """Remove everything but directories from an open directory; the names of the directories."""
    directories: list[bytes] = []
    with os.scandir(descriptor) as entries:
        listing = list(entries)
        for entry in listing:
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                directories.append(name)
            else:
                os.unlink(name, dir_fd=descriptor)
    return directories


def _leave(descriptor: int, identity: tuple[int, int]) -> int:
    """Open the directory above, provided that it is the one known by ``identity`` (device, inode)."""
    above = os.open(b"..", _FLAGS, dir_fd=descriptor)
    status = os.fstat(above)
    if (status.st_dev, status.st_ino) != identity:
        os.close(above)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    return above
