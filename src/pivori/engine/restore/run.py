"""The verb ``restore``: a snapshot, or a part of it, into a directory.

Directories are made first and get their metadata when everything in them is done; files are written by worker
processes, window by window; links, devices and the like by the parent. Existing files are compared blob by blob and
only what differs is written, beside them: what has its final name is what was there before, or whole. Nothing outside
the target is ever touched: :class:`pivori.host.TargetTree` sees to both.
"""

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from pivori.engine.restore.deletion import (
    IN_THE_WAY,
    check_deletion,
    extra_entries,
    extra_entries_at_top,
    is_obstructed,
)
from pivori.engine.restore.flight import Flight, Pending
from pivori.engine.restore.items import DirectoryItem, FileItem, Item, LeaveItem, LinkKey, Metadata, OtherItem
from pivori.engine.restore.jobs import Crew
from pivori.engine.restore.request import RestoreRequest, items_of, open_target
from pivori.engine.restore.unfinished import remove_leftovers_at_top, remove_unfinished
from pivori.engine.restore.window import OpenFile, Window, WindowPlan, compare_jobs, plan_window
from pivori.engine.restore.writing import CompareResult, Manner, WriteResult, file_problem, reason_of
from pivori.errors import PivoriError
from pivori.events import Event, FileNotRestored, MetadataNotRestored, Progress
from pivori.host import Problem
from pivori.repository import BlobId, BlobKind, Repository
from pivori.translation import N_

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


