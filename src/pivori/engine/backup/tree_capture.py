"""Taking file trees into a repository: the sources' merged tree, from what the walk finds to the root's tree blob.

One :class:`TreeCapture` is one walk. What it stores goes through an intake that others may use before and after it;
making a snapshot of the tree is the caller's business.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pivori.clock import Clock
from pivori.engine.backup.assembly import Assembly
from pivori.engine.backup.crew import Alone, Crew, Task, Workers, serve
from pivori.engine.backup.documents import Addition, PreviousNodes
from pivori.engine.backup.estimate import Estimate
from pivori.engine.backup.previous import PreviousTrees
from pivori.engine.backup.reading import (
    SEGMENT,
    BatchResult,
    LargeFile,
    SegmentResult,
    SegmentTask,
    file_node,
)
from pivori.engine.backup.signatures import Signatures
from pivori.engine.backup.sources import merge_sources
from pivori.engine.backup.walk import FILES_PER_BATCH, Walk
from pivori.engine.exclusion import EntryFilter
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event, FileChanged, FileNotRead, FileVanished, Progress
from pivori.host.workers import WorkerPool
from pivori.repository import Intake, Node, Repository, blob_id, decode_tree
from pivori.storage import Storage
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


@dataclass(frozen=True, kw_only=True)
class Base:
    """The same sources as a snapshot has them: its id, the tree of their root ``/``, and when it was begun."""

    snapshot: str
    tree: str
    since_ns: int


@dataclass(frozen=True, kw_only=True)
class TreeRequest:
    """What to take, and how. ``sources`` are absolute paths without symbolic links.

    ``signatures`` is the cache file for what directories look like; None keeps nothing.
    """

    sources: Sequence[bytes]
    base: Base | None = None
    exclusion: EntryFilter | None = None
    one_file_system: bool = False
    with_atime: bool = False
    force: bool = False
    workers: int = 1
    estimate: Estimate = field(default_factory=Estimate)
    signatures: Path | None = None


@dataclass
class Tally:
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


class TreeCapture:
    """One walk with its reading. Make it, then :meth:`run` it once; ``storage`` is where the intake stores.

    ``adds`` gives an entry for the root besides what is found, from what the base has; it is asked at once.
    """

    def __init__(
        self,
        repository: Repository,
        intake: Intake,
        request: TreeRequest,
        *,
        storage: Storage,
        clock: Clock,
        emit: Callable[[Event], None],
        adds: Callable[[PreviousNodes], Addition | None] = lambda _previous: None,
    ) -> None:
        self._repository = repository
        self._intake = intake
        self._request = request
        self._storage = storage
        self._emit = emit
        self._walking = True
        self._segments: dict[tuple[int, int], _Segments] = {}
        self._read_again: set[tuple[int, int]] = set()
        self._tasks: deque[Task] = deque()
        self._last_tree = b""
        self._signatures = Signatures(request.signatures)
        previous = self._previous_trees()
        self.tally = Tally()
        self.assembly = Assembly(
            self._add_tree,
            previous_nodes=previous.nodes,
            remember=self._signatures.note,
            with_atime=request.with_atime,
            addition=adds(previous.nodes),
        )
        self._walk = Walk(
            merge_sources(request.sources),
            self.assembly,
            previous,
            self._signatures,
            file_time_ns=clock.file_time_ns,
            exclusion=request.exclusion,
            one_file_system=request.one_file_system,
            with_atime=request.with_atime,
            failed=self._failed,
        )
        self.counts = self._walk.counts

    def run(self) -> str:
        """Take everything: the id of the root's tree. Raises DocumentsClash, NothingToBackUp,
        storage errors, WorkerDied.
        """
        request = self._request
        readable = self._check_sources()
        with ExitStack() as stack:
            crew: Crew | None = None
            for batch in self._walk.batches(request.base.tree if request.base and not request.force else None):
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
        if not readable:
            raise NothingToBackUp
        assert self.assembly.root is not None  # noqa: S101 - every slot of every directory is filled by now
        return self.assembly.root

    def root_nodes(self) -> list[Node]:
        """What the root ``/`` holds, once :meth:`run` is done, whether or not it is stored yet."""
        root = self.assembly.root
        assert root is not None  # noqa: S101 - see above
        if blob_id(self._last_tree).hex() == root:
            return decode_tree(self._last_tree)
        return list(self._repository.read_tree(root))

    def remember(self, snapshot_id: str) -> None:
        """Keep what the directories looked like, for a capture whose base is this snapshot, which has the tree."""
        self._signatures.save(snapshot_id, self._repository.index.sources)

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
        assembly, tally = self.assembly, self.tally
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
        self.tally.bytes += result.size
        self._report(segments.file.path)
        if segments.waiting == 0:
            key = result.directory, result.slot
            del self._segments[key]
            if any(part.gone for part in segments.parts.values()) and key not in self._read_again:
                self._read_again.add(key)
                self._tasks.append([segments.file.again()])
                return
            node = self._large_file(segments)
            self.assembly.place(self.assembly.directory(result.directory), result.slot, node)

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
        self.tally.files += 1
        content = [blob for part in parts for blob in part.content]
        name = os.path.basename(file.path)
        return file_node(name, file.status, content, size, file.attributes, with_atime=self._request.with_atime)

    # What it has to say

    def _failed(self, path: bytes, reason: str) -> None:
        self.tally.failures += 1
        self._emit(FileNotRead(path=path, reason=reason))

    def _report(self, current: bytes) -> None:
        counts, tally = self.counts, self.tally
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
        base, force = self._request.base, self._request.force
        if base is not None and not force:
            self._signatures.load(base.snapshot, self._repository.index.sources)
        previous = PreviousTrees(
            self._repository,
            base.since_ns if base is not None else 0,
            lambda error: self._emit(DamageFound(error=error)),
            reuse=not force,
        )
        previous.is_complete = self._signatures.is_trusted
        return previous

    def _add_tree(self, content: bytes) -> tuple[str, bool]:
        self._last_tree = content
        blob, new = self._intake.add_tree(content)
        return blob.hex(), new


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
