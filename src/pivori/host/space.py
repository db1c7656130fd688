"""How much room there is where something is about to be written."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple


class Room(NamedTuple):
    """The free bytes of a file system for this user, and the number of its device."""

    device: int
    free: int


def room_at(path: Path) -> Room:
    """The room where ``path`` is, or would be made. Raises OSError."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    return Room(os.stat(place).st_dev, shutil.disk_usage(place).free)
