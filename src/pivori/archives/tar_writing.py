"""Writing a tar.zst: workers make runs of members, each a zstd frame of its own, and a seek table is at the end.

Ordinary tools read it as one stream. For the smallest result there is one frame with a long window instead.
"""

from abc import ABC, abstractmethod
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar

import msgspec
import zstandard

from pivori.archives.container import Captured, Effort, ProgressReport, WriteRequest
from pivori.archives.large_member import Read
from pivori.archives.output import Output
from pivori.archives.pipeline import Pipeline
from pivori.archives.source_files import Item
from pivori.archives.tar_format import (
    BLOCK,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    header_of,
    padding,
    trailer,
)
from pivori.archives.tar_index import IndexRecord, end_frames
from pivori.entries import EntryKind

_Content = TypeVar("_Content", bytes, bytearray)

_LEVEL: Final = 3
_STRONGEST: Final = 20
_LONG_WINDOW: Final = 27
"""As long as the ordinary tools accept without an option."""
_JOB: Final = 64 << 20
_PART: Final = (4 << 20) - (64 << 10)
_KINDS: Final = {
    EntryKind.FILE: REGULAR,
    EntryKind.DIRECTORY: DIRECTORY,
    EntryKind.SYMLINK: SYMBOLIC_LINK,
    EntryKind.FIFO: FIFO,
}


def write_tar(request: WriteRequest, out: BinaryIO, *, progress: ProgressReport) -> Captured:
    """Write a tar.zst: see :class:`pivori.archives.container.WriteArchive`. It knows no password."""
    is_smallest = request.effort is Effort.SMALLEST
    sink = _OneFrame(Output(out), request.workers) if is_smallest else _Frames(Output(out))
    captured = Pipeline(request, sink, progress, links=True).run()
    sink.finish()
    return captured


class _Notes(NamedTuple):
    """What the parent has to know of a run: its length in the tar, and its members, encoded, for the index."""

    plain_bytes: int
    records: bytes


class TarPacker:
    """Makes runs of members; compressed unless ``level`` is None."""

    part_bytes = _PART
    remembers = False

    def __init__(self, level: int | None) -> None:
        self._level = level
        self._compressor = None if level is None else zstandard.ZstdCompressor(level=level, write_checksum=True)
        self._begin()

    def _begin(self) -> None:
        self._run = bytearray()
        self._index: list[IndexRecord] = []

    def __reduce__(self) -> tuple[object, ...]:
        return TarPacker, (self._level,)

    def add(self, item: Item, content: bytes, digest: bytes) -> None:
        """Put one member into the run."""
        if item.kind is not EntryKind.FILE:
            content = b""
        self._run += item_header(item, len(content))
        self._index.append(index_record(item, len(content), len(self._run)))
        if content:
            self._run += content
            if len(content) % BLOCK:
                self._run += padding(len(content))

    def finish(self) -> tuple[bytes | bytearray, _Notes]:
        """The run and its notes."""
        notes = _Notes(len(self._run), msgspec.msgpack.encode(self._index))
        run = self._packed(self._run)
        self._begin()
        return run, notes

    def pack_part(self, content: bytes, before: bytes, *, is_last: bool) -> bytes:
        """Some bytes as a frame."""
        return self._packed(content)

    def _packed(self, content: _Content) -> _Content | bytes:
        return content if self._compressor is None else self._compressor.compress(content)


def item_header(item: Item, size: int) -> bytes:
    """The headers of an item."""
    return header_of(
        item.name,
        _KINDS[item.kind] if item.link is None else HARD_LINK,
        item.mode,
        item.uid,
        item.gid,
        item.user,
        item.group,
        item.mtime_ns,
        size,
        item.target if item.link is None else item.link,
        item.attributes,
    )


