"""A directory for temporary files beside an archive; what a killed run left in one is found and removed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PARTIAL: Final = ".pivori-partial"
"""The ending of everything unfinished. Its name begins with a dot, and whoever works at it has it locked.

No other program has this ending: whatever bears it and is not locked may be removed.
"""


@contextmanager
def workspace(beside: Path | None) -> Iterator[Path]:
    """A directory of this process alone, gone when the context is left; in ``beside``, or where the system has such."""
    directory = Path(tempfile.mkdtemp(prefix=".pivori-", suffix=PARTIAL, dir=beside))
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: then nobody finds what is left behind
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield directory
    finally:
        os.close(descriptor)
        shutil.rmtree(directory, ignore_errors=True)


def remove_leftovers(directory: Path) -> list[Path]:
    """Remove the temporary files and directories of runs that are no more; returns what was removed."""
    removed = []
    for path in sorted(directory.glob(f".*{PARTIAL}")):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                removed.append(path)
            finally:
                os.close(descriptor)
    return removed
