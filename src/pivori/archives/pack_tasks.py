"""What worker processes do for a writer: read small files and pack them in batches, compress parts of large ones."""

import os
from typing import Any, NamedTuple

from pivori.archives.large_member import REACH, PackedPart, Packer, pack_part
from pivori.archives.source_files import Facts, Item, SourceFiles, TooLarge, read_part
from pivori.entries import EntryKind


class Batch(NamedTuple):
    """A task: members that are small; with a lane, for the worker that had the others of that lane."""

    items: list[Item]
    lane: int | None = None


class Part(NamedTuple):
    """A task: a part of a large file, or of a document whose bytes are given."""

    path: bytes
    start: int
    length: int
    is_last: bool
    content: bytes = b""
    before: bytes = b""


class Packed(NamedTuple):
    """A batch, ready to be written, and what came of its files."""

    content: bytes | bytearray
    notes: Any
    facts: list[Facts]
    others: list[int]
    vanished: list[int]
    failures: list[tuple[int, str]]
    large: list[int]


class Work:
    """What a worker does. It can be pickled."""

    def __init__(self, source: SourceFiles, packer: Packer) -> None:
        self._source = source
        self._packer = packer

    def __call__(self, task: Batch | Part) -> Packed | PackedPart:
        """Do one task."""
        return self._batch(task.items) if isinstance(task, Batch) else self._part(task)

    def _batch(self, items: list[Item]) -> Packed:
        found: list[Facts] = []
        packed = Packed(b"", None, found, [], [], [], [])
        add = self._packer.add
        for item in items:
            if item.kind is not EntryKind.FILE or item.link is not None:
                add(item, item.target, b"")
                packed.others.append(item.position)
                continue
            try:
                content, known = self._source.read(item.position, item.path)
            except TooLarge:
                packed.large.append(item.position)
            except (FileNotFoundError, NotADirectoryError):
                packed.vanished.append(item.position)
            except OSError as error:
                packed.failures.append((item.position, error.strerror or str(error)))
            else:
                found.append(known)
                add(current(item, known), content, known.digest)
        run, notes = self._packer.finish()
        return packed._replace(content=run, notes=notes)

    def _part(self, part: Part) -> PackedPart:
        content, before = part.content, part.before
        if part.path:
            reach = min(part.start, REACH)
            try:
                content = self._read(part.path, part.start - reach, part.length + reach)
            except OSError:
                return PackedPart(b"", 0, -1)  # the parent, which has it open, makes the part itself
            before, content = content[:reach], content[reach:]
        return pack_part(self._packer, content, before, is_last=part.is_last)

    def _read(self, path: bytes, start: int, length: int) -> bytes:
        descriptor, _ = self._source.open(path)
        try:
            return read_part(descriptor, start, length)
        finally:
            os.close(descriptor)


def current(item: Item, known: Facts) -> Item:
    """The item as the file is now."""
    if item.mtime_ns == known.mtime_ns and item.mode == known.mode and item.attributes == known.attributes:
        return item
    return item._replace(mode=known.mode, mtime_ns=known.mtime_ns, attributes=known.attributes)
