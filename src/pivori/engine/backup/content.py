"""Contents that come as a stream: cut, hashed, and stored unless they are there."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from pivori.engine.backup.reading import BlobGroup
from pivori.repository import Intake


class StoredContent(NamedTuple):
    """What became of a stream: the ids of its blobs, its length in bytes, and the SHA-256 of all of it."""

    blobs: list[str]
    size: int
    sha256: str


def store_content(
    intake: Intake,
    read: Callable[[memoryview], int],
    *,
    progress: Callable[[int], None] = lambda _size: None,
    with_digest: bool = False,
) -> StoredContent:
    """Store what ``read`` gives, which fills a buffer from its start and says with how many bytes (0: the end).

    ``progress`` hears how many bytes it has come to. Without ``with_digest`` the digest stays empty.
    """
    group = BlobGroup.into(intake)
    blobs: list[str] = []
    size = 0
    digest = hashlib.sha256() if with_digest else None
    for chunk in intake.writer.cut(read):
        blobs.append(group.add(chunk).hex())
        if digest is not None:
            digest.update(chunk)
        size += len(chunk)
        progress(size)
    group.offer()
    group.settle()
    return StoredContent(blobs, size, digest.hexdigest() if digest is not None else "")
