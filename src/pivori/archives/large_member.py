"""A large member on its way into an archive: its parts come compressed, and are hashed as they are written."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from pivori.archives.deflating import crc32
from pivori.archives.source_files import Item

REACH: Final = 32 << 10
"""How many bytes before a part may help to compress it."""

Read = Callable[[int, int], bytes]
"""Gives the bytes of the content from a start on, of a length or less where it ends."""


class Packer(Protocol):
    """A format's work in the workers. It can be pickled."""

    part_bytes: int
    """How much of a large file is compressed at once."""
    remembers: bool
    """Whether a file that was packed before, by the same worker, costs less."""

    def add(self, item: Item, content: bytes, digest: bytes) -> None:
        """Put one member into the batch that is being made; a link or directory has no digest."""
        ...

    def finish(self) -> tuple[bytes | bytearray, Any]:
        """The batch's bytes as they are written, and what the sink has to know of them; the next batch begins."""
        ...

    def pack_part(self, content: bytes, before: bytes, *, is_last: bool) -> bytes:
        """A part of a large member; ``before`` are the bytes that come before it."""
        ...


class Sink(Protocol):
    """A format's side in the parent: what is written, in order."""

    @property
    def packer(self) -> Packer:
        """What makes the batches and parts that are written here."""
        ...

    @property
    def is_size_fixed(self) -> bool:
        """Whether a member's size cannot be corrected once its content follows."""
        ...

    def write_batch(self, content: bytes | bytearray, notes: Any) -> None:
        """Write a batch that came from the packer."""
        ...

    def is_worth_packing(self, read: Read, size: int) -> bool:
        """Whether a large content is worth compressing; it is written as it is when not."""
        ...

    def begin(self, item: Item, size: int, *, is_packed: bool) -> None:
        """Begin a large member that is expected to have ``size`` bytes."""
        ...

    def write_part(self, content: bytes) -> None:
        """Write a part of it."""
        ...

    def end(self, size: int, crc: int) -> None:
        """End it: this is what it came to."""
        ...

    def take_back(self) -> bool:
        """Undo what was written since :meth:`begin`, where that is possible; whether it was."""
        ...


class PackedPart(NamedTuple):
    """A part, ready to be written; the checksum and length of what it was made of, and of what was before it."""

    content: bytes
    crc: int
    length: int


def pack_part(packer: Packer, content: bytes, before: bytes, *, is_last: bool) -> PackedPart:
    """Compress a part of a large member."""
    packed = packer.pack_part(content, before, is_last=is_last)
    return PackedPart(packed, crc32(content, crc32(before)), len(content))


class LargeMember:
    """Writes one large member.

    ``is_changed``: its content was not what it was expected to be, or not all of it could be read; ``failure`` says
    why it could not. What was written is what ``size`` and ``digest`` are of, in any case.
    """

    def __init__(self, sink: Sink, item: Item, size: int, read: Read, *, is_packed: bool) -> None:
        self._sink = sink
        self._expected = size
        self._read = read
        self._hash = hashlib.sha256()
        self._before = b""
        self._crc = 0
        self._planned = 0
        self._is_packed = is_packed
        self.size = 0
        self.is_changed = False
        self.failure = ""
        sink.begin(item, size, is_packed=is_packed)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of what was written."""
        return self._hash.digest()

    def add(self, part: PackedPart) -> None:
        """Write the next part: the worker's, or one made here when the worker saw something else."""
        content, is_last = self._next()
        if part.length != len(content) or part.crc != crc32(content, crc32(self._before)):
            self.is_changed = True
            part = pack_part(self._sink.packer, content, self._before, is_last=is_last)
        self._sink.write_part(part.content)
        self._before = content[-REACH:]

    def _next(self) -> tuple[bytes, bool]:
        """The content of the next part, and whether it is the last one."""
        length = min(self._sink.packer.part_bytes, self._expected - self._planned)
        try:
            content = self._read(self._planned, length)
        except OSError as error:
            self.failure, content = error.strerror or str(error), b""
        if len(content) < length:
            self.is_changed = True
            if self._sink.is_size_fixed:
                content = content.ljust(length, b"\0")
        self._planned += length
        self._hash.update(content)
        self._crc = crc32(content, self._crc)
        self.size += len(content)
        return content, self._planned >= self._expected

    def finish(self) -> None:
        """Write what has not come in parts, and end the member."""
        while self._planned < self._expected:
            content, is_last = self._next()
            before, self._before = self._before, content[-REACH:]
            if self._is_packed:
                content = self._sink.packer.pack_part(content, before, is_last=is_last)
            self._sink.write_part(content)
        self._sink.end(self.size, self._crc)
