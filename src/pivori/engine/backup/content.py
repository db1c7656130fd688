"""Contents that come as a stream: cut, hashed, and stored unless they are there."""

from collections.abc import Callable
from typing import NamedTuple

from pivori.engine.backup.reading import BlobGroup
from pivori.engine.backup.reading_ahead import AheadReader
from pivori.repository import Intake


class StoredContent(NamedTuple):
    """What became of a stream: the ids of its blobs, and its length in bytes."""

    blobs: list[str]
    size: int


class DigestedContent(NamedTuple):
    """The same, with the SHA-256 of all of it in hexadecimal digits."""

    blobs: list[str]
    size: int
    sha256: str


def store_content(
    intake: Intake, read: Callable[[memoryview], int], *, progress: Callable[[int], None] = lambda _size: None
) -> StoredContent:
    """Store what ``read`` gives, which fills a buffer from its start and says with how many bytes (0: the end).

    ``progress`` hears how many bytes it has come to.
    """
    group = BlobGroup.into(intake)
    blobs: list[str] = []
    size = 0
    for chunk in intake.writer.cut(read):
        blobs.append(group.add(chunk).hex())
        size += len(chunk)
        progress(size)
    group.offer()
    group.settle()
    return StoredContent(blobs, size)


def store_digested(
    intake: Intake, read: Callable[[memoryview], int], *, progress: Callable[[int], None]
) -> DigestedContent:
    """The same, with a digest; a long stream is read, and hashed, by a thread of its own."""
    with AheadReader(read) as ahead:
        stored = store_content(intake, ahead.readinto, progress=progress)
    return DigestedContent(stored.blobs, stored.size, ahead.digest.hexdigest())
