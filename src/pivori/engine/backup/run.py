"""The verb ``backup``: sources in, a snapshot out."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

from pivori.clock import Clock
from pivori.engine.backup.assembly import Assembly
from pivori.engine.backup.crew import Alone, Crew, Task, Workers, serve
from pivori.engine.backup.documents import Addition, DocumentWriter
from pivori.engine.backup.previous import PreviousTrees
from pivori.engine.backup.reading import (
    SEGMENT,
    BatchResult,
    LargeFile,
    SegmentResult,
    SegmentTask,
    file_node,
)
from pivori.engine.backup.request import BackupOutcome, BackupRequest, snapshot_of
from pivori.engine.backup.signatures import Signatures
from pivori.engine.backup.sources import merge_sources
from pivori.engine.backup.unchanged import same_sources
from pivori.engine.backup.walk import FILES_PER_BATCH, Walk
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event, FileChanged, FileNotRead, FileVanished, Progress
from pivori.host.workers import WorkerPool
from pivori.repository import (
    Intake,
    Repository,
    Summary,
    WriterSettings,
    format_time,
    parse_time,
    path_text,
)
from pivori.storage import DiscardingStorage
from pivori.translation import N_

_ALONE_BYTES: Final = 24 << 20
_BATCHES_FOR_WORKERS: Final = 3
"""Up to this many bytes in less than this many batches, starting workers costs more than they save."""
_MOST_WAITING: Final = 32
"""So many tasks keep the workers busy; a walk that ran further ahead would only fill the memory."""


class NothingToBackUp(PivoriError):
    """None of the sources could be read."""

    code = "nothing-to-back-up"
    message = N_("None of the paths to back up could be read, so no snapshot was made.")
    hint = N_("Check the paths and their permissions.")


@dataclass
class _Tally:
    """What was read."""

    files: int = 0
    bytes: int = 0
    failures: int = 0


@dataclass
class _Segments:
    """A large file whose segments are being read."""

    file: LargeFile
    waiting: int
    parts: dict[int, SegmentResult] = field(default_factory=dict)


class Backup:
    """One run. Make it, then :meth:`run` it once; the repository's index is loaded and a lock is held."""

    def __init__(
        self,
        repository: Repository,
        request: BackupRequest,
        *,
        clock: Clock,
        emit: Callable[[Event], None],
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._repository = repository
        self._request = request
        self._clock = clock
        self._emit = emit
        self._before_write = before_write
        self._tally = _Tally()
        self._walking = True
        self._segments: dict[tuple[int, int], _Segments] = {}
        self._read_again: set[tuple[int, int]] = set()
        self._tasks: deque[Task] = deque()
        self._storage = DiscardingStorage(repository.storage) if request.dry_run else repository.storage
        settings = WriterSettings(
            master=repository.master,
            version=repository.version,
            compression=request.compression,
            check=request.check,
        )
        self._intake = Intake(repository, settings, storage=self._storage, before_write=before_write)
        keep = None if request.with_atime else request.cache_directory
        self._signatures = Signatures(Signatures.file_for(keep, request.host, request.sources))
        previous = self._previous_trees()
        self._assembly = Assembly(
            self._add_tree,
            previous_nodes=previous.nodes,
            remember=self._signatures.note,
            with_atime=request.with_atime,
            addition=self._store_documents(previous),
        )
        self._walk = Walk(
            merge_sources(request.sources),
            self._assembly,
            previous,
            self._signatures,
            file_time_ns=clock.file_time_ns,
            exclusion=request.exclusion,
            one_file_system=request.one_file_system,
            with_atime=request.with_atime,
            failed=self._failed,
        )

    def run(self) -> BackupOutcome:
        """Back up. Raises NothingToBackUp, DocumentsClash, storage errors, WorkerDied."""
        # The next run reads again what changed since: that is told by the clock of files.
        started = self._clock.file_time_ns()
        parent = self._request.parent
        readable = self._check_sources()
        with ExitStack() as stack:
            crew: Crew | None = None
            for batch in self._walk.batches(parent.snapshot.tree if parent and not self._request.force else None):
                if batch is not None:
                    self._tasks.append(batch)
                    self._report(batch[-1].path)
                if crew is None and len(self._tasks) >= _BATCHES_FOR_WORKERS:
                    crew = self._hire(stack)
                if crew is not None:
                    self._work(crew)
                    while len(self._tasks) > _MOST_WAITING:
                        self._work(crew)
            self._walking = False
            if crew is None:
                crew = self._hire(stack)
            while self._tasks or not crew.is_idle():
                self._work(crew)
            crew.finish()
        self._before_write()
        self._intake.flush()
        if not readable:
            raise NothingToBackUp
        return self._conclude(started)

    # The work

    def _hire(self, stack: ExitStack) -> Crew:
        """Choose who works: for little work, starting worker processes would cost more than it saves."""
        request = self._request
        if request.workers < 2 or not self._storage.shareable or _is_little(self._tasks):
            return Alone(self._intake, with_atime=request.with_atime)
        pool = WorkerPool(request.workers, serve, self._storage, self._intake.settings, request.with_atime)
        return Workers(stack.enter_context(pool), self._intake)

    def _work(self, crew: Crew) -> None:
        """Hand out what there is room for and take what has been done."""
        while self._tasks and crew.has_room():
            crew.give(self._tasks.popleft())
        for result in crew.results(patiently=bool(self._tasks) or not self._walking):
            if isinstance(result, SegmentResult):
                self._take_segment(result)
            else:
                self._take_batch(result)

    def _take_batch(self, result: BatchResult) -> None:
        assembly, tally = self._assembly, self._tally
        for number, slot, node in result.nodes:
            assembly.place(assembly.directory(number), slot, node)
        tally.files += len(result.nodes) - len(result.failures) - len(result.vanished)
        tally.bytes += result.read_bytes
        for failure in result.failures:
            self._failed(failure.path, failure.reason)
        for path in result.vanished:
            self._emit(FileVanished(path=path))
        for path in result.changed:
            self._emit(FileChanged(path=path))
        for file in result.large:
            self._split(file)
        if result.left:
            self._tasks.appendleft(result.left)
        self._report(result.last_path)

    def _split(self, file: LargeFile) -> None:
        """Turn a large file into segments, which several workers can read at once."""
        size = file.status.st_size
        starts = range(0, size, SEGMENT)
        self._segments[file.directory, file.slot] = _Segments(file, len(starts))
        for start in starts:
            length = min(SEGMENT, size - start)
            self._tasks.append(SegmentTask(file.directory, file.slot, file.path, start, length, file.identity))

    def _take_segment(self, result: SegmentResult) -> None:
        segments = self._segments[result.directory, result.slot]
        segments.parts[result.start] = result
        segments.waiting -= 1
        self._tally.bytes += result.size
        self._report(segments.file.path)
        if segments.waiting == 0:
            key = result.directory, result.slot
            del self._segments[key]
            if any(part.gone for part in segments.parts.values()) and key not in self._read_again:
                self._read_again.add(key)
                self._tasks.append([segments.file.again()])
                return
            node = self._large_file(segments)
            self._assembly.place(self._assembly.directory(result.directory), result.slot, node)

    def _large_file(self, segments: _Segments) -> bytes | None:
        """The node of a large file whose segments are all read; None when it could not be read."""
        file = segments.file
        parts = [part for _, part in sorted(segments.parts.items())]
        failure = next((part.failure for part in parts if part.failure is not None), None)
        if failure is not None:
            self._failed(failure.path, failure.reason)
            return None
        if any(part.gone for part in parts):
            self._failed(file.path, N_("other files take its place while it is read"))
            return None
        size = sum(part.size for part in parts)
        if file.has_changed(size):
            self._emit(FileChanged(path=file.path))
        self._tally.files += 1
        content = [blob for part in parts for blob in part.content]
        name = os.path.basename(file.path)
        return file_node(name, file.status, content, size, file.attributes, with_atime=self._request.with_atime)

    # What it has to say

    def _failed(self, path: bytes, reason: str) -> None:
        self._tally.failures += 1
        self._emit(FileNotRead(path=path, reason=reason))

    def _report(self, current: bytes) -> None:
        counts, tally = self._walk.counts, self._tally
        self._emit(
            Progress(
                files_done=tally.files + counts.files_unmodified,
                bytes_done=tally.bytes + counts.unmodified_bytes,
                files_total=self._request.estimate.files,
                bytes_total=self._request.estimate.bytes,
                errors=tally.failures,
                current=current,
            )
        )

    def _check_sources(self) -> bool:
        """Report the sources that are not there; whether there is at least one."""
        readable = 0
        for source in self._request.sources:
            try:
                os.lstat(source)
                readable += 1
            except OSError as error:
                self._failed(source, error.strerror or str(error))
        return readable > 0

    def _previous_trees(self) -> PreviousTrees:
        parent = self._request.parent
        since_ns = 0
        if parent is not None:
            summary = parent.snapshot.summary
            since_ns = parse_time(summary.backup_start) if summary else parent.time_ns
            if not self._request.force:
                self._signatures.load(parent.id, self._repository.index.sources)
        previous = PreviousTrees(
            self._repository,
            since_ns,
            lambda error: self._emit(DamageFound(error=error)),
            reuse=not self._request.force,
        )
        previous.is_complete = self._signatures.is_trusted
        return previous

    def _store_documents(self, previous: PreviousTrees) -> Addition | None:
        request = self._request
        if not request.documents:
            return None
        writer = DocumentWriter(self._intake, request.identity, request.time_ns, previous.nodes)
        return writer.store(request.documents, request.parent.snapshot.tree if request.parent else None)

    def _add_tree(self, content: bytes) -> tuple[str, bool]:
        blob, new = self._intake.add_tree(content)
        return blob.hex(), new

    # The end

    def _conclude(self, started: int) -> BackupOutcome:
        request, tree = self._request, self._assembly.root
        assert tree is not None  # noqa: S101 - every slot of every directory is filled by now
        parent = request.parent
        summary = self._summary(started)
        unchanged = request.skip_if_unchanged and self._is_unchanged(tree)
        snapshot_id = None
        if not request.dry_run and not unchanged:
            self._before_write()
            snapshot_id = self._repository.save_snapshot(snapshot_of(request, tree, summary))
            self._signatures.save(snapshot_id, self._repository.index.sources)
        return BackupOutcome(
            snapshot_id=snapshot_id,
            tree=tree,
            parent=parent.id if parent else None,
            summary=summary,
            failures=self._tally.failures,
            skipped=unchanged,
        )

    def _is_unchanged(self, tree: str) -> bool:
        parent, sources = self._request.parent, self._request.sources
        if parent is None:
            return False
        if parent.snapshot.tree == tree:
            return True
        if self._request.dry_run or sorted(parent.snapshot.paths) != sorted(map(path_text, sources)):
            return False  # the trees of a rehearsal are not there to be read
        try:
            return same_sources(self._repository, parent.snapshot.tree, tree, merge_sources(sources))
        except PivoriError:
            return False  # whatever of the parent is damaged was told when the walk came to it

    def _summary(self, started: int) -> Summary:
        counts, tally, assembly, intake = self._walk.counts, self._tally, self._assembly, self._intake
        return Summary(
            backup_start=format_time(started),
            backup_end=format_time(self._clock.now_ns()),
            files_new=counts.files_new,
            files_changed=counts.files_changed,
            files_unmodified=counts.files_unmodified,
            dirs_new=assembly.directories_new,
            dirs_changed=assembly.directories_changed,
            dirs_unmodified=assembly.directories_unmodified,
            data_blobs=intake.new_data_blobs,
            tree_blobs=intake.new_tree_blobs,
            data_added=intake.new_bytes,
            data_added_packed=intake.stored_bytes,
            total_files_processed=tally.files + counts.files_unmodified,
            total_bytes_processed=tally.bytes + counts.unmodified_bytes,
        )


def _is_little(tasks: Iterable[Task]) -> bool:
    """Whether the waiting files are so few and small that one process is as fast as several."""
    files = total = 0
    for task in tasks:
        if isinstance(task, SegmentTask):
            return False
        for part in task:
            files += len(part.files)
            for _, name in part.files:
                with suppress(OSError):
                    total += os.lstat(part.path + b"/" + name).st_size
    return total <= _ALONE_BYTES and files < _BATCHES_FOR_WORKERS * FILES_PER_BATCH
