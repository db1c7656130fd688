"""Writing a zip: workers make whole runs of members, the parent writes them and keeps the central directory."""

from array import array
from collections import OrderedDict
from typing import Any, BinaryIO, Final, NamedTuple

from pivori.archives.container import Captured, Effort, ProgressReport, WriteRequest
from pivori.archives.deflating import Buffer, compress, compress_part, crc32, looks_incompressible
from pivori.archives.large_member import Read
from pivori.archives.output import Output
from pivori.archives.pipeline import Pipeline
from pivori.archives.source_files import Item
from pivori.archives.zip_aes import AesCipher, new_cipher
from pivori.archives.zip_format import (
    DEFLATED,
    LIMIT,
    STORED,
    ZipMember,
    descriptor,
    end_records,
    headers,
    place_header,
)
from pivori.entries import EntryKind

_PART: Final = 2 << 20

# Trees of packages repeat many files; what the workers, together, have compressed is kept for a while.
_REMEMBERED_FILE: Final = 256 << 10
_REMEMBERED_BYTES: Final = 192 << 20
_REMEMBERED_OVERHEAD: Final = 200


def write_zip(request: WriteRequest, out: BinaryIO, *, progress: ProgressReport) -> Captured:
    """Write a zip: see :class:`pivori.archives.container.WriteArchive`."""
    password = None if request.password is None else request.password.encode()
    sink = _ZipSink(Output(out), ZipPacker(request.effort, password, max(1, request.workers)), password)
    captured = Pipeline(request, sink, progress, links=False).run()
    sink.finish()
    return captured


class Directory(NamedTuple):
    """The central headers of a batch, their offsets counted from the batch's beginning.

    ``marks`` has two numbers per member: where its central header begins, and its local header's offset.
    """

    headers: bytes
    marks: "array[int]"


class ZipPacker:
    """Makes runs of members: local headers, content, and what the directory says of them."""

    part_bytes = _PART
    remembers = True

    def __init__(self, effort: Effort, password: bytes | None, workers: int) -> None:
        self._effort = effort
        self._password = password
        self._workers = workers
        self._most_known = _REMEMBERED_BYTES // workers
        self._known: OrderedDict[bytes, tuple[int, Buffer | None]] = OrderedDict()
        self._known_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._content = bytearray()
        self._headers = bytearray()
        self._marks = array("Q")

    def __reduce__(self) -> tuple[object, ...]:
        return ZipPacker, (self._effort, self._password, self._workers)

    def add(self, item: Item, content: bytes, digest: bytes) -> None:
        """Put one member into the run."""
        member = zip_member(item)
        stored: bytes | bytearray | memoryview = content
        if content:
            member.size = len(content)
            if digest:
                member.crc, packed = self._known.get(digest) or self._compressed(content, digest)
                if packed is not None:
                    member.method, stored = DEFLATED, packed
            else:
                member.crc = crc32(content)
            if self._password is not None:
                cipher = new_cipher(self._password)
                stored = b"".join((cipher.header, cipher.encrypt(stored), cipher.mac()))
                member.is_encrypted, member.crc = True, 0
            member.stored_size = len(stored)
        local, central = headers(member)
        self._marks.append(len(self._headers))
        self._marks.append(len(self._content))
        self._content += local
        self._content += stored
        self._headers += central

    def _compressed(self, content: bytes, digest: bytes) -> tuple[int, Buffer | None]:
        """The checksum of some content and its deflate stream, remembered for the next file that is the same."""
        packed = compress(content, self._effort)
        made = crc32(content), packed
        if len(content) <= _REMEMBERED_FILE:
            self._known[digest] = made
            self._known_bytes += _REMEMBERED_OVERHEAD + (len(packed) if packed is not None else 0)
            while self._known_bytes > self._most_known:
                _, (_, oldest) = self._known.popitem(last=False)
                self._known_bytes -= _REMEMBERED_OVERHEAD + (len(oldest) if oldest is not None else 0)
        return made

    def finish(self) -> tuple[bytearray, Directory]:
        """The run and its directory."""
        made = self._content, Directory(bytes(self._headers), self._marks)
        self._begin()
        return made

    def pack_part(self, content: bytes, before: bytes, *, is_last: bool) -> bytes:
        """A part of a long deflate stream."""
        return compress_part(content, before, self._effort, is_last=is_last)


def zip_member(item: Item) -> ZipMember:
    """The member of an item, its content not known yet."""
    name = item.name + b"/" if item.kind is EntryKind.DIRECTORY else item.name
    return ZipMember(name, item.kind, item.mode, item.mtime_ns, item.uid, item.gid)


class _ZipSink:
    """The parent's side: writes, and keeps the directory."""

    is_size_fixed = False

    def __init__(self, out: Output, packer: ZipPacker, password: bytes | None) -> None:
        self.packer = packer
        self._out = out
        self._password = password
        self._directory = bytearray()
        self._count = 0
        self._member: ZipMember
        self._offset = 0
        self._cipher: AesCipher | None = None

    def write_batch(self, content: bytes | bytearray, notes: Any) -> None:
        """Write a run of members."""
        base = self._out.position
        self._out.write(content)
        headers, marks = notes
        starts = [*marks[0::2], len(headers)]
        for index, offset in enumerate(marks[1::2]):
            self._directory += place_header(headers[starts[index] : starts[index + 1]], base + offset)
        self._count += len(marks) // 2

    def is_worth_packing(self, read: Read, size: int) -> bool:
        """Whether samples of the content get smaller."""
        return not looks_incompressible(read, size)

    def begin(self, item: Item, size: int, *, is_packed: bool) -> None:
        """Begin a large member; its header is mended at the end, or a descriptor follows where that is impossible."""
        member = zip_member(item)
        member.method = DEFLATED if is_packed else STORED
        member.size = size
        member.has_descriptor = not self._out.can_go_back
        member.is_wide = size >= LIMIT - (LIMIT >> 8)
        member.is_encrypted = self._password is not None
        self._member, self._offset = member, self._out.position
        self._out.write(headers(member)[0])
        self._start = self._out.position
        self._cipher = None
        if self._password is not None:
            self._cipher = new_cipher(self._password)
            self._out.write(self._cipher.header)

    def write_part(self, content: bytes) -> None:
        """Write a part of it."""
        self._out.write(content if self._cipher is None else self._cipher.encrypt(content))

    def end(self, size: int, crc: int) -> None:
        """End it, with its size and checksum where they belong."""
        if self._cipher is not None:
            self._out.write(self._cipher.mac())
        member = self._member
        member.size = size
        member.crc = 0 if member.is_encrypted else crc
        member.stored_size = self._out.position - self._start
        local, central = headers(member)
        if member.has_descriptor:
            self._out.write(descriptor(member))
        else:
            self._out.write_at(self._offset, local)
        self._last = len(self._directory)
        self._directory += place_header(central, self._offset)
        self._count += 1

    def take_back(self) -> bool:
        """Undo the large member that was written last, where the output can go back."""
        if not self._out.can_go_back:
            return False
        self._out.go_back(self._offset)
        del self._directory[self._last :]
        self._count -= 1
        return True

    def finish(self) -> None:
        """Write the directory and the end."""
        offset = self._out.position
        self._out.write(self._directory)
        self._out.write(end_records(self._count, len(self._directory), offset))