def index_record(item: Item, size: int, start: int) -> IndexRecord:
    """What the index says of an item whose content begins at ``start`` of its run."""
    return (
        start,
        size,
        item.name,
        item.kind,
        item.mode,
        item.mtime_ns,
        item.uid,
        item.gid,
        item.user,
        item.group,
        item.target,
        item.link,
        item.attributes,
    )


class _TarSink(ABC):
    """The parent's side: counts the bytes of the tar."""

    is_size_fixed = True
    packer: TarPacker

    def __init__(self) -> None:
        self._plain = 0

    @abstractmethod
    def _put(self, content: bytes | bytearray, plain_bytes: int) -> None:
        """Write some bytes, packed already, of so many in the tar."""

    def _pack(self, content: bytes) -> None:
        if content:
            self._put(self.packer.pack_part(content, b"", is_last=True), len(content))

    def is_worth_packing(self, read: Read, size: int) -> bool:
        """Always: zstd sees by itself what does not get smaller."""
        return True

    def write_batch(self, content: bytes | bytearray, notes: Any) -> None:
        """Write a run of members."""
        if notes.plain_bytes:
            self._put(content, notes.plain_bytes)

    def begin(self, item: Item, size: int, *, is_packed: bool) -> None:
        """Begin a large member, which has to be as long as it is said to be."""
        self._pack(item_header(item, size))

    def end(self, size: int, crc: int) -> None:
        """End it."""
        self._pack(padding(size))


class _Frames(_TarSink):
    """Frames with a table of them, and an index of the members."""

    def __init__(self, out: Output) -> None:
        super().__init__()
        self.packer = TarPacker(_LEVEL)
        self._out = out
        self._table: list[tuple[int, int]] = []
        self._index: list[tuple[int, bytes]] = []
        self._before = (0, 0, 0, 0)

    def _put(self, content: bytes | bytearray, plain_bytes: int) -> None:
        self._out.write(content)
        self._table.append((len(content), plain_bytes))
        self._plain += plain_bytes

    def write_batch(self, content: bytes | bytearray, notes: Any) -> None:
        """Write a run of members."""
        if notes.plain_bytes:
            self._index.append((self._plain, notes.records))
        super().write_batch(content, notes)

    def begin(self, item: Item, size: int, *, is_packed: bool) -> None:
        """Begin a large member."""
        self._before = self._out.position, len(self._table), len(self._index), self._plain
        super().begin(item, size, is_packed=is_packed)
        self._index.append((self._plain, msgspec.msgpack.encode([index_record(item, size, 0)])))

    def write_part(self, content: bytes) -> None:
        """Write a part of it."""
        self._put(content, zstandard.frame_content_size(content))

    def take_back(self) -> bool:
        """Undo the large member, where the output can go back."""
        if not self._out.can_go_back:
            return False
        position, frames, runs, self._plain = self._before
        self._out.go_back(position)
        del self._table[frames:]
        del self._index[runs:]
        return True

    def finish(self) -> None:
        """Write the end of the tar, the index and the table."""
        self._pack(trailer(self._plain))
        self._out.write(end_frames(self._table, self._index))


class _OneFrame(_TarSink):
    """One frame with a long window; compressed by the library's own threads."""

    def __init__(self, out: Output, workers: int) -> None:
        super().__init__()
        self.packer = TarPacker(None)
        self._out = out
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _STRONGEST,
            window_log=_LONG_WINDOW,
            enable_ldm=True,
            write_checksum=True,
            threads=workers if workers > 1 else 0,
            job_size=_JOB if workers > 1 else 0,
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def _put(self, content: bytes | bytearray, plain_bytes: int) -> None:
        self._out.write(self._compressor.compress(content))
        self._plain += plain_bytes

    def write_part(self, content: bytes) -> None:
        """Write a part of a large member."""
        self._put(content, len(content))

    def take_back(self) -> bool:
        """What is in the frame stays there."""
        return False

    def finish(self) -> None:
        """Write the end of the tar and of the frame."""
        self._pack(trailer(self._plain))
        self._out.write(self._compressor.flush())
