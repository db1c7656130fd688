"""How much there is to back up, for the progress display: counted beside the work, or taken from the last backup."""

import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from pivori.engine.exclusion import EntryFilter, kept
from pivori.host import same_device
from pivori.repository import Summary


class Estimate:
    """Files and bytes of the sources; None while they are not known."""

    def __init__(self, files: int | None = None, size: int | None = None) -> None:
        self.files = files
        self.bytes = size

    @classmethod
    def of(cls, summary: Summary | None) -> "Estimate":
        """What an earlier backup of the same sources met."""
        if summary is None:
            return cls()
        return cls(summary.total_files_processed, summary.total_bytes_processed)


class CountingEstimate(Estimate):
    """Counts in a thread of its own while the backup runs; the context ends it."""

    def __init__(self, sources: Sequence[bytes], exclusion: EntryFilter | None, *, one_file_system: bool) -> None:
        super().__init__()
        self._sources = sources
        self._exclusion = exclusion
        self._one_file_system = one_file_system
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._count, name="pivori-estimate", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _count(self) -> None:
        files = size = 0
        waiting: list[tuple[bytes, int]] = []
        for source in self._sources:
            with suppress(OSError):  # the backup itself reports what cannot be read
                status = os.lstat(source)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((source, status.st_dev))
                elif stat.S_ISREG(status.st_mode):
                    files, size = files + 1, size + status.st_size
        while waiting and not self._stopped.is_set():
            path, device = waiting.pop()
            with suppress(OSError):
                for entry in self._entries(path):
                    if entry.is_dir(follow_symlinks=False):
                        if not self._one_file_system or same_device(entry, device):
                            waiting.append((entry.path, device))
                    elif entry.is_file(follow_symlinks=False):
                        files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
        if not self._stopped.is_set():
            self.files, self.bytes = files, size

    def _entries(self, path: bytes) -> "list[os.DirEntry[bytes]]":
        """What is in a directory and not left out. Raises OSError."""
        with os.scandir(path) as listing:
            return kept(path, list(listing), self._exclusion)
