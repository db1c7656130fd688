"""Names of things in a repository: SHA-256 digests, as 32 raw bytes inside and 64 hexadecimal digits outside.

A blob is named by the digest of its plain content; packs, indexes, snapshots and locks by the digest of the bytes
that lie in the storage (FORMAT: ``docs/format.md``). The types are distinct so that a checker refuses a mix-up.
"""

import re
from enum import IntEnum
from hashlib import sha256
from typing import NewType

BlobId = NewType("BlobId", bytes)
PackId = NewType("PackId", bytes)

ID_BYTES = 32
_HEX_NAME = re.compile(r"[0-9a-f]{64}")


class BlobKind(IntEnum):
    """What a blob holds. The values are those of the pack header's uncompressed entries."""

    DATA = 0
    TREE = 1

    @property
    def word(self) -> str:
        """The kind as the index's JSON writes it."""
        return "tree" if self is BlobKind.TREE else "data"


def blob_id(content: bytes | bytearray | memoryview) -> BlobId:
    """The name of a blob with this plain content."""
    return BlobId(sha256(content).digest())


def is_object_name(text: str) -> bool:
    """Whether ``text`` has the form of a stored object's name."""
    return _HEX_NAME.fullmatch(text) is not None
