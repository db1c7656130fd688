"""A snapshot of what a program prints: one file, whose content is the program's output.

The snapshot is written only when the program ended well and the stream was read to its end.
"""

from collections.abc import Callable

from pivori.clock import Clock
from pivori.engine.backup.content import store_content
from pivori.engine.backup.made_nodes import FILE_MODE, FOLDER_MODE, made_node
from pivori.engine.backup.request import BackupOutcome, BackupRequest, snapshot_of
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event, Progress, Unit
from pivori.host import StreamingProcess
from pivori.repository import (
    Intake,
    LoadedSnapshot,
    Repository,
    Summary,
    WriterSettings,
    assemble_tree,
    encode_node,
    format_time,
    raw_name,
)
from pivori.storage import DiscardingStorage
from pivori.translation import N_


class CommandFailed(PivoriError):
    """The program whose output was to be backed up did not end well."""

    code = "command-failed"
    message = N_("The command ended with status {status}, so no snapshot of its output was made.")
    hint = N_("Run the command by hand to see what is wrong.")


class EmptyStream(PivoriError):
    """The program printed nothing at all: an empty dump is no backup."""

    code = "empty-stream"
    message = N_("The command ended well but printed nothing, so no snapshot was made.")
    hint = N_("Run the command by hand and look at its output.")


def backup_stream(
    repository: Repository,
    request: BackupRequest,
    process: StreamingProcess,
    *,
    clock: Clock,
    emit: Callable[[Event], None],
    before_write: Callable[[], None] = lambda: None,
) -> BackupOutcome:
    """Store what ``process`` prints under the one path of ``request.sources``. Raises CommandFailed, EmptyStream.

    It is unchanged when its content is that of the same path in the parent snapshot: it has no times to go by.
    """
    started = clock.now_ns()
    storage = DiscardingStorage(repository.storage) if request.dry_run else repository.storage
    settings = WriterSettings(
        master=repository.master,
        version=repository.version,
        compression=request.compression,
        check=request.check,
    )
    intake = Intake(repository, settings, storage=storage, before_write=before_write)
    content, size = _store(intake, process, emit)
    status = process.finish()
    if status:
        raise CommandFailed(status=status)
    if not size:
        raise EmptyStream
    parent = request.parent
    previous = _previous_content(repository, parent, request.sources[0], emit) if parent is not None else None
    is_skipped = request.skip_if_unchanged and previous == content
    if parent is not None and is_skipped:
        tree = parent.snapshot.tree
    else:
        tree = _trees(request.sources[0], request, content, size, intake)
    before_write()
    intake.flush()
    summary = Summary(
        backup_start=format_time(started),
        backup_end=format_time(clock.now_ns()),
        files_new=int(previous is None),
        files_changed=int(previous not in (None, content)),
        files_unmodified=int(previous == content),
        data_blobs=intake.new_data_blobs,
        tree_blobs=intake.new_tree_blobs,
        data_added=intake.new_bytes,
        data_added_packed=intake.stored_bytes,
        total_files_processed=1,
        total_bytes_processed=size,
    )
    snapshot_id = None
    if not request.dry_run and not is_skipped:
        before_write()
        snapshot_id = repository.save_snapshot(snapshot_of(request, tree, summary))
    return BackupOutcome(
        snapshot_id=snapshot_id,
        tree=tree,
        parent=parent.id if parent is not None else None,
        summary=summary,
        failures=0,
        skipped=is_skipped,
    )


def _previous_content(
    repository: Repository, parent: LoadedSnapshot, path: bytes, emit: Callable[[Event], None]
) -> list[str] | None:
    """The blobs of the file at ``path`` in the parent snapshot; None when it has no such file."""
    tree: str | None = parent.snapshot.tree
    content = None
    try:
        for name in path.strip(b"/").split(b"/"):
            node = next((item for item in repository.read_tree(tree or "") if raw_name(item) == name), None)
            if node is None:
                return None
            tree, content = node.subtree, node.content
    except PivoriError as error:
        emit(DamageFound(error=error))
        return None
    return list(content) if content is not None else None


def _store(intake: Intake, process: StreamingProcess, emit: Callable[[Event], None]) -> tuple[list[str], int]:
    def progress(size: int) -> None:
        emit(Progress(bytes_done=size, unit=Unit.NOTHING))

    content = store_content(intake, lambda view: process.stdout.readinto(view) or 0, progress=progress)
    return content.blobs, content.size


def _trees(path: bytes, request: BackupRequest, content: list[str], size: int, intake: Intake) -> str:
    """Store the trees from the file up to the root; returns the root's id."""
    *above, name = [part for part in path.split(b"/") if part]
    identity, time_ns = request.identity, request.time_ns
    node = encode_node(made_node(identity, time_ns, name, FILE_MODE, content=content, size=size))
    tree = intake.add_tree(assemble_tree([node]))[0].hex()
    for directory in reversed(above):
        node = encode_node(made_node(identity, time_ns, directory, FOLDER_MODE, subtree=tree))
        tree = intake.add_tree(assemble_tree([node]))[0].hex()
    return tree
