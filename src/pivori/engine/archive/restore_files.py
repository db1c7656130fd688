"""Filling a directory with what a plan takes out of an archive."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.archives.reading_crew import run_jobs
from pivori.engine.archive.filling import Failure, FileTask, Filler, FillReport, damaged
from pivori.engine.archive.placing import free_bytes
from pivori.engine.archive.restore_plan import RestorePlan
from pivori.engine.archive.tree import ArchiveTree, Item
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.events import Event, FileNotRestored, MetadataNotRestored, Progress
from pivori.host import Problem, TargetTree
from pivori.translation import N_, ByteCount, Phrase

_LITTLE: Final = 8 << 20
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_MISSING: Final = N_("its content cannot be read")
_PROBLEM: Final = N_("{what}: {reason}")


class NoSpaceForRestore(PivoriError):
    """The disk has no room for what is to be restored."""

    code = "no-space-for-restore"
    message = N_("There is not enough space at {path}: {needed} are needed, {free} are free. Nothing was changed.")
    hint = N_("Free some space there, restore elsewhere, or restore a part with --include.")


class FileNotWritten(PivoriError):
    """One file could not be written, so the whole restore was given up."""

    code = "file-not-written"
    message = N_("{path} could not be restored: {reason}. Nothing was changed.")
    hint = N_("Restore elsewhere with --target, or go on without such files with --keep-going.")


@dataclass(kw_only=True)
class RestoreOutcome:
    """What was done. ``aside`` is where the tree from before is; ``failures`` and ``problems`` as for snapshots."""

    target: Path
    files: int = 0
    directories: int = 0
    others: int = 0
    bytes: int = 0
    failures: int = 0
    problems: int = 0
    aside: Path | None = None


class Filling:
    """Fills a directory with the items of a plan."""

    def __init__(self, tree: ArchiveTree, plan: RestorePlan, place: Path, emit: Callable[[Event], None]) -> None:
        self._tree = tree
        self._plan = plan
        self._place = place
        self._emit = emit
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._lost: set[bytes] = set()
        self._out = RestoreOutcome(target=plan.request.target)

    def run(self) -> RestoreOutcome:
        """Directories first, then files, links of all kinds, and at the end what directories are given."""
        items = self._plan.items
        by_name = self._plan.request.owners_by_name
        with TargetTree(self._place, create=False, owners_by_name=by_name) as target:
            self._target = target
            for item in items:
                if item.entry.kind is EntryKind.DIRECTORY and item.entry.path:
                    self._attempt(item.entry, self._make_directory)
            self._make_missing_parents()
            for number in range(len(self._tree.archives)):
                self._fill(number)
            for item in items:
                if item.entry.kind in (EntryKind.SYMLINK, EntryKind.FIFO):
                    self._attempt(item.entry, self._make_other)
            for item in items:
                if item.entry.hard_link is not None:
                    self._attempt(item.entry, self._make_link)
            for item in reversed(items):
                entry = item.entry
                if entry.kind is EntryKind.DIRECTORY and (entry.path or self._plan.is_whole):
                    self._attempt(entry, self._finish)
        return self._out

    def _attempt(self, entry: Entry, act: Callable[[Entry], None]) -> None:
        try:
            act(entry)
        except OSError as error:
            self._fail(Failure(entry.path, error.strerror or str(error), error.errno))

    def _make_directory(self, entry: Entry) -> None:
        self._target.make_directory(entry.path)
        self._out.directories += 1

    def _make_missing_parents(self) -> None:
        """Archives of others may leave directories out."""
        known = {item.entry.path for item in self._plan.items if item.entry.kind is EntryKind.DIRECTORY} | {b""}
        for item in self._plan.items:
            missing = []
            path = item.entry.path.rpartition(b"/")[0]
            while path not in known:
                missing.append(path)
                known.add(path)
                path = path.rpartition(b"/")[0]
            for path in reversed(missing):
                self._target.make_directory(path, 0o755)

    def _make_other(self, entry: Entry) -> None:
        if entry.kind is EntryKind.SYMLINK:
            self._target.make_symlink(entry.path, entry.target)
        else:
            self._target.make_fifo(entry.path)
        self._finish(entry)
        self._out.others += 1

    def _make_link(self, entry: Entry) -> None:
        if entry.hard_link in self._lost:
            self._fail(Failure(entry.path, _MISSING))
        elif entry.hard_link is not None:
            self._target.make_hard_link(entry.hard_link, entry.path)
            self._out.files += 1

    def _finish(self, entry: Entry) -> None:
        self._note(
            self._target.finish(
                entry.path,
                mode=entry.mode,
                uid=self._uid if entry.uid < 0 else entry.uid,
                gid=self._gid if entry.gid < 0 else entry.gid,
                atime_ns=entry.mtime_ns,
                mtime_ns=entry.mtime_ns,
                attributes=entry.attributes,
                user=entry.user,
                group=entry.group,
            )
        )

    def _fill(self, source: int) -> None:
        """Write the files that one of the archives holds."""
        tasks: dict[int, FileTask] = {}
        for item in self._plan.items:
            if item.source != source or item.entry.kind is not EntryKind.FILE or item.entry.hard_link is not None:
                continue
            if item.member is None:
                self._fail(Failure(item.entry.path, _MISSING), source)
            else:
                tasks[item.member.number] = self._task(item)
        if not tasks:
            return
        jobs = self._tree.archives[source].container.jobs(tasks.keys())
        much = sum(task.size for task in tasks.values()) > _LITTLE
        workers = self._plan.request.workers if much else 1
        left = set(tasks)
        for report in run_jobs(jobs, Filler(self._target, tasks), workers):
            left.difference_update(report.done)
            self._take(report, source)
            failed = {failure.path for failure in report.failures}
            left -= {number for number in left if tasks[number].path in failed} if failed else set()
        for number in sorted(left):
            self._fail(Failure(tasks[number].path, _MISSING), source)

    def _task(self, item: Item) -> FileTask:
        entry = item.entry
        return FileTask(
            entry.path,
            entry.size,
            bytes.fromhex(entry.sha256),
            entry.mode,
            self._uid if entry.uid < 0 else entry.uid,
            self._gid if entry.gid < 0 else entry.gid,
            entry.mtime_ns,
            entry.attributes,
            entry.user,
            entry.group,
            entry.is_sparse,
        )

    def _take(self, report: FillReport, source: int) -> None:
        if report.errors and not self._plan.request.keep_going:
            raise report.errors[0]
        for failure in report.failures:
            self._fail(failure, source)
        self._note(report.problems)
        self._out.files += len(report.done)
        self._out.bytes += report.size
        self._emit(
            Progress(
                files_done=self._out.files,
                files_total=self._plan.files,
                bytes_done=self._out.bytes,
                bytes_total=self._plan.bytes,
                errors=self._out.failures,
                current=report.last,
            )
        )

    def _fail(self, failure: Failure, source: int = 0) -> None:
        """Give up, or go on without a file when that was asked for. Raises the error that fits."""
        request = self._plan.request
        if not request.keep_going:
            if failure.number in _FULL:
                free = free_bytes(self._place)
                raise NoSpaceForRestore(
                    path=str(request.target), needed=ByteCount(self._plan.bytes), free=ByteCount(free)
                )
            if failure.number is None:
                raise damaged(str(self._tree.archives[source].path), failure)
            raise FileNotWritten(path=failure.path, reason=failure.reason)
        self._lost.add(failure.path)
        self._out.failures += 1
        self._emit(FileNotRestored(path=failure.path, reason=failure.reason))

    def _note(self, problems: list[Problem]) -> None:
        for problem in problems:
            self._out.problems += 1
            reason = Phrase(_PROBLEM, what=problem.what, reason=problem.error.strerror or str(problem.error))
            self._emit(MetadataNotRestored(path=problem.path, reason=reason))
