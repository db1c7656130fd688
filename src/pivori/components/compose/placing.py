"""Putting folders and files back so that each is the old one or the new one, whole, at any moment.

The new one is written beside the place while the services still run; then it takes the place in one rename, and what
was there has gone aside.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.components.base import ComponentFailed, Source
from pivori.components.compose.running import VolumeUnreadable
from pivori.host.removal import remove_entry
from pivori.translation import N_

_PARTIAL: Final = ".pivori-partial-"


class PlaceRefused(ComponentFailed):
    """A folder or a file could not be put in its place."""

    code = "place-refused"
    message = N_("{path} could not be replaced: {reason}.")
    hint = N_(
        "The services stay stopped, as their files may be half old and half new. Mend what the reason"
        " says, then run the same command again."
    )


class PlaceUnwritable(ComponentFailed):
    """What was captured cannot be written where it belongs."""

    code = "place-unwritable"
    message = N_("{path} could not be written: {reason}.")
    hint = N_("Check the permissions and the free space, then run the command again.")


@dataclass(frozen=True, kw_only=True)
class Root:
    """Something that was captured: its path then, and how its topmost folder was owned and protected."""

    path: str
    is_folder: bool
    mode: int
    user: int
    group: int


def describe_root(path: Path) -> Root:
    """The facts of a folder or a file. Raises VolumeUnreadable."""
    try:
        status = path.stat()
    except OSError as error:
        raise VolumeUnreadable(volume=str(path), reason=error.strerror or str(error)) from None
    return Root(
        path=str(path),
        is_folder=stat.S_ISDIR(status.st_mode),
        mode=stat.S_IMODE(status.st_mode),
        user=status.st_uid,
        group=status.st_gid,
    )


def write_beside(source: Source, folder: str, root: Root, target: Path) -> int:
    """Write what was captured of a root beside ``target``: the bytes written. Left-overs of an earlier run go first.

    What fails half-way leaves nothing there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(target)
    discard(partial)
    captured = f"{folder}{root.path.lstrip('/')}"
    try:
        partial.mkdir(mode=0o700)
        if not root.is_folder:
            parent, _, name = captured.rpartition("/")
            return source.write_tree(parent, partial, only=[name])
        size = source.write_tree(captured, partial)
        _protect(partial, root)
    except BaseException:
        discard(partial)
        raise
    return size


def swap(target: Path, root: Root, aside: Callable[[Path], Path]) -> None:
    """Let what was written beside take the place. Raises PlaceRefused."""
    partial = partial_of(target)
    try:
        if root.is_folder and os.path.ismount(target):
            _swap_content(partial, target, aside)
            return
        written = partial if root.is_folder else partial / Path(root.path).name
        if os.path.lexists(target):
            aside(target)
        written.rename(target)
        if not root.is_folder:
            partial.rmdir()
    except OSError as error:
        raise PlaceRefused(path=target, reason=error.strerror or str(error)) from None


def discard(partial: Path) -> None:
    """Remove what was written beside and is not wanted."""
    if not os.path.lexists(partial):
        return
    parent = os.open(partial.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_entry(parent, os.fsencode(partial.name))
    finally:
        os.close(parent)


def _swap_content(partial: Path, target: Path, aside: Callable[[Path], Path]) -> None:
    """Exchange what is in a folder that cannot be renamed, because a file system is mounted there."""
    for item in list(target.iterdir()):
        if item != partial:
            aside(item)
    for item in list(partial.iterdir()):
        item.rename(target / item.name)
    partial.rmdir()


def partial_of(target: Path) -> Path:
    """Where the new one is written: on the same file system as the place."""
    if target.is_dir() and os.path.ismount(target):
        return target / f"{_PARTIAL}content"
    return target.with_name(f"{_PARTIAL}{target.name}")


def _protect(folder: Path, root: Root) -> None:
    """Give a topmost folder its owner and its permissions, as far as this user may."""
    if os.geteuid() == 0:
        os.chown(folder, root.user, root.group)
    folder.chmod(root.mode)
