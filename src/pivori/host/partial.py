"""The names that restored files have while they are not whole yet.

``.pivori-`` and 32 hexadecimal digits and ``.partial``: 16 digits are the run's, 8 the process's, 8 count. What a run
that was killed has left can so be told from everything else, and what this run has left from what others are at.
"""

import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

_SHAPE: Final = re.compile(rb"\.pivori-[0-9a-f]{32}\.partial")


class PartialNames:
    """Gives names to one process of a run; no two of them are alike."""

    def __init__(self, run: str | None = None) -> None:
        """``run`` is what the processes of a run have in common; a new one unless it is given."""
        self.run = run or secrets.token_hex(8)
        self._start = f".pivori-{self.run}{secrets.token_hex(4)}"
        self._count = 0
        self.passing = self.next()
        """For what is whole a moment later: the same name each time."""

    def next(self) -> bytes:
        """A name that was not given before."""
        self._count += 1
        return b"%b%08x.partial" % (self._start.encode(), self._count)

    def is_of_this_run(self, name: bytes) -> bool:
        """Whether a process of this run gave the name."""
        return is_partial(name) and name.startswith(b".pivori-" + self.run.encode())


def is_partial(name: bytes) -> bool:
    """Whether a name is one that a run gives to what is not whole."""
    return _SHAPE.fullmatch(name) is not None


def find_partials(directory: int) -> list[bytes]:
    """Everything in an open directory, but directories, with the name of something that is not whole."""
    with os.scandir(directory) as entries:
        return [
            os.fsencode(entry.name)
            for entry in entries
            if is_partial(os.fsencode(entry.name)) and not entry.is_dir(follow_symlinks=False)
        ]


def remove_names(directory: int, names: Iterable[bytes]) -> None:
    """Remove names from an open directory, as far as that is possible."""
    for name in names:
        with suppress(OSError):
            os.unlink(name, dir_fd=directory)
