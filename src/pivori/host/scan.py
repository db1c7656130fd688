"""Reading directories. Names are bytes: a file name is any bytes but ``/`` and NUL, not always text."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from operator import attrgetter

_by_name = attrgetter("name")


def read_directory(directory: bytes | int) -> list[os.DirEntry[bytes]]:
    """The entries of a directory, sorted by the raw bytes of their names, without ``.`` and ``..``.

    The kind of an entry (``is_dir(follow_symlinks=False)`` and so on) comes with the listing;
    ``stat(follow_symlinks=False)`` asks the system at its first call and remembers the answer.
    A descriptor (Linux only, through /proc) reaches directories whose path is longer than the system accepts; it has
    to stay open as long as the entries are asked for their ``stat``. Raises OSError.
    """
    place = directory if isinstance(directory, bytes) else b"/proc/self/fd/%d" % directory
    with os.scandir(place) as entries:
        return sorted(entries, key=_by_name)


class FoundEntry:
    """An entry that was asked for by its name; the same to use as one of a listing, which nobody can make by hand."""

    __slots__ = ("_status", "name", "path")

    def __init__(self, directory: bytes, name: bytes) -> None:
        """Raises OSError when it is not there."""
        self.name = name
        self.path = os.path.join(directory, name)
        self._status = os.lstat(self.path)

    def is_file(self, *, follow_symlinks: bool) -> bool:
        """Whether it is a regular file; links are never followed."""
        return stat.S_ISREG(self._status.st_mode)

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        """Whether it is a directory; links are never followed."""
        return stat.S_ISDIR(self._status.st_mode)

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        """What the system said of it."""
        return self._status


Entry = os.DirEntry[bytes] | FoundEntry


def find_entries(directory: bytes, names: Iterable[bytes]) -> list[FoundEntry]:
    """The entries of these names that are there, sorted like a listing, where listing may be forbidden."""
    found = []
    for name in sorted(names):
        with suppress(OSError):
            found.append(FoundEntry(directory, name))
    return found


def same_device(entry: os.DirEntry[bytes], device: int) -> bool:
    """Whether an entry lies on the file system ``device`` (``st_dev`` of its directory): false for a mount point."""
    return entry.stat(follow_symlinks=False).st_dev == device
