"""Reading files: from names in a directory to encoded nodes and stored blobs.

A :class:`FileReader` does the byte work of a backup, in a worker process or in the parent. It reads whole batches;
per file it opens, reads, hashes, and builds the node; blobs are offered to ``claim`` in groups, and those that are
new are stored.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from pivori.host import group_name, read_attributes, user_name
from pivori.repository import (
    SMALLEST_CHUNK,
    BlobId,
    BlobKind,
    BlobWriter,
    ExtendedAttribute,
    Intake,
    encode_node,
    node_from_stat,
)

GROUP_BYTES: Final = 1 << 20
"""Blobs are offered in groups of about this many bytes."""

LOT_BYTES: Final = 16 << 20
"""After this many bytes a worker hands the rest of a batch back, so that no worker ends long after the others."""

SEGMENT: Final = 256 << 20
"""Files over this size are read in segments of this size, by several workers at once."""

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_ATIME: Final = getattr(os, "O_NOATIME", 0)


class FileTask(NamedTuple):
    """Files of one directory to read: the directory's number and path, and each file's slot and name."""

    directory: int
    path: bytes
    files: list[tuple[int, bytes]]


class SegmentTask(NamedTuple):
    """A part of a large file, which is known by its device and inode: ``length`` bytes from ``start``."""

    directory: int
    slot: int
    path: bytes
    start: int
    length: int
    identity: tuple[int, int]


class FileFailure(NamedTuple):
    """A file that could not be read."""

    path: bytes
    reason: str


class LargeFile(NamedTuple):
    """A file that is to be read in segments: where its node goes, and what the system said before the reading.

    As for any other file, the node gets the times from before: a change during the reading is then seen next time.
    """

    directory: int
    slot: int
    path: bytes
    status: os.stat_result
    attributes: list[tuple[bytes, bytes]]

    @property
    def identity(self) -> tuple[int, int]:
        """The device and the inode."""
        return self.status.st_dev, self.status.st_ino

    def again(self) -> FileTask:
        """The task of reading it from the beginning, whatever is in its place now."""
        directory, name = os.path.split(self.path)
        return FileTask(self.directory, directory, [(self.slot, name)])

    def has_changed(self, size: int) -> bool:
        """Whether it was changed while ``size`` bytes were read."""
        try:
            now = os.lstat(self.path)
        except OSError:
            return True
        read = (*self.identity, self.status.st_mtime_ns, size)
        return (now.st_dev, now.st_ino, now.st_mtime_ns, now.st_size) != read


@dataclass
class BatchResult:
    """What came of a batch. ``nodes`` are (directory, slot, encoded node or None when the file is left out)."""

    nodes: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    failures: list[FileFailure] = field(default_factory=list)
    changed: list[bytes] = field(default_factory=list)
    vanished: list[bytes] = field(default_factory=list)
    large: list[LargeFile] = field(default_factory=list)
    left: list[FileTask] = field(default_factory=list)
    read_bytes: int = 0
    last_path: bytes = b""


@dataclass
class SegmentResult:
    """The blobs of a segment, in order; ``failure`` instead when it could not be read.

    ``gone`` says that another file, or none, is where the file was.
    """

    directory: int
    slot: int
    start: int
    content: list[str]
    size: int
    failure: FileFailure | None = None
    gone: bool = False


class BlobGroup:
    """Collects blobs, asks which are new and stores them. Where answers take time, the next group fills meanwhile."""

    def __init__(self, ask: Callable[[bytes], Callable[[], bytes]], writer: BlobWriter) -> None:
        self._ask = ask
        self._writer = writer
        self._ids: list[bytes] = []
        self._contents: list[bytes] = []
        self._size = 0
        self._asked: tuple[list[bytes], list[bytes], Callable[[], bytes]] | None = None

    @classmethod
    def into(cls, intake: Intake) -> "BlobGroup":
        """A group for the process that has the intake, which answers at once."""

        def ask(ids: bytes) -> Callable[[], bytes]:
            answer = intake.claim(ids)
            return lambda: answer

        return cls(ask, intake.writer)

    def add(self, content: bytes) -> BlobId:
        """Add a data blob; returns its id."""
        blob = sha256(content).digest()
        self._ids.append(blob)
        self._contents.append(content)
        self._size += len(content)
        if self._size >= GROUP_BYTES:
            self.offer()
        return BlobId(blob)

    def offer(self) -> None:
        """Ask about the collected blobs; store what was new among those asked about before."""
        ids, contents = self._ids, self._contents
        self._ids, self._contents, self._size = [], [], 0
        asked = (ids, contents, self._ask(b"".join(ids))) if ids else None
        self.settle()
        self._asked = asked

    def settle(self) -> None:
        """Store what is new of the blobs that were asked about."""
        if self._asked is None:
            return
        ids, contents, answer = self._asked
        self._asked = None
        add, data = self._writer.add, BlobKind.DATA
        for new, blob, content in zip(answer(), ids, contents, strict=True):
            if new:
                add(data, BlobId(blob), content)


class FileReader:
    """Reads batches of files into blobs and nodes."""

    def __init__(self, group: BlobGroup, writer: BlobWriter, *, with_atime: bool = False) -> None:
        self._group = group
        self._cut = writer.cut
        self._with_atime = with_atime
        self._flags = _READ | _NO_ATIME

    def read(self, tasks: list[FileTask]) -> BatchResult:
        """Read the files of a batch. What cannot be read is in the result, never raised."""
        result = BatchResult()
        for number, task in enumerate(tasks):
            if result.read_bytes >= LOT_BYTES:
                result.left = tasks[number:]
                break
            rest = self._read_directory(task, result)
            if rest:
                result.left = [task._replace(files=rest), *tasks[number + 1 :]]
                break
        self._group.offer()
        return result

    def read_segment(self, task: SegmentTask) -> SegmentResult:
        """Read one segment of a large file."""
        result = SegmentResult(task.directory, task.slot, task.start, [], 0)
        try:
            descriptor = self._open(task.path, None)
            try:
                status = os.fstat(descriptor)
                result.gone = (status.st_dev, status.st_ino) != task.identity
                if not result.gone:
                    os.lseek(descriptor, task.start, os.SEEK_SET)
                    result.content, result.size = self._cut_file(descriptor, task.length)
            finally:
                os.close(descriptor)
        except OSError as error:
            result.gone = isinstance(error, FileNotFoundError)
            result.failure = FileFailure(task.path, error.strerror or str(error))
        self._group.offer()
        return result

    def finish(self) -> None:
        """Store what is still asked about."""
        self._group.settle()

    def _read_directory(self, task: FileTask, result: BatchResult) -> list[tuple[int, bytes]]:
        """Read a directory's files; returns those that are left when the lot is full."""
        try:
            directory = os.open(task.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self._leave_out(task, result, error)
            return []
        try:
            for position, (slot, name) in enumerate(task.files):
                if result.read_bytes >= LOT_BYTES:
                    return task.files[position:]
                try:
                    self._read_file(task, slot, name, directory, result)
                except FileNotFoundError:
                    result.vanished.append(task.path + b"/" + name)
                    result.nodes.append((task.directory, slot, None))
                except OSError as error:
                    result.failures.append(FileFailure(task.path + b"/" + name, error.strerror or str(error)))
                    result.nodes.append((task.directory, slot, None))
        finally:
            os.close(directory)
        result.last_path = task.path + b"/" + task.files[-1][1]
        return []

    def _leave_out(self, task: FileTask, result: BatchResult, error: OSError) -> None:
        for slot, name in task.files:
            path = task.path + b"/" + name
            if isinstance(error, FileNotFoundError):
                result.vanished.append(path)
            else:
                result.failures.append(FileFailure(path, error.strerror or str(error)))
            result.nodes.append((task.directory, slot, None))

    def _open(self, name: bytes, directory: int | None) -> int:
        try:
            return os.open(name, self._flags, dir_fd=directory)
        except PermissionError:
            if not self._flags & _NO_ATIME:
                raise
            # Only the owner may read without leaving a trace in the access time.
            return os.open(name, self._flags & ~_NO_ATIME, dir_fd=directory)

    def _read_file(self, task: FileTask, slot: int, name: bytes, directory: int, result: BatchResult) -> None:
        descriptor = self._open(name, directory)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "it is no longer a regular file")
            if status.st_size > SEGMENT:
                path = task.path + b"/" + name
                attributes = read_attributes(descriptor)
                result.large.append(LargeFile(task.directory, slot, path, status, attributes))
                return
            content, size = self._read_content(descriptor, status.st_size)
            after = os.fstat(descriptor)
            if after.st_mtime_ns != status.st_mtime_ns or size != after.st_size:
                os.lseek(descriptor, 0, os.SEEK_SET)
                status = after
                content, size = self._read_content(descriptor, status.st_size)
                after = os.fstat(descriptor)
                if after.st_mtime_ns != status.st_mtime_ns or size != after.st_size:
                    result.changed.append(task.path + b"/" + name)
            node = file_node(name, status, content, size, read_attributes(descriptor), with_atime=self._with_atime)
        finally:
            os.close(descriptor)
        result.nodes.append((task.directory, slot, node))
        result.read_bytes += size

    def _read_content(self, descriptor: int, expected: int) -> tuple[list[str], int]:
        if expected <= SMALLEST_CHUNK:
            content = os.read(descriptor, expected + 1) if expected else b""
            if len(content) == expected and expected:
                return [self._group.add(content).hex()], expected
            if expected == 0 and not (content := os.read(descriptor, 1 << 16)):
                return [], 0
            # Not as long as the system said: it is changing, or not a real file. Read it as a stream.
            os.lseek(descriptor, 0, os.SEEK_SET)
        # A file that keeps growing is read up to where it ended when it was opened.
        return self._cut_file(descriptor, expected or None)

    def _cut_file(self, descriptor: int, limit: int | None) -> tuple[list[str], int]:
        content: list[str] = []
        size = 0
        remaining = limit

        def read_into(view: memoryview) -> int:
            nonlocal remaining
            if remaining is None:
                return os.readv(descriptor, [view])
            count = os.readv(descriptor, [view[:remaining]]) if remaining else 0
            remaining -= count
            return count

        for chunk in self._cut(read_into):
            content.append(self._group.add(chunk).hex())
            size += len(chunk)
        return content, size


def file_node(
    name: bytes,
    status: os.stat_result,
    content: list[str],
    size: int,
    attributes: list[tuple[bytes, bytes]],
    *,
    with_atime: bool,
) -> bytes:
    """The encoded node of a regular file whose blobs hold ``size`` bytes together."""
    return encode_node(
        node_from_stat(
            name,
            status,
            user=user_name(status.st_uid),
            group=group_name(status.st_gid),
            content=content,
            size=size,
            extended_attributes=extended(attributes),
            with_atime=with_atime,
        )
    )


def extended(attributes: list[tuple[bytes, bytes]]) -> list[ExtendedAttribute]:
    """Extended attributes as a node holds them."""
    return [ExtendedAttribute(os.fsdecode(name), value) for name, value in attributes]
