"""Decompressing members of our own tar.zst, frame by frame, in whichever process takes the job."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import zstandard

from pivori.archives.container import ArchiveDamaged, Piece, check_identity
from pivori.archives.tar_index import Frame
from pivori.translation import N_, Phrase

_BAD_FRAME: Final = N_("the part of it at byte {offset} cannot be decompressed")


class Wanted(NamedTuple):
    """A member: its number, where its content begins in the tar, and its size."""

    number: int
    start: int
    size: int


@dataclass(frozen=True, kw_only=True)
class TarJob:
    """The reading of some members, all within ``frames``, in the order of their content."""

    path: str
    identity: tuple[int, int]
    frames: list[Frame]
    wanted: list[Wanted]
    weight: int

    def pieces(self) -> Iterator[Piece]:
        """The content of the members; it can be asked on after an error, for the members of other frames."""
        return _Pieces(self)


class _Pieces(Iterator[Piece]):
    """Gives the pieces of a job, decompressing one frame at a time."""

    _descriptor = -1
    """None yet: an object whose making was interrupted is cleared away as well."""

    def __init__(self, job: TarJob) -> None:
        self._job = job
        self._starts = [frame.start for frame in job.frames]
        self._left = iter(job.wanted)
        self._parts: Iterator[Piece] | None = None
        self._decompressor = zstandard.ZstdDecompressor()
        self._number = -1
        self._content = memoryview(b"")
        self._descriptor = os.open(job.path, os.O_RDONLY | os.O_CLOEXEC)
        check_identity(job.path, self._descriptor, job.identity)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def __next__(self) -> Piece:
        if self._parts is None:
            wanted = next(self._left)
            index = max(0, bisect_right(self._starts, wanted.start) - 1)
            content = self._frame(index) if wanted.size else self._content
            begin = wanted.start - self._starts[index]
            if not wanted.size or begin + wanted.size <= len(content):
                return Piece(wanted.number, bytes(content[begin : begin + wanted.size]) if wanted.size else b"", True)
            self._parts = self._across(wanted, index)
        parts, self._parts = self._parts, None
        piece = next(parts)
        if not piece.is_last:
            self._parts = parts
        return piece

    def _across(self, wanted: Wanted, index: int) -> Iterator[Piece]:
        """The pieces of a member that is in several frames."""
        position, end = wanted.start, wanted.start + wanted.size
        while position < end:
            content = self._frame(index)
            begin = position - self._starts[index]
            part = content[begin : begin + end - position]
            position += len(part)
            index += 1
            yield Piece(wanted.number, bytes(part), position == end)

    def _frame(self, number: int) -> memoryview:
        """The content of a frame, which is as long as the table says."""
        if number != self._number:
            frame = self._job.frames[number]
            packed = os.pread(self._descriptor, frame.size, frame.offset)
            try:
                if zstandard.frame_content_size(packed) != frame.length:
                    raise zstandard.ZstdError
                content = self._decompressor.decompress(packed, allow_extra_data=False)
            except (zstandard.ZstdError, MemoryError):
                reason = Phrase(_BAD_FRAME, offset=frame.offset)
                raise ArchiveDamaged(archive=self._job.path, reason=reason) from None
            self._content, self._number = memoryview(content), number
        return self._content
