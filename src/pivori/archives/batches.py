"""Gathering small members into batches that are worth a message to a worker."""

import zlib
from collections.abc import Iterator
from typing import Final

from pivori.archives.pack_tasks import Batch
from pivori.archives.source_files import Item

FILES_PER_BATCH: Final = 128
BYTES_PER_BATCH: Final = 8 << 20


class Batches:
    """Fills batches, and gives each when it is full.

    With several lanes, files of the same name and size come into the same one: they may be the same, and the worker
    of the lane remembers what it packed.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._others: list[Item] = []
        self._files: list[list[Item]] = [[] for _ in range(lanes)]
        self._bytes = [0] * lanes

    def add_other(self, item: Item) -> Iterator[Batch]:
        """Take something without content. It is given before any file that is taken later."""
        if self._lanes == 1:
            yield from self.add_file(item, 0)
            return
        self._others.append(item)
        if len(self._others) >= FILES_PER_BATCH:
            yield self._take_others()

    def add_file(self, item: Item, size: int) -> Iterator[Batch]:
        """Take a file."""
        lane = 0
        if self._lanes > 1:
            lane = zlib.crc32(item.path[item.path.rfind(b"/") + 1 :], size) % self._lanes
        files = self._files[lane]
        if files and (self._bytes[lane] + size > BYTES_PER_BATCH or len(files) >= FILES_PER_BATCH):
            yield from self._take(lane)
            files = self._files[lane]
        files.append(item)
        self._bytes[lane] += size

    def rest(self) -> Iterator[Batch]:
        """What is not given yet."""
        if self._others:
            yield self._take_others()
        for lane in range(self._lanes):
            if self._files[lane]:
                yield from self._take(lane)

    def _take(self, lane: int) -> Iterator[Batch]:
        if self._others:
            yield self._take_others()
        files, self._files[lane], self._bytes[lane] = self._files[lane], [], 0
        yield Batch(files, lane if self._lanes > 1 else None)

    def _take_others(self) -> Batch:
        others, self._others = self._others, []
        return Batch(others)
