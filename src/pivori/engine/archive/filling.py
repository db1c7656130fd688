"""Writing the files of an archive, in whichever process takes a job of its reading."""

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pivori.archives.container import ArchiveDamaged, Piece
from pivori.engine.archive.content import CONTENT_DIFFERS, SIZE_DIFFERS
from pivori.errors import PivoriError
from pivori.host import Problem, TargetTree, write_sparse
from pivori.translation import N_, Phrase

_DAMAGED_MEMBER: Final = N_("{member}: {reason}")


class FileTask(NamedTuple):
    """A file to write: where, what it has to be, and what it gets besides its content."""

    path: bytes
    size: int
    sha256: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    attributes: tuple[tuple[bytes, bytes], ...]
    user: str
    group: str
    is_sparse: bool


class Failure(NamedTuple):
    """A file that could not be written, and why."""

    path: bytes
    reason: str
    number: int | None = None
    """The system's number of the error, when it was the system's."""


@dataclass
class FillReport:
    """What came of a job: the numbers of the members that were written, and what went wrong."""

    done: list[int] = field(default_factory=list)
    size: int = 0
    failures: list[Failure] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    errors: list[PivoriError] = field(default_factory=list)
    last: bytes = b""


class Filler:
    """Writes the members of a job into the target; it can be pickled.

    What does not fit its size or digest is removed again and reported as a failure.
    """

    def __init__(self, target: TargetTree, tasks: Mapping[int, FileTask]) -> None:
        self._target = target
        self._tasks = tasks

    def __call__(self, pieces: Iterator[Piece]) -> FillReport:
        """Write everything of a job."""
        report = FillReport()
        current: _File | None = None
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                break
            except ArchiveDamaged as error:
                if current is not None:
                    current.drop()
                    current = None
                report.errors.append(error)
                continue
            if current is None or current.number != piece.number:
                task = self._tasks.get(piece.number)
                if task is None:
                    continue
                current = _File(self._target, piece.number, task)
            if not current.take(piece, report):
                continue
            if piece.is_last:
                current = None
        if current is not None:
            current.drop()
        return report


class _File:
    """One file on its way."""

    def __init__(self, target: TargetTree, number: int, task: FileTask) -> None:
        self.number = number
        self._target = target
        self._task = task
        self._descriptor = -1
        self._partial = b""
        self._offset = 0
        self._digest = hashlib.sha256()
        self._failed = False

    def take(self, piece: Piece, report: FillReport) -> bool:
        """Take a piece; whether all is well so far. A file that failed once takes no more."""
        if self._failed:
            return False
        try:
            problem = self._write(piece, report)
        except OSError as error:
            self._fail(report, error.strerror or str(error), error.errno)
            return False
        if problem:
            self._fail(report, problem)
            return False
        return True

    def _write(self, piece: Piece, report: FillReport) -> str:
        """Write a piece; returns what is wrong with the content, empty for nothing. Raises OSError."""
        task = self._task
        content = piece.content
        self._digest.update(content)
        end = self._offset + len(content)
        if end > task.size or (piece.is_last and end != task.size):
            return SIZE_DIFFERS
        if piece.is_last and task.sha256 and self._digest.digest() != task.sha256:
            return CONTENT_DIFFERS
        if piece.is_last and not self._offset and not task.is_sparse:
            report.problems += self._target.write_small_file(
                task.path, content, task.mode, task.uid, task.gid, task.mtime_ns, task.mtime_ns, task.attributes,
                task.user, task.group,
            )  # fmt: skip
        else:
            self._write_part(content, is_last=piece.is_last, report=report)
        self._offset = end
        if piece.is_last:
            report.done.append(self.number)
            report.size += task.size
            report.last = task.path
        return ""

    def _write_part(self, content: bytes | bytearray, *, is_last: bool, report: FillReport) -> None:
        task = self._task
        if self._descriptor < 0:
            self._partial = self._target.begin_file(task.path, task.size)
            descriptor = self._target.open_for_update(self._partial)
            if descriptor is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._descriptor = descriptor
        if task.is_sparse:
            write_sparse(self._descriptor, content, self._offset)
        else:
            _write_all(self._descriptor, content)
        if not is_last:
            return
        self._close()
        report.problems += self._target.complete_file(
            self._partial,
            task.path,
            mode=task.mode,
            uid=task.uid,
            gid=task.gid,
            atime_ns=task.mtime_ns,
            mtime_ns=task.mtime_ns,
            attributes=task.attributes,
            user=task.user,
            group=task.group,
        )
        self._partial = b""

    def _fail(self, report: FillReport, reason: str, number: int | None = None) -> None:
        self.drop()
        report.failures.append(Failure(self._task.path, reason, number))

    def drop(self) -> None:
        """Leave nothing of the file behind."""
        self._failed = True
        if self._descriptor >= 0:
            self._close()
        if self._partial:
            self._target.discard_file(self._partial)
            self._partial = b""

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


def _write_all(descriptor: int, content: bytes | bytearray) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def damaged(archive: str, failure: Failure) -> ArchiveDamaged:
    """The error for a member whose content is not what it has to be."""
    shown = failure.path.decode(errors="backslashreplace")
    return ArchiveDamaged(archive=archive, reason=Phrase(_DAMAGED_MEMBER, member=shown, reason=failure.reason))
