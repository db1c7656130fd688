"""Packs: many sealed blobs in one object, and a header at the end that says where each lies.

``blob1 || blob2 || … || sealed header || u32 length of the sealed header`` (little endian). The header lists, in
order, each blob's kind, stored length, plain length when compressed, and id; offsets follow from the order.
Tree and data blobs go into separate packs.
"""

import struct
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from pivori.errors import PivoriError
from pivori.repository.crypto import IV_BYTES, MAC_BYTES, OVERHEAD, Box, Tampered
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.translation import N_, Phrase

PACK_SIZE: Final = 8 << 20
"""A pack is finished when its blobs reach this many bytes."""

LARGEST_HEADER: Final = 16 << 20
_GROWTH: Final = 1 << 20
_PLAIN_ENTRY: Final = struct.Struct("<BI32s")
_COMPRESSED_ENTRY: Final = struct.Struct("<BII32s")
_LENGTH: Final = struct.Struct("<I")
_COMPRESSED: Final = 2


class PackDamaged(PivoriError):
    """A pack's header cannot be read."""

    code = "pack-damaged"
    message = N_("A pack is damaged: {reason}.")
    hint = N_("Run `pivori repair packs` to save what can be saved of it.")


class PackedBlob(NamedTuple):
    """One blob inside a pack: lengths and offset in bytes; ``plain_length`` is 0 when it is not compressed."""

    kind: BlobKind
    id: BlobId
    offset: int
    length: int
    plain_length: int

    @property
    def content_length(self) -> int:
        """The number of bytes the blob holds when opened."""
        return self.plain_length or self.length - OVERHEAD


class FinishedPack(NamedTuple):
    """A pack ready to be stored: its name, its bytes in parts, and its header in plain."""

    id: PackId
    parts: list[bytes | memoryview]
    header: bytes


class PackBuilder:
    """Collects the sealed blobs of one pack, in one buffer that serves for the next pack too."""

    def __init__(self, kind: BlobKind, full_size: int = PACK_SIZE) -> None:
        self.size = 0
        self._full_size = full_size
        self._kind = int(kind)
        self._buffer = bytearray()
        self._entries: list[bytes] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, blob: BlobId, sealed: tuple[bytes, bytes, bytes], plain_length: int) -> None:
        """Append a sealed blob; ``plain_length`` is 0 when it is not compressed."""
        nonce, ciphertext, tag = sealed
        length = OVERHEAD + len(ciphertext)
        if plain_length:
            entry = _COMPRESSED_ENTRY.pack(self._kind + _COMPRESSED, length, plain_length, blob)
        else:
            entry = _PLAIN_ENTRY.pack(self._kind, length, blob)
        start, end = self.size, self.size + length
        buffer = self._buffer
        if end > len(buffer):
            buffer.extend(bytes(max(_GROWTH, end - len(buffer))))
        buffer[start : start + IV_BYTES] = nonce
        buffer[start + IV_BYTES : end - MAC_BYTES] = ciphertext
        buffer[end - MAC_BYTES : end] = tag
        self._entries.append(entry)
        self.size = end

    def is_full(self) -> bool:
        """Whether the pack should be finished now."""
        return self.size >= self._full_size or len(self._entries) * _COMPRESSED_ENTRY.size >= LARGEST_HEADER // 2

    def finish(self, box: Box) -> FinishedPack:
        """The finished pack, to be stored and dropped before anything is added: its parts are the builder's buffer.

        The builder is empty afterwards.
        """
        header = b"".join(self._entries)
        sealed = b"".join(box.seal(header))
        parts: list[bytes | memoryview] = [memoryview(self._buffer)[: self.size], sealed, _LENGTH.pack(len(sealed))]
        digest = sha256()
        for part in parts:
            digest.update(part)
        self.size, self._entries = 0, []
        return FinishedPack(PackId(digest.digest()), parts, header)

    def release(self) -> None:
        """Give the buffer of an empty builder back; the next pack makes a new one."""
        self._buffer = bytearray()


def packed_size(blobs: list[PackedBlob]) -> int:
    """The size in bytes a pack with exactly these blobs has."""
    entries = sum(_COMPRESSED_ENTRY.size if blob.plain_length else _PLAIN_ENTRY.size for blob in blobs)
    return sum(blob.length for blob in blobs) + entries + OVERHEAD + _LENGTH.size


def read_header(header: bytes) -> Iterator[PackedBlob]:
    """The blobs a plain header lists. Raises PackDamaged."""
    position = offset = 0
    end = len(header)
    while position < end:
        kind = header[position]
        entry = _COMPRESSED_ENTRY if kind >= _COMPRESSED else _PLAIN_ENTRY
        if kind > _COMPRESSED + 1 or position + entry.size > end:
            raise PackDamaged(reason=N_("its header does not parse"))
        if kind >= _COMPRESSED:
            kind, length, plain_length, blob = _COMPRESSED_ENTRY.unpack_from(header, position)
            if plain_length == 0:
                raise PackDamaged(reason=N_("its header announces a compressed blob of no bytes"))
        else:
            kind, length, blob = _PLAIN_ENTRY.unpack_from(header, position)
            plain_length = 0
        if length < OVERHEAD:
            raise PackDamaged(reason=N_("its header announces a blob shorter than its seal"))
        yield PackedBlob(BlobKind(kind & 1), BlobId(blob), offset, length, plain_length)
        position += entry.size
        offset += length


def sealed_header_length(tail: bytes, pack_size: int) -> int:
    """The sealed header's length, read from the last four bytes of a pack. Raises PackDamaged."""
    if len(tail) < _LENGTH.size:
        raise PackDamaged(reason=N_("it is too short"))
    length: int = _LENGTH.unpack(tail[-_LENGTH.size :])[0]
    if not OVERHEAD < length <= min(LARGEST_HEADER, pack_size - _LENGTH.size):
        raise PackDamaged(reason=Phrase(N_("its header's length ({length}) is impossible"), length=length))
    return length


def open_header(sealed: bytes, box: Box) -> list[PackedBlob]:
    """Open and read a sealed header. Raises PackDamaged."""
    try:
        return list(read_header(box.open(sealed)))
    except Tampered:
        raise PackDamaged(reason=N_("its header's authentication code does not fit")) from None
