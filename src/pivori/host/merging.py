"""Putting back what a new tree lacks of the one it replaced."""

import os
import stat
from pathlib import Path


def move_missing(old: Path, new: Path) -> None:
    """Move every entry of the folder ``old`` to its place in the folder ``new``, where nothing has that name.

    Folders that both have are gone through, not replaced; no symbolic link is followed. What stays in ``old`` is what
    ``new`` has a version of its own of. Raises OSError.
    """
    for entry in sorted(os.scandir(old), key=lambda entry: entry.name):
        place = new / entry.name
        try:
            status = place.lstat()
        except FileNotFoundError:
            os.rename(entry.path, place)
            continue
        if entry.is_dir(follow_symlinks=False) and stat.S_ISDIR(status.st_mode):
            move_missing(Path(entry.path), place)
