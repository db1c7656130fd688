"""Reading a tar.zst: our own by its index, in parallel; any other tar from the beginning to the end."""

import os
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from pivori.archives.container import DOCUMENT_TOO_LARGE, ArchiveDamaged, ArchiveFormat, Member, ReadJob
from pivori.archives.tar_index import Frame, Index, IndexRecord, read_index
from pivori.archives.tar_job import TarJob, Wanted
from pivori.archives.tar_stream import StreamJob, list_members
from pivori.entries import EntryKind

_JOB_BYTES: Final = 8 << 20


def open_tar(path: Path, *, password: str | None = None) -> "TarArchive":
    """Open a tar, compressed or not; it needs no password. Raises NotAnArchive, ArchiveDamaged, OSError."""
    return TarArchive(path)


class TarArchive:
    """An open tar."""

    format = ArchiveFormat.TAR_ZST

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            self._identity = (status.st_dev, status.st_ino)
            self._index: Index | None = read_index(descriptor)
        finally:
            os.close(descriptor)
        self.members: Sequence[Member]
        if self._index is None:
            self.members = list_members(self._path)
        else:
            self.members = [_member(number, record) for number, record in enumerate(self._index.records)]

    def __enter__(self) -> "TarArchive":
        return self

    def __exit__(self, *error: object) -> None:
        """There is nothing to release."""

    def read(self, member: Member, most: int) -> bytes:
        """The content of a small member. Raises ArchiveDamaged when it is over ``most`` bytes."""
        if member.size > most:
            raise ArchiveDamaged(archive=self._path, reason=DOCUMENT_TOO_LARGE)
        return b"".join(piece.content for job in self.jobs([member.number]) for piece in job.pieces())

    def jobs(self, wanted: Collection[int] | None = None) -> Iterator[ReadJob]:
        """Jobs of about 8 MiB, or of one large member; a foreign archive is one job."""
        if wanted is None:
            numbers = [
                member.number for member in self.members if member.kind is EntryKind.FILE and member.hard_link is None
            ]
        else:
            numbers = sorted(wanted)
        if self._index is not None:
            yield from self._parallel_jobs(self._index, numbers)
        elif numbers:
            weight = sum(self.members[number].size for number in numbers)
            yield StreamJob(path=self._path, identity=self._identity, wanted=frozenset(numbers), weight=weight)

    def _parallel_jobs(self, index: Index, numbers: list[int]) -> Iterator[TarJob]:
        starts = [frame.start for frame in index.frames]
        batch: list[Wanted] = []
        first = last = weight = 0
        for number in numbers:
            start, size = index.records[number][:2]
            begin = max(0, bisect_right(starts, start) - 1)
            end = begin if not size else bisect_right(starts, start + size - 1) - 1
            # A frame belongs to one job, unless something else is wanted in between.
            if batch and (begin > last or begin < first) and weight + size > _JOB_BYTES:
                yield self._job(index.frames[first : last + 1], batch, weight)
                batch = []
            if not batch:
                first, last, weight = begin, end, 0
            batch.append(Wanted(number, start, size))
            first, last = min(first, begin), max(last, end)
            weight += size
        if batch:
            yield self._job(index.frames[first : last + 1], batch, weight)

    def _job(self, frames: list[Frame], batch: list[Wanted], weight: int) -> TarJob:
        return TarJob(path=self._path, identity=self._identity, frames=frames, wanted=batch, weight=weight)


def _member(number: int, record: IndexRecord) -> Member:
    _, size, name, kind, mode, mtime_ns, uid, gid, user, group, target, link, attributes = record
    return Member(number, name, kind, mode, mtime_ns, size, target, link, False, uid, gid, user, group, attributes)
