"""The verb ``backup``: sources in, a snapshot out."""

from collections.abc import Callable

from pivori.clock import Clock
from pivori.engine.backup.documents import Addition, DocumentWriter, PreviousNodes
from pivori.engine.backup.request import BackupOutcome, BackupRequest, snapshot_of
from pivori.engine.backup.signatures import Signatures
from pivori.engine.backup.sources import merge_sources
from pivori.engine.backup.tree_capture import Base, TreeCapture, TreeRequest
from pivori.engine.backup.unchanged import same_sources
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.repository import (
    Intake,
    LoadedSnapshot,
    Repository,
    Summary,
    WriterSettings,
    format_time,
    parse_time,
    path_text,
)
from pivori.storage import DiscardingStorage


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
        self._before_write = before_write
        storage = DiscardingStorage(repository.storage) if request.dry_run else repository.storage
        settings = WriterSettings(
            master=repository.master,
            version=repository.version,
            compression=request.compression,
            check=request.check,
        )
        self._intake = Intake(repository, settings, storage=storage, before_write=before_write)
        self._capture = TreeCapture(
            repository,
            self._intake,
            _tree_request(request),
            storage=storage,
            clock=clock,
            emit=emit,
            adds=self._store_documents,
        )

    def run(self) -> BackupOutcome:
        """Back up. Raises NothingToBackUp, DocumentsClash, storage errors, WorkerDied."""
        # The next run reads again what changed since: that is told by the clock of files.
        started = self._clock.file_time_ns()
        tree = self._capture.run()
        self._before_write()
        self._intake.flush()
        return self._conclude(tree, started)

    def _store_documents(self, previous: PreviousNodes) -> Addition | None:
        request = self._request
        if not request.documents:
            return None
        writer = DocumentWriter(self._intake, request.identity, request.time_ns, previous)
        return writer.store(request.documents, request.parent.snapshot.tree if request.parent else None)

    # The end

    def _conclude(self, tree: str, started: int) -> BackupOutcome:
        request, parent = self._request, self._request.parent
        summary = self._summary(started)
        unchanged = request.skip_if_unchanged and self._is_unchanged(tree)
        snapshot_id = None
        if not request.dry_run and not unchanged:
            self._before_write()
            snapshot_id = self._repository.save_snapshot(snapshot_of(request, tree, summary))
            self._capture.remember(snapshot_id)
        return BackupOutcome(
            snapshot_id=snapshot_id,
            tree=tree,
            parent=parent.id if parent else None,
            summary=summary,
            failures=self._capture.tally.failures,
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
        capture, intake = self._capture, self._intake
        counts, tally, assembly = capture.counts, capture.tally, capture.assembly
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


def _tree_request(request: BackupRequest) -> TreeRequest:
    """What of a request concerns the walk."""
    keep = None if request.with_atime else request.cache_directory
    return TreeRequest(
        sources=request.sources,
        base=base_of(request.parent) if request.parent is not None else None,
        exclusion=request.exclusion,
        one_file_system=request.one_file_system,
        with_atime=request.with_atime,
        force=request.force,
        workers=request.workers,
        estimate=request.estimate,
        signatures=Signatures.file_for(keep, request.host, request.sources),
    )


def base_of(parent: LoadedSnapshot) -> Base:
    """A snapshot as the base of the next one of the same sources."""
    summary = parent.snapshot.summary
    since_ns = parse_time(summary.backup_start) if summary else parent.time_ns
    return Base(snapshot=parent.id, tree=parent.snapshot.tree, since_ns=since_ns)
