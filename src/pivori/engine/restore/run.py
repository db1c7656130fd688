"""The verb ``restore``: a snapshot, or a part of it, into a directory.

Directories are made first and get their metadata when everything in them is done; files are written by worker
processes, window by window; links, devices and the like by the parent. Existing files are compared blob by blob and
only what differs is written. Nothing outside the target is ever touched: :class:`pivori.host.TargetTree` sees to it.
"""

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from pivori.engine.restore.deletion import check_deletion, extra_entries, extra_entries_at_top
from pivori.engine.restore.items import (
    DirectoryItem,
    FileItem,
    Item,
    LeaveItem,
    LinkKey,
    Metadata,
    OtherItem,
)
from pivori.engine.restore.jobs import Crew
from pivori.engine.restore.request import RestoreRequest, items_of, open_target
from pivori.engine.restore.window import Window, WindowPlan, compare_jobs, plan_window
from pivori.engine.restore.writing import CompareResult, WriteResult, file_problem, reason_of
from pivori.errors import PivoriError
from pivori.events import Event, FileNotRestored, MetadataNotRestored, Progress
from pivori.host import Problem
from pivori.repository import BlobId, BlobKind, Repository
from pivori.translation import N_

_MOST_PENDING: Final = 4096
_ITEMS_PER_LOOK: Final = 32
_S_TYPES: Final = {"dev": stat.S_IFBLK, "chardev": stat.S_IFCHR}


@dataclass
class RestoreOutcome:
    """What was done. ``bytes_written`` counts content that had to be written, ``bytes_in_place`` what was there."""

    files: int = 0
    directories: int = 0
    others: int = 0
    files_in_place: int = 0
    bytes_written: int = 0
    bytes_in_place: int = 0
    deleted: int = 0
    verified: int = 0
    failures: int = 0
    problems: int = 0


@dataclass
class _Pending:
    """What waits until the files of the window are written."""

    directories: list[DirectoryItem] = field(default_factory=list)
    links: list[tuple[bytes, FileItem | OtherItem]] = field(default_factory=list)

    def is_much(self) -> bool:
        """Whether it is time to work, however few files there are."""
        return len(self.directories) + len(self.links) >= _MOST_PENDING


@dataclass
class _Flight:
    """A window that the workers are at, and what waits for its files."""

    window: Window
    plan: WindowPlan
    pending: _Pending


