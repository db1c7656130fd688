"""The verb ``archive export``: a snapshot becomes an archive.

The snapshot is restored to a private directory beside the archive first, and that is archived; owners, which only
root can give to files, are taken from the snapshot.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from pivori.archives.manifest import FOLDER, MANIFEST_NAME, NotCaptured, Omission, as_text
from pivori.archives.workspace import workspace
from pivori.engine.archive.create import ArchivePlan
from pivori.engine.archive.listing import Listing, list_tree
from pivori.engine.archive.restore import remove_tree
from pivori.engine.document_reading import read_document
from pivori.engine.documents import has_documents
from pivori.engine.listing import walk
from pivori.engine.restore import Restore, RestoreRequest
from pivori.engine.restore.items import find_subtree, metadata_of
from pivori.engine.smart import read_omissions
from pivori.engine.smart.rebuild import documents_of, rebuild_steps
from pivori.entries import Entry
from pivori.errors import PivoriError
from pivori.events import Event, FileNotRestored
from pivori.repository import LoadedSnapshot, Node, Repository
from pivori.translation import N_


class NotADirectoryToExport(PivoriError):
    """What is to be exported is a single file."""

    code = "not-a-directory-in-snapshot"
    message = N_("{path} is no directory of the snapshot, so it cannot become an archive.")
    hint = N_("Name a directory, or write the file with `pivori dump`.")


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export. ``root`` is the path in the snapshot that becomes the archive's root."""

    loaded: LoadedSnapshot
    root: bytes
    strategy: str
    workers: int = 1


def common_root(paths: Sequence[str]) -> bytes:
    """The directory that everything lies in which a snapshot was made of."""
    raw = [os.fsencode(path) for path in paths] or [b"/"]
    return os.path.commonpath(raw)


@contextmanager
def exported(
    repository: Repository, request: ExportRequest, directory: Path, emit: Callable[[Event], None]
) -> Iterator[ArchivePlan]:
    """The plan of the archive, whose files are there while this lasts. Raises PathNotInSnapshot, OSError,
    NotADirectoryToExport.
    """
    snapshot = request.loaded.snapshot
    tree, node = find_subtree(repository, snapshot.tree, request.root)
    if node is not None and node.type != "dir":
        raise NotADirectoryToExport(path=request.root)
    lost: list[NotCaptured] = []
    omitted, documents = _left_out(repository, request)
    is_top = node is None and has_documents(repository, tree)

    def hear(event: Event) -> None:
        if isinstance(event, FileNotRestored):
            text, raw = as_text(event.path)
            lost.append(NotCaptured(path=text, path_raw=raw, reason=str(event.reason)))
        emit(event)

    with workspace(directory) as room:
        place = room / "tree"
        place.mkdir(mode=0o700)
        try:
            restore = RestoreRequest(tree=tree, target=place, sparse=True, workers=request.workers)
            Restore(repository, restore, emit=hear).run()
            listing = list_tree(os.fsencode(place), leaves_out=lambda path: is_top and path == FOLDER)
            nodes = {item.path[1:]: item.node for item in walk(repository, tree, on_damage=lambda _path, _error: None)}
            if node is not None:
                nodes[b""] = node
            entries = [_as_recorded(entry, nodes.get(entry.path)) for entry in listing.entries]
            found = Listing(entries=entries, names=listing.names, not_captured=[*listing.not_captured, *lost])
            yield ArchivePlan(
                root=Path(os.fsdecode(request.root or b"/")),
                strategy=request.strategy,
                listing=found,
                entries=entries,
                omitted=omitted,
                documents=documents,
                source=place,
                recorded={entry.path: entry for entry in entries},
            )
        finally:
            # Not left to the workspace: directories that nobody may write to are in the way there.
            remove_tree(place)


def _left_out(repository: Repository, request: ExportRequest) -> tuple[list[Omission], dict[bytes, bytes]]:
    """What a smart snapshot left out below the root, as seen from there, and the documents that rebuilding takes."""
    tree, name = request.loaded.snapshot.tree, request.loaded.id[:8]
    if not has_documents(repository, tree):
        return [], {}
    below = request.root.strip(b"/")
    prefix = below + b"/" if below else b""
    found = []
    for omission in read_omissions(read_document(repository, tree, MANIFEST_NAME, snapshot=name), source=name):
        raw = omission.path_raw or omission.path.encode()
        if raw.startswith(prefix):
            path, path_raw = as_text(raw.removeprefix(prefix))
            directory = path.rpartition("/")[0] if omission.rebuild else ""
            found.append(structs.replace(omission, path=path, path_raw=path_raw, directory=directory))
    needed = documents_of(rebuild_steps(found))
    return found, {path: read_document(repository, tree, path, snapshot=name) for path in sorted(needed)}


def _as_recorded(entry: Entry, node: Node | None) -> Entry:
    """An entry with what the snapshot says of it, whoever this process may give files to."""
    if node is None:
        return entry
    metadata = metadata_of(node)
    return structs.replace(
        entry,
        mode=metadata.mode,
        mtime_ns=metadata.mtime_ns,
        uid=metadata.uid,
        gid=metadata.gid,
        user=metadata.user,
        group=metadata.group,
        attributes=metadata.attributes,
        inode=node.inode,
        device_id=node.device_id,
        ctime_ns=0,
    )
