"""How much there is to back up, for the progress display: counted beside the work, or taken from the last backup."""

import os
import threading
from collections.abc import Sequence
from typing import Self

from pivori.engine.backup.walk import Exclusion
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

    def __init__(self, sources: Sequence[bytes], exclusion: Exclusion | None) -> None:
        super().__init__()
        self._sources = sources
        self._exclusion = exclusion
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
        waiting = list(self._sources)
        while waiting and not self._stopped.is_set():
            path = waiting.pop()
            try:
                if not os.path.isdir(path):
                    files, size = files + 1, size + os.lstat(path).st_size
                    continue
                with os.scandir(path) as entries:
                    for entry in entries:
                        is_directory = entry.is_dir(follow_symlinks=False)
                        if self._exclusion is not None and self._exclusion.leaves_out(
                            entry.path, entry.name, is_directory
                        ):
                            continue
                        if is_directory:
                            waiting.append(entry.path)
                        elif entry.is_file(follow_symlinks=False):
                            files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue  # the backup itself reports what cannot be read
        if not self._stopped.is_set():
            self.files, self.bytes = files, size
