"""Writing restored files: the byte work of a restore, in a worker process or in the parent.

A job is a stretch of one pack: it is read at once, each blob is opened once and written to every place that wants it.
A file of one blob is created, filled and finished in one go. One of several is filled in any order under the name that
it has until the parent completes it, and what an existing file has of it already is copied there.
"""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

from pivori.engine.restore.items import Metadata
from pivori.errors import PivoriError
from pivori.host import Problem, TargetTree, copy_range, write_sparse
from pivori.repository import BlobId, BlobReader, PackId, Stretch, WantedBlob
from pivori.storage import StorageError
from pivori.translation import N_, Phrase

_AT_ONCE: Final = 16 << 20


class WholeFile(NamedTuple):
    """A new file with this one blob as content."""

    path: bytes
    metadata: Metadata


class Piece(NamedTuple):
    """A place in a file that was begun: the file's number, the path it has meanwhile, and the offset in bytes."""

    number: int
    path: bytes
    offset: int


class WriteJob(NamedTuple):
    """Blobs of one pack and, for each, where it goes."""

    stretch: Stretch
    targets: list[list[WholeFile | Piece]]

    def __reduce__(self) -> tuple[object, ...]:
        # A job has thousands of small records: as plain tuples they travel several times faster.
        blobs = [tuple(blob) for blob in self.stretch.blobs]
        targets = [
            [(item.path, tuple(item.metadata)) if isinstance(item, WholeFile) else tuple(item) for item in items]
            for items in self.targets
        ]
        return _unpacked_job, (self.stretch.pack, blobs, targets)


def _unpacked_job(pack: PackId, blobs: list[Any], targets: list[list[Any]]) -> WriteJob:
    """A job from the plain tuples in which it travelled."""
    stretch = Stretch(pack, [WantedBlob(*blob) for blob in blobs])
    return WriteJob(
        stretch,
        [
            [WholeFile(item[0], Metadata(*item[1])) if len(item) == 2 else Piece(*item) for item in items]
            for items in targets
        ],
    )


class CompareJob(NamedTuple):
    """A file that exists: which of the blobs it should consist of are in place?"""

    number: int
    path: bytes
    blobs: list[tuple[BlobId, int]]


class CopyJob(NamedTuple):
    """Parts, as offset and length, of the file at ``source`` to copy into a file that was begun, to the same place."""

    number: int
    source: bytes
    path: bytes
    parts: list[tuple[int, int]]


class Manner(NamedTuple):
    """How files are written: ``sparse`` with holes for zeros, ``replace`` also where a full folder is in the way."""

    sparse: bool
    replace: bool


class FileProblem(NamedTuple):
    """A file that could not be restored as it should, and why."""

    path: bytes
    reason: str


@dataclass
class WriteResult:
    """What came of a job. Of files in pieces, by their number: how many are written, and why one could not be."""

    last_path: bytes = b""
    files: int = 0
    bytes: int = 0
    pieces: dict[int, int] = field(default_factory=dict)
    failed: list[FileProblem] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    failed_pieces: dict[int, str] = field(default_factory=dict)
    unreadable: list[tuple[BlobId, list[WholeFile | Piece]]] = field(default_factory=list)


@dataclass
class CompareResult:
    """For each blob of the file, 1 when it is in place."""

    number: int
    in_place: bytes


Job = WriteJob | CompareJob | CopyJob
Result = WriteResult | CompareResult


