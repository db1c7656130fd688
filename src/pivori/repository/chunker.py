"""Where a large file is cut into blobs: content-defined, keyed by the repository.

Files up to the smallest chunk are one blob. The cut points come from FastCDC (W. Xia et al., "FastCDC: a Fast and
Efficient Content-Defined Chunking Approach for Data Deduplication", USENIX ATC 2016), whose table is seeded from the
master key, so that lengths of chunks tell an onlooker little about known files. Boundaries are not part of the
repository format: any cutting can be read.
"""

from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pyfastcdc import FastCDC

from pivori.repository.crypto import MasterKey

SMALLEST_CHUNK: Final = 512 << 10
AVERAGE_CHUNK: Final = 1 << 20
LARGEST_CHUNK: Final = 8 << 20


def chunker_seed(key: MasterKey) -> int:
    """The chunker's seed for a repository: 1 … 2**63 − 1, derived from the master key with HKDF-SHA-256."""
    derived = HKDF(hashes.SHA256(), 8, None, b"pivori chunker v1").derive(key.encrypt + key.k + key.r)
    return int.from_bytes(derived, "big") >> 1 | 1


class Chunker:
    """Cuts buffers. Belongs to one thread."""

    def __init__(self, seed: int) -> None:
        self._cutter = FastCDC(
            AVERAGE_CHUNK, min_size=SMALLEST_CHUNK, max_size=LARGEST_CHUNK, normalized_chunking=2, seed=seed
        )
        if "cy" not in type(self._cutter).__module__:
            raise ImportError("pyfastcdc was installed without its compiled part")

    def lengths(self, buffer: memoryview) -> Iterator[int]:
        """The lengths of the chunks of ``buffer``; the last one ends where the buffer ends, whatever follows."""
        return (chunk.length for chunk in self._cutter.cut_buf(buffer))
