"""Writing a recovery point: one snapshot with a folder for each component, and documents beside them.

    writer = PointWriter(repository, request, ...)
    component = writer.component("database", base)
    component.add_stream("shop.dump", read)
    component.finish()
    writer.finish({b"RECOVERY.md": ...}, tags=[...], paths=[...])

Everything goes through one intake, so that a blob that two components have is stored once. The snapshot is written
last: whatever fails before, there is no recovery point, and what was stored is found again by the next one.
"""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pivori.clock import Clock
from pivori.engine.backup.content import DigestedContent, store_content, store_digested
from pivori.engine.backup.made_nodes import FILE_MODE, FOLDER_MODE, made_node
from pivori.engine.backup.signatures import Signatures
from pivori.engine.backup.tree_capture import Base, Tally, TreeCapture, TreeRequest
from pivori.engine.recovery_point.folder import FolderBuilder
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event, Progress, Unit
from pivori.host import ProcessIdentity
from pivori.repository import (
    BlobCheck,
    BlobId,
    BlobKind,
    Compression,
    Intake,
    LoadedSnapshot,
    Node,
    Repository,
    Snapshot,
    Summary,
    WriterSettings,
    format_time,
    raw_name,
)


@dataclass(frozen=True, kw_only=True)
class PointRequest:
    """How a recovery point is to be written. ``cache_directory`` is that of this repository."""

    identity: ProcessIdentity
    host: str
    time_ns: int
    program_version: str
    workers: int = 1
    compression: Compression = Compression.AUTO
    check: BlobCheck = BlobCheck.SAMPLE
    cache_directory: Path | None = None
    parent: LoadedSnapshot | None = None


class WrittenPoint(NamedTuple):
    """A recovery point that is durable: its snapshot, and what came of it in numbers."""

    snapshot_id: str
    summary: Summary


@dataclass
class _Sums:
    """What all components come to."""

    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    files: int = 0
    bytes: int = 0