class Restore:
    """One run. The repository's index is loaded and a lock is held."""

    def __init__(self, repository: Repository, request: RestoreRequest, *, emit: Callable[[Event], None]) -> None:
        self._repository = repository
        self._request = request
        self._emit = emit
        self._window = Window()
        self._pending = Pending()
        self._first_names: dict[LinkKey, bytes] = {}
        self._to_finish: set[bytes] = set()
        self._flight: Flight | None = None
        self._new: set[bytes] = set()
        self._not_restored: set[bytes] = set()
        self._at = b""
        self._files_ahead = self._bytes_ahead = self._bytes_linked = 0
        self.outcome = RestoreOutcome()

    def run(self) -> RestoreOutcome:
        """Restore. Raises PathNotInSnapshot, DeletionRefused, TargetUnusable, UnsafePath, WorkerDied."""
        request = self._request
        if request.delete:
            check_deletion(self._repository, request)
        with ExitStack() as stack:
            self._target = stack.enter_context(open_target(request))
            stack.push(self._tidy_up)
            manner = Manner(sparse=request.sparse, replace=request.delete)
            self._crew = Crew(stack, self._repository, self._target, request.workers, manner)
            remove_leftovers_at_top(self._repository, request, self._target)
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

    def _tidy_up(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        """When the run ends before its time, remove what is not finished. The workers are gone by now."""
        if kind is not None:
            paths = self._flight.paths() if self._flight is not None else ()
            remove_unfinished(self._target, (self._at, *paths))

    # Item by item

    def _take(self, item: Item) -> None:
        self._at = item.directory.path if isinstance(item, LeaveItem) else item.path
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
            self._failed(self._at, reason_of(error))

    def _enter(self, item: DirectoryItem) -> None:
        new = self._target.make_directory(item.path, replace=True)
        self.outcome.directories += 1
        if new:
            self._new.add(item.path)
        else:
            with suppress(OSError):
                self._target.remove_leftovers(item.path, item.names)
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
        status = self._look(item.path)
        if self._must_stay(item.path, status) or self._is_further_name(item):
            return
        if not item.content:
            self._make_empty(item)
        elif status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size:
            self._window.existing.append(item)
        else:
            self._window.new.append(item)
        self._window.size += item.size

    def _look(self, path: bytes) -> os.stat_result | None:
        """What is at a path. Nothing can be in the way in a directory that this run has made."""
        return None if path.rpartition(b"/")[0] in self._new else self._target.status(path)

    def _must_stay(self, path: bytes, status: os.stat_result | None) -> bool:
        """Whether what is at a path is not to be replaced; says so."""
        stays = not self._request.delete and is_obstructed(self._target, path, status)
        if stays:
            self._failed(path, IN_THE_WAY)
        return stays

    def _is_further_name(self, item: FileItem | OtherItem) -> bool:
        """Whether this is another name of something that has been met before: then the link waits for that."""
        if item.link_key is None:
            return False
        first = self._first_names.setdefault(item.link_key, item.path)
        if first == item.path:
            return False
        self._pending.links.append((first, item))
        return True

    def _make_empty(self, item: FileItem) -> None:
        mode, uid, gid, atime_ns, mtime_ns, attributes, user, group = item.metadata
        problems = self._target.write_small_file(
            item.path, b"", mode, uid, gid, atime_ns, mtime_ns, attributes, user, group, replace=self._request.delete
        )
        self._note(problems)
        self.outcome.files += 1

    def _make_other(self, item: OtherItem) -> None:
        if self._must_stay(item.path, self._look(item.path)) or self._is_further_name(item):
            return
        target, path, replace = self._target, item.path, self._request.delete
        if item.kind == "symlink":
            target.make_symlink(path, item.target, replace=replace)
        elif item.kind == "fifo":
            target.make_fifo(path, replace=replace)
        elif item.kind == "socket":
            target.make_socket(path, replace=replace)
        else:
            target.make_device(path, _S_TYPES[item.kind], item.device, replace=replace)
        self._finish(path, item.metadata)
        self.outcome.others += 1

    # Window by window

    def _launch(self) -> None:
        """Give the window to the workers. Meanwhile the next one is filled; no more than one is on its way."""
        self._land()
        flight = self._flight = Flight(self._window, self._pending)
        self._window, self._pending = Window(), Pending()
        in_place = self._compare(flight.window)
        plan = flight.plan = plan_window(flight.window, in_place, self._repository.index, self._begin_file)
        self.outcome.files_in_place += plan.files_in_place
        self.outcome.bytes_in_place += plan.bytes_in_place
        self._bytes_ahead = 0
        self._files_ahead = sum(not file.missing for file in plan.open_files.values())
        for item in plan.lacking:
            self._failed(item.path, N_("the repository lacks a blob of it"))
        self._crew.start(plan.jobs)

    def _attend(self) -> None:
        """Take what the workers have done meanwhile."""
        if self._flight is not None:
            for result in self._crew.results(patiently=False):
                self._take_result(self._flight.plan, result)

    def _land(self) -> None:
        """Wait for the window that is on its way, and finish what it held."""
        flight = self._flight
        if flight is None:
            return
        while self._crew.is_busy:
            for result in self._crew.results(patiently=True):
                self._take_result(flight.plan, result)
        self._files_ahead = 0
        for file in flight.plan.open_files.values():
            if file.partial is None:
                self._finish_in_place(file)
        self._finish_pending(flight.pending)
        self._report(b"")
        if self._request.verify:
            self._verify(flight.window)
        self._flight = None

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

    def _begin_file(self, item: FileItem, size: int) -> bytes | None:
        try:
            return self._target.begin_file(item.path, size)
        except OSError as error:
            self._failed(item.path, reason_of(error))
            return None

    def _take_result(self, plan: WindowPlan, result: WriteResult | CompareResult) -> None:
        if isinstance(result, CompareResult):
            return
        outcome = self.outcome
        outcome.files += result.files
        outcome.bytes_written += result.bytes
        current = result.last_path
        for number, reason in result.failed_pieces.items():
            self._give_up(plan.open_files[number], reason)
        for number, count in result.pieces.items():
            current = plan.open_files[number].item.path
            self._count_pieces(plan.open_files[number], count)
        for failed in result.failed:
            self._failed(failed.path, failed.reason)
        for problem in result.problems:
            self._problem(problem.path, problem.reason)
        for blob, targets in result.unreadable:
            self._take_result(plan, self._crew.write_blob(targets, self._read_elsewhere(blob)))
        self._report(current)

    def _read_elsewhere(self, blob: BlobId) -> bytes | PivoriError:
        """A blob whose usual copy is damaged: perhaps there is another one."""
        try:
            return self._repository.read_blob(BlobKind.DATA, blob)
        except PivoriError as error:
            return error

    def _give_up(self, file: OpenFile, reason: str) -> None:
        """A file cannot become whole: what has been written of it goes at once, the disk may be full."""
        if not file.failed:
            file.failed = True
            self._failed(file.item.path, reason)
            self._target.discard_file(file.partial or b"")

    def _count_pieces(self, file: OpenFile, count: int) -> None:
        """Pieces have been written; with the last one the file gets its name."""
        file.missing -= count
        if file.missing or file.failed or file.partial is None:
            return
        item = file.item
        try:
            metadata = item.metadata._asdict()
            self._note(self._target.complete_file(file.partial, item.path, **metadata, replace=self._request.delete))
        except OSError as error:
            self._give_up(file, reason_of(error))
        else:
            self.outcome.files += 1

    def _finish_in_place(self, file: OpenFile) -> None:
        """A file whose blobs are all in place: perhaps it goes on behind them."""
        item = file.item
        try:
            self._target.cut_file(item.path, file.size)
        except OSError as error:
            self._failed(item.path, reason_of(error))
        else:
            self._finish(item.path, item.metadata)
            self.outcome.files += 1

    def _finish_pending(self, pending: Pending) -> None:
        """Hard links, and directories in which nothing is left to do."""
        for first, item in pending.links:
            if first in self._not_restored:
                self._failed(item.path, N_("it is another name of a file that was not restored"))
                continue
            try:
                self._target.make_hard_link(first, item.path, replace=self._request.delete)
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
        files = [item for item in (*window.new, *window.existing) if item.path not in self._not_restored]
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
        self._not_restored.add(path)
        self._emit(FileNotRestored(path=path, reason=reason))

    def _tree_damaged(self, path: bytes, error: PivoriError) -> None:
        self._failed(path, str(error))

    def _report(self, current: bytes) -> None:
        """Say how far it has come. Ahead of the outcome are files whose content is there, but not their metadata."""
        outcome = self.outcome
        self._emit(
            Progress(
                files_done=outcome.files + self._files_ahead,
                bytes_done=outcome.bytes_written + outcome.bytes_in_place + self._bytes_ahead + self._bytes_linked,
                errors=outcome.failures,
                current=current,
            )
        )
