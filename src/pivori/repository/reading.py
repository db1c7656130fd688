"""Reading many blobs at once: stretches of packs, each read with one request and opened blob by blob."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from pivori.errors import PivoriError
from pivori.repository.compression import DamagedFrame, decompress
from pivori.repository.crypto import Box, MasterKey, Tampered
from pivori.repository.ids import BlobId, PackId
from pivori.storage import Kind, Storage
from pivori.translation import N_

STRETCH_BYTES: Final = 4 << 20
_LARGEST_GAP: Final = 128 << 10


class BlobUnreadable(PivoriError):
    """A blob that a pack should hold cannot be read from it."""

    code = "blob-unreadable"
    message = N_("The blob {id} in pack {pack} cannot be read: {reason}")
    hint = N_("Run `pivori verify --read-data` to learn what is hurt.")


class WantedBlob(NamedTuple):
    """A blob inside a stretch; offset and lengths in bytes, ``plain_length`` is 0 when it is not compressed."""

    id: BlobId
    offset: int
    length: int
    plain_length: int


class Stretch(NamedTuple):
    """Blobs of one pack that lie close together, in the order of their offsets."""

    pack: PackId
    blobs: list[WantedBlob]

    @property
    def start(self) -> int:
        """Where the first blob begins."""
        return self.blobs[0].offset

    @property
    def length(self) -> int:
        """The number of bytes from the first blob to the end of the last."""
        return self.blobs[-1].offset + self.blobs[-1].length - self.start


def stretches(pack: PackId, blobs: Iterable[WantedBlob]) -> Iterator[Stretch]:
    """Group the wanted blobs of a pack so that each group is one read of at most about 4 MiB, without large gaps."""
    group: list[WantedBlob] = []
    end = 0
    for blob in sorted(blobs, key=lambda wanted: wanted.offset):
        far = group and (
            blob.offset - end > _LARGEST_GAP or blob.offset + blob.length - group[0].offset > STRETCH_BYTES
        )
        if far:
            yield Stretch(pack, group)
            group = []
        group.append(blob)
        end = blob.offset + blob.length
    if group:
        yield Stretch(pack, group)


class BlobReader:
    """Reads stretches. A pickled copy works in another process; the key travels with it."""

    def __init__(self, storage: Storage, master: MasterKey) -> None:
        self._storage = storage
        self._master = master
        self._box = Box(master)

    def __reduce__(self) -> tuple[object, ...]:
        return BlobReader, (self._storage, self._master)

    def read(self, stretch: Stretch) -> Iterator[bytes | BlobUnreadable]:
        """The content of each blob, checked against its id; in its place the error, when it cannot be read.

        Raises the storage's error when nothing can be read at all.
        """
        data = memoryview(self._storage.get(Kind.PACK, stretch.pack.hex(), stretch.start, stretch.length))
        for blob in stretch.blobs:
            begin = blob.offset - stretch.start
            try:
                yield self._open(data[begin : begin + blob.length], blob)
            except (Tampered, DamagedFrame, _WrongContent) as error:
                yield BlobUnreadable(id=blob.id.hex(), pack=stretch.pack.hex(), reason=error.as_reason)

    def _open(self, sealed: memoryview, blob: WantedBlob) -> bytes:
        content = self._box.open(sealed)
        if blob.plain_length:
            content = decompress(content, blob.plain_length)
        if sha256(content).digest() != blob.id:
            raise _WrongContent
        return content


class _WrongContent(PivoriError):
    """The content does not fit the id."""

    message = N_("its content does not fit its id.")