class PointWriter:
    """One recovery point. The repository's index is loaded and a lock is held; ``before_write`` makes sure of it."""

    def __init__(
        self,
        repository: Repository,
        request: PointRequest,
        *,
        clock: Clock,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self.repository = repository
        self.request = request
        self.clock = clock
        self._before_write = before_write
        self._started = clock.file_time_ns()
        settings = WriterSettings(
            master=repository.master,
            version=repository.version,
            compression=request.compression,
            check=request.check,
        )
        self.intake = Intake(repository, settings, before_write=before_write)
        self._root = FolderBuilder("")
        self._captures: list[TreeCapture] = []
        self._sums = _Sums()

    def component(self, name: str, base: Base | None, emit: Callable[[Event], None]) -> "ComponentWriter":
        """Begin a component; ``base`` is its folder in an earlier recovery point, ``emit`` hears of its files."""
        return ComponentWriter(self, name, base, emit)

    def add(self, name: str, folder: FolderBuilder, captures: Sequence[TreeCapture], files: int, size: int) -> None:
        """Take a component that is complete. Raises PathTaken."""
        request = self.request
        tree = folder.store(self.intake, request.identity, request.time_ns)
        node = made_node(request.identity, request.time_ns, os.fsencode(name), FOLDER_MODE, subtree=tree)
        self._root.place(os.fsencode(name), node)
        self._captures += captures
        sums = self._sums
        sums.files += files
        sums.bytes += size
        for capture in captures:
            counts, assembly = capture.counts, capture.assembly
            sums.files_new += counts.files_new
            sums.files_changed += counts.files_changed
            sums.files_unmodified += counts.files_unmodified
            sums.dirs_new += assembly.directories_new
            sums.dirs_changed += assembly.directories_changed
            sums.dirs_unmodified += assembly.directories_unmodified

    def finish(self, documents: Mapping[bytes, bytes], *, tags: Sequence[str], paths: Sequence[str]) -> WrittenPoint:
        """Add documents at their paths from the root and write the snapshot, durably."""
        request = self.request
        for path, content in documents.items():
            stored = store_content(self.intake, io.BytesIO(content).readinto)
            name = path.rpartition(b"/")[2]
            node = made_node(request.identity, request.time_ns, name, FILE_MODE, content=stored.blobs, size=stored.size)
            self._root.place(path, node)
        tree = self._root.store(self.intake, request.identity, request.time_ns)
        self._before_write()
        self.intake.flush()
        self._before_write()
        summary = self._summary()
        snapshot_id = self.repository.save_snapshot(self._snapshot(tree, summary, tags, paths))
        for capture in self._captures:
            capture.remember(snapshot_id)
        return WrittenPoint(snapshot_id, summary)

    def _summary(self) -> Summary:
        sums, intake = self._sums, self.intake
        return Summary(
            backup_start=format_time(self._started),
            backup_end=format_time(self.clock.now_ns()),
            files_new=sums.files_new,
            files_changed=sums.files_changed,
            files_unmodified=sums.files_unmodified,
            dirs_new=sums.dirs_new,
            dirs_changed=sums.dirs_changed,
            dirs_unmodified=sums.dirs_unmodified,
            data_blobs=intake.new_data_blobs,
            tree_blobs=intake.new_tree_blobs,
            data_added=intake.new_bytes,
            data_added_packed=intake.stored_bytes,
            total_files_processed=sums.files,
            total_bytes_processed=sums.bytes,
        )

    def _snapshot(self, tree: str, summary: Summary, tags: Sequence[str], paths: Sequence[str]) -> Snapshot:
        request = self.request
        return Snapshot(
            time=format_time(request.time_ns),
            parent=request.parent.id if request.parent else None,
            tree=tree,
            paths=sorted(paths),
            hostname=request.host,
            username=request.identity.username,
            uid=request.identity.uid,
            gid=request.identity.gid,
            tags=sorted(tags),
            program_version=request.program_version,
            summary=summary,
        )


class ComponentWriter:
    """The folder of one component. Paths are bytes relative to it."""

    def __init__(self, point: PointWriter, name: str, base: Base | None, emit: Callable[[Event], None]) -> None:
        self._point = point
        self._emit = emit
        self._name = name
        self._base = base
        self._folder = FolderBuilder(name)
        self._captures: list[TreeCapture] = []
        self._known: dict[bytes, dict[bytes, Node]] = {}
        self.size = 0
        self.files = 0

    def add_stream(self, path: bytes, read: Callable[[memoryview], int]) -> DigestedContent:
        """Store a file, with the content that ``read`` gives. Raises PathTaken, and what ``read`` raises."""
        point, before = self._point, self.size

        def progress(size: int) -> None:
            self._emit(Progress(bytes_done=before + size, unit=Unit.NOTHING, current=path))

        stored = store_digested(point.intake, read, progress=progress)
        request, name = point.request, path.rpartition(b"/")[2]
        node = made_node(request.identity, request.time_ns, name, FILE_MODE, content=stored.blobs, size=stored.size)
        self._place(path, node)
        return stored

    def add_tree(self, request: TreeRequest) -> Tally:
        """Take file trees below their full paths; what the base has is not read again. Raises NothingToBackUp."""
        point = self._point
        keep = point.request.cache_directory
        roots = [os.fsencode(self._name), *request.sources]
        capture = TreeCapture(
            point.repository,
            point.intake,
            replace(
                request,
                base=self._base,
                workers=point.request.workers,
                signatures=Signatures.file_for(keep, point.request.host, roots),
            ),
            storage=point.repository.storage,
            clock=point.clock,
            emit=self._emit,
        )
        capture.run()
        self._folder.place_all(capture.root_nodes())
        self._captures.append(capture)
        tally, counts = capture.tally, capture.counts
        self.files += tally.files + counts.files_unmodified
        self.size += tally.bytes + counts.unmodified_bytes
        return tally

    def keep(self, path: bytes) -> int | None:
        """Take a file over from the base; its length in bytes, None when it is not there or not whole."""
        folder, _, name = path.rpartition(b"/")
        node = self._nodes_of(folder).get(name)
        if node is None or node.type != "file" or not self._is_whole(node):
            return None
        self._place(path, node)
        return node.size

    def names(self, folder: bytes) -> list[bytes]:
        """The paths of the files directly below a folder of the base."""
        inside = self._nodes_of(folder).items()
        return sorted(folder + b"/" + name if folder else name for name, node in inside if node.type == "file")

    def finish(self) -> None:
        """The component is complete: it goes into the recovery point."""
        self._point.add(self._name, self._folder, self._captures, self.files, self.size)

    def _place(self, path: bytes, node: Node) -> None:
        self._folder.place(path, node)
        self.files += 1
        self.size += node.size

    def _is_whole(self, node: Node) -> bool:
        has = self._point.repository.index.has
        return all(has(BlobKind.DATA, BlobId(bytes.fromhex(blob))) for blob in node.content or ())

    def _nodes_of(self, folder: bytes) -> dict[bytes, Node]:
        """The nodes of a folder of the base by name; nothing for what is not there, or cannot be read."""
        if self._base is None:
            return {}
        if folder not in self._known:
            above, _, name = folder.rpartition(b"/")
            tree = self._base.tree if not folder else self._subtree(self._nodes_of(above).get(name))
            self._known[folder] = self._read(tree)
        return self._known[folder]

    def _subtree(self, node: Node | None) -> str | None:
        return node.subtree if node is not None else None

    def _read(self, tree: str | None) -> dict[bytes, Node]:
        if tree is None:
            return {}
        try:
            return {raw_name(node): node for node in self._point.repository.read_tree(tree)}
        except PivoriError as error:
            self._emit(DamageFound(error=error))
            return {}