class Restore:
    """One run. The repository's index is loaded and a lock is held."""

    def __init__(self, repository: Repository, request: RestoreRequest, *, emit: Callable[[Event], None]) -> None:
        self._repository = repository
        self._request = request
        self._emit = emit
        self._window = Window()
        self._pending = _Pending()
        self._first_names: dict[LinkKey, bytes] = {}
        self._to_finish: set[bytes] = set()
        self._flight: _Flight | None = None
        self._new: set[bytes] = set()
        self._files_ahead = self._bytes_ahead = self._bytes_linked = 0
        self.outcome = RestoreOutcome()

    def run(self) -> RestoreOutcome:
        """Restore. Raises PathNotInSnapshot, DeletionRefused, TargetUnusable, UnsafePath, WorkerDied."""
        request = self._request
        if request.delete:
            check_deletion(self._repository, request)
        with ExitStack() as stack:
            self._target = stack.enter_context(open_target(request))
            self._crew = Crew(stack, self._repository, self._target, request.workers, sparse=request.sparse)
            if request.delete:
                for path in extra_entries_at_top(self._repository, request, self._target):
                    self._delete(path)
            for number, item in enumerate(items_of(self._repository, request, self._tree_damaged)):
                self._take(item)
                if number % _ITEMS_PER_LOOK == 0:
                    self._attend()
                    if self._window.is_full() or self._pending.is_much():
                        self._launch()
            self._launch()
            self._land()
        return self.outcome

    # Item by item

    def _take(self, item: Item) -> None:
        try:
            if isinstance(item, FileItem):
                self._take_file(item)
            elif isinstance(item, DirectoryItem):
                self._enter(item)
            elif isinstance(item, LeaveItem):
                self._new.discard(item.directory.path)
                self._pending.directories.append(item.directory)
            else:
                self._make_other(item)
        except OSError as error:
            path = item.directory.path if isinstance(item, LeaveItem) else item.path
            self._failed(path, reason_of(error))

    def _enter(self, item: DirectoryItem) -> None:
        new = self._target.make_directory(item.path, replace=True)
        self.outcome.directories += 1
        if new:
            self._new.add(item.path)
        if new or item.whole:
            self._to_finish.add(item.path)
        if self._request.delete and item.whole:
            for path in extra_entries(self._target, item.path, item.names, item.shown, self._request.selection):
                self._delete(path)

    def _delete(self, path: bytes) -> None:
        try:
            self._target.remove(path)
        except OSError as error:
            self._failed(path, reason_of(error))
        else:
            self.outcome.deleted += 1

    def _take_file(self, item: FileItem) -> None:
        if item.link_key is not None:
            first = self._first_names.setdefault(item.link_key, item.path)
            if first != item.path:
                self._pending.links.append((first, item))
                return
        # Nothing can be in the way in a directory that this run has made.
        status = None if item.path.rpartition(b"/")[0] in self._new else self._target.status(item.path)
        if not item.content:
            self._make_empty(item)
        elif status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size:
            self._window.existing.append(item)
        else:
            self._remove_directory_in_the_way(item.path, status)
            self._window.new.append(item)
        self._window.size += item.size

    def _remove_directory_in_the_way(self, path: bytes, status: os.stat_result | None) -> None:
        if status is not None and stat.S_ISDIR(status.st_mode):
            self._target.remove(path)

    def _make_empty(self, item: FileItem) -> None:
        mode, uid, gid, atime_ns, mtime_ns, attributes, user, group = item.metadata
        problems = self._target.write_small_file(
            item.path, b"", mode, uid, gid, atime_ns, mtime_ns, attributes, user, group, replace=True
        )
        self._note(problems)
        self.outcome.files += 1

    def _make_other(self, item: OtherItem) -> None:
        if item.link_key is not None:
            first = self._first_names.setdefault(item.link_key, item.path)
            if first != item.path:
                self._pending.links.append((first, item))
                return
        target, path = self._target, item.path
        if item.kind == "symlink":
            target.make_symlink(path, item.target, replace=True)
        elif item.kind == "fifo":
            target.make_fifo(path, replace=True)
        elif item.kind == "socket":
            target.make_socket(path, replace=True)
        else:
            target.make_device(path, _S_TYPES[item.kind], item.device, replace=True)
        self._finish(path, item.metadata)
        self.outcome.others += 1

    # Window by window

    def _launch(self) -> None:
        """Give the window to the workers. Meanwhile the next one is filled; no more than one is on its way."""
        self._land()
        window, self._window = self._window, Window()
        pending, self._pending = self._pending, _Pending()
        in_place = self._compare(window)
        plan = plan_window(window, in_place, self._repository.index, self._make_file)
        self.outcome.files_in_place += plan.files_in_place
        self.outcome.bytes_in_place += plan.bytes_in_place
        self._bytes_ahead = 0
        self._files_ahead = sum(not file.missing for file in plan.open_files.values())
        for item in plan.lacking:
            self._failed(item.path, N_("the repository lacks a blob of it"))
        self._crew.start(plan.jobs)
        self._flight = _Flight(window, plan, pending)

    def _attend(self) -> None:
        """Take what the workers have done meanwhile."""
        if self._flight is not None:
            for result in self._crew.results(patiently=False):
                self._take_result(self._flight.plan, result)

    def _land(self) -> None:
        """Wait for the window that is on its way, and finish what it held."""
        flight, self._flight = self._flight, None
        if flight is None:
            return
        while self._crew.is_busy:
            for result in self._crew.results(patiently=True):
                self._take_result(flight.plan, result)
        self._finish_files(flight.plan)
        self._finish_pending(flight.pending)
        self._report(b"")
        if self._request.verify:
            self._verify(flight.window)

    def _compare(self, window: Window) -> dict[int, bytes]:
        """For each existing file of the window by number: which blobs are in place."""
        jobs = list(compare_jobs(window, self._repository.index))
        found: dict[int, bytes] = {}
        for result in self._crew.do(jobs):
            if isinstance(result, CompareResult):
                found[result.number] = result.in_place
                job = jobs[result.number]
                lengths = zip(job.blobs, result.in_place, strict=True)
                self._bytes_ahead += sum(length for (_, length), in_place in lengths if in_place)
                self._files_ahead += 0 not in result.in_place
                self._report(job.path)
        return found

    def _make_file(self, item: FileItem, size: int) -> bool:
        """Make a file that is written in pieces, or give an existing one its size."""
        try:
            descriptor = self._target.open_for_update(item.path)
            if descriptor is None:
                descriptor = self._target.create_file(item.path, replace=True)
            try:
                if os.fstat(descriptor).st_size != size:
                    os.ftruncate(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._failed(item.path, reason_of(error))
            return False
        return True

    def _take_result(self, plan: WindowPlan, result: WriteResult | CompareResult) -> None:
        if isinstance(result, CompareResult):
            return
        outcome = self.outcome
        outcome.files += result.files
        outcome.bytes_written += result.bytes
        for number, count in result.pieces.items():
            plan.open_files[number].missing -= count
            self._files_ahead += not plan.open_files[number].missing
        for number in result.failed_numbers:
            plan.open_files[number].failed = True
        for failed in result.failed:
            self._failed(failed.path, failed.reason)
        for problem in result.problems:
            self._problem(problem.path, problem.reason)
        for blob, targets in result.unreadable:
            self._take_result(plan, self._crew.write_blob(targets, self._read_elsewhere(blob)))
        self._report(result.last_path)

    def _read_elsewhere(self, blob: BlobId) -> bytes | PivoriError:
        """A blob whose usual copy is damaged: perhaps there is another one."""
        try:
            return self._repository.read_blob(BlobKind.DATA, blob)
        except PivoriError as error:
            return error

    def _finish_files(self, plan: WindowPlan) -> None:
        self._files_ahead = 0
        for file in plan.open_files.values():
            if not file.failed:
                self._finish(file.item.path, file.item.metadata)
                self.outcome.files += 1

    def _finish_pending(self, pending: _Pending) -> None:
        """Hard links, and directories in which nothing is left to do."""
        for first, item in pending.links:
            try:
                self._target.make_hard_link(first, item.path, replace=True)
                self.outcome.files += isinstance(item, FileItem)
                self.outcome.others += isinstance(item, OtherItem)
                self._bytes_linked += item.size if isinstance(item, FileItem) else 0
            except OSError as error:
                self._failed(item.path, reason_of(error))
        for directory in pending.directories:
            if directory.path in self._to_finish:
                self._to_finish.remove(directory.path)
                self._finish(directory.path, directory.metadata)

    def _finish(self, path: bytes, metadata: Metadata) -> None:
        try:
            self._note(self._target.finish(path, **metadata._asdict()))
        except OSError as error:
            self._failed(path, reason_of(error))

    def _verify(self, window: Window) -> None:
        """Read back every file of the window and compare it with the snapshot."""
        files = [*window.new, *window.existing]
        everything = Window(existing=files)
        for result in self._crew.do(compare_jobs(everything, self._repository.index)):
            if isinstance(result, CompareResult):
                item = files[result.number]
                status = self._target.status(item.path)
                if not item.metadata.mode & stat.S_IRUSR:
                    # To be read, it may have been given its owner's rights.
                    self._finish(item.path, item.metadata)
                if 0 in result.in_place or status is None or status.st_size != item.size:
                    self._failed(item.path, N_("what was restored differs from the snapshot"))
                else:
                    self.outcome.verified += 1

    # What it has to say

    def _note(self, problems: Iterable[Problem]) -> None:
        for problem in map(file_problem, problems):
            self._problem(problem.path, problem.reason)

    def _problem(self, path: bytes, reason: str) -> None:
        self.outcome.problems += 1
        self._emit(MetadataNotRestored(path=path, reason=reason))

    def _failed(self, path: bytes, reason: str) -> None:
        self.outcome.failures += 1
        self._emit(FileNotRestored(path=path, reason=reason))

    def _tree_damaged(self, path: bytes, error: PivoriError) -> None:
        self._failed(path, str(error))

    def _report(self, current: bytes) -> None:
        """Say how far it has come. Ahead of the outcome are files whose content is there, but not their metadata."""
        outcome, request = self.outcome, self._request
        self._emit(
            Progress(
                files_done=outcome.files + self._files_ahead,
                files_total=request.expected_files,
                bytes_done=outcome.bytes_written + outcome.bytes_in_place + self._bytes_ahead + self._bytes_linked,
                bytes_total=request.expected_bytes,
                errors=outcome.failures,
                current=current,
            )
        )