class FileWriter:
    """Carries out jobs in one target."""

    def __init__(self, reader: BlobReader, target: TargetTree, manner: Manner) -> None:
        self._reader = reader
        self._target = target
        self._manner = manner
        self._open: tuple[bytes, int] | None = None

    def do(self, job: Job) -> Result:
        """Carry out a job. What goes wrong is in the result."""
        if isinstance(job, CompareJob):
            return self.compare(job)
        return self._copy(job) if isinstance(job, CopyJob) else self._write(job)

    def _write(self, job: WriteJob) -> WriteResult:
        result = WriteResult()
        try:
            contents = self._reader.read(job.stretch)
            for targets, blob, content in zip(job.targets, job.stretch.blobs, contents, strict=True):
                if isinstance(content, PivoriError):
                    result.unreadable.append((blob.id, targets))
                else:
                    self._write_everywhere(targets, content, result)
        except StorageError:
            result.unreadable = [
                (blob.id, targets) for blob, targets in zip(job.stretch.blobs, job.targets, strict=True)
            ]
        finally:
            self._close()
        return result

    def write_blob(self, targets: list[WholeFile | Piece], content: bytes | PivoriError) -> WriteResult:
        """Write one blob that was read otherwise, or report that it cannot be had."""
        result = WriteResult()
        try:
            if isinstance(content, PivoriError):
                self._fail(targets, str(content), result)
            else:
                self._write_everywhere(targets, content, result)
        finally:
            self._close()
        return result

    def _copy(self, job: CopyJob) -> WriteResult:
        """Take over what an existing file has of its new content."""
        result = WriteResult()
        try:
            source = self._target.open_for_reading(job.source)
            try:
                destination = self._descriptor(job.path)
                for offset, length in job.parts:
                    copy_range(source, destination, offset, length)
                result.pieces[job.number] = 1
            finally:
                os.close(source)
        except OSError as error:
            result.failed_pieces[job.number] = reason_of(error)
        finally:
            self._close()
        return result

    def compare(self, job: CompareJob) -> CompareResult:
        """Find out which blobs of an existing file are in place."""
        in_place = bytearray(len(job.blobs))
        with suppress(OSError):
            descriptor = self._target.open_for_reading(job.path)
            try:
                offset, end = 0, os.fstat(descriptor).st_size
                for position, (blob, length) in enumerate(job.blobs):
                    # What lies beyond the end is not read: the length comes from the index and may be anything.
                    if offset + length <= end:
                        in_place[position] = _digest(descriptor, offset, length) == blob
                    offset += length
            finally:
                os.close(descriptor)
        return CompareResult(job.number, bytes(in_place))

    def _write_everywhere(self, targets: list[WholeFile | Piece], content: bytes, result: WriteResult) -> None:
        for target in targets:
            try:
                if isinstance(target, Piece):
                    self._write_piece(target, content)
                    result.pieces[target.number] = result.pieces.get(target.number, 0) + 1
                else:
                    result.problems += map(file_problem, self._write_whole(target, content))
                    result.files += 1
                result.bytes += len(content)
            except (OSError, PivoriError) as error:
                self._fail([target], reason_of(error), result)
            if isinstance(target, WholeFile):
                result.last_path = target.path

    def _write_whole(self, file: WholeFile, content: bytes) -> list[Problem]:
        mode, uid, gid, atime_ns, mtime_ns, attributes, user, group = file.metadata
        return self._target.write_small_file(
            file.path,
            content,
            mode,
            uid,
            gid,
            atime_ns,
            mtime_ns,
            attributes,
            user,
            group,
            replace=self._manner.replace,
            sparse=self._manner.sparse,
        )

    def _write_piece(self, piece: Piece, content: bytes) -> None:
        descriptor = self._descriptor(piece.path)
        if self._manner.sparse:
            write_sparse(descriptor, memoryview(content), piece.offset)
            return
        view, offset = memoryview(content), piece.offset
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written

    def _descriptor(self, path: bytes) -> int:
        """The file open for writing; the last one stays open, as its pieces tend to come together."""
        if self._open is not None:
            if self._open[0] == path:
                return self._open[1]
            self._close()
        descriptor = self._target.open_for_update(path)
        if descriptor is None:
            raise FileNotFoundError(errno.ENOENT, N_("its unfinished part was removed or replaced meanwhile"))
        self._open = (path, descriptor)
        return descriptor

    def _close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    @staticmethod
    def _fail(targets: list[WholeFile | Piece], reason: str, result: WriteResult) -> None:
        for target in targets:
            if isinstance(target, Piece):
                result.failed_pieces[target.number] = reason
            else:
                result.failed.append(FileProblem(target.path, reason))


def _digest(descriptor: int, offset: int, length: int) -> bytes:
    """The SHA-256 of a part of a file, read in one go when it is no longer than any usual blob."""
    digest = sha256()
    while length > 0 and (piece := os.pread(descriptor, min(length, _AT_ONCE), offset)):
        digest.update(piece)
        offset += len(piece)
        length -= len(piece)
    return digest.digest()


def file_problem(problem: Problem) -> FileProblem:
    """A problem with metadata, fit to travel and to be shown."""
    reason = Phrase(N_("{operation}: {reason}"), operation=problem.what, reason=reason_of(problem.error))
    return FileProblem(problem.path, reason)


def reason_of(error: Exception) -> str:
    """Why, in the system's words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def serve(connection: "Connection[Any, Any]", reader: BlobReader, target: TargetTree, manner: Manner) -> None:
    """The life of a worker process: jobs in, results out, until the parent hangs up."""
    writer = FileWriter(reader, target, manner)
    while (job := connection.recv()) is not None:
        connection.send(writer.do(job))
