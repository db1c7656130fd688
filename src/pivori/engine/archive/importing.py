"""The verb ``archive import``: archives become snapshots, dated as they are; what they have in common is stored once.

A differential archive becomes a snapshot of the whole tree, its base's files included. A file whose digest was stored
earlier in the same run is not even read again.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import structs

from pivori.archives.container import Piece
from pivori.archives.manifest import FOLDER, MANIFEST_NAME, Omission, as_text, encode
from pivori.engine.archive.content import CONTENT_DIFFERS, NOT_READ, SIZE_DIFFERS
from pivori.engine.archive.documents import read_documents
from pivori.engine.archive.filling import Failure, damaged
from pivori.engine.archive.tree import ArchiveTree, Item
from pivori.engine.backup.documents import DocumentWriter
from pivori.engine.backup.reading import BlobGroup
from pivori.engine.relative import STRATEGY_TAG
from pivori.entries import Entry, EntryKind
from pivori.events import Event, Progress
from pivori.host import ProcessIdentity
from pivori.repository import (
    SMALLEST_CHUNK,
    BlobCheck,
    Compression,
    ExtendedAttribute,
    Intake,
    LoadedSnapshot,
    Repository,
    Snapshot,
    Summary,
    WriterSettings,
    assemble_tree,
    encode_node,
    format_time,
    node_from_stat,
    path_text,
)

TAG: Final = "archive:"
"""A snapshot that was an archive has this tag with the archive's file name behind it."""

_TYPES: Final = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.DIRECTORY: stat.S_IFDIR,
    EntryKind.SYMLINK: stat.S_IFLNK,
    EntryKind.FIFO: stat.S_IFIFO,
}
_PARENT_MODE: Final = 0o755
_LARGEST_ID: Final = 0xFFFFFFFE


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """How to import. ``path`` is where the tree is in the snapshot when the archive does not say where it was."""

    identity: ProcessIdentity
    program: str
    path: bytes | None = None
    host: str | None = None
    tags: Sequence[str] = ()
    compression: Compression = Compression.AUTO


@dataclass(kw_only=True)
class ImportOutcome:
    """What came of one archive. ``snapshot_id`` of an archive that was imported before is that of then."""

    path: Path
    snapshot_id: str
    is_new: bool
    files: int = 0
    bytes: int = 0
    data_added: int = 0


@dataclass
class Importer:
    """Imports archives into one repository, whose index is loaded and on which a lock is held."""

    repository: Repository
    request: ImportRequest
    emit: Callable[[Event], None]
    before_write: Callable[[], None] = lambda: None
    _known: dict[tuple[int, str], list[str]] = field(default_factory=dict)

    def add(self, tree: ArchiveTree, snapshots: Sequence[LoadedSnapshot], now_ns: Callable[[], int]) -> ImportOutcome:
        """Import an open archive; one that is there already, by its name and its moment, is left alone.

        Raises ArchiveDamaged before a snapshot is made, and storage errors.
        """
        archive = tree.archive
        time = format_time(int(archive.made().timestamp()) * 1_000_000_000 + archive.made().microsecond * 1000)
        tag = TAG + archive.path.name
        for loaded in snapshots:
            if tag in loaded.snapshot.tags and loaded.snapshot.time == time:
                return ImportOutcome(path=archive.path, snapshot_id=loaded.id, is_new=False)
        return _Import(self, tree, tag, time, now_ns).run()


class _Import:
    """One archive being imported."""

    def __init__(self, importer: Importer, tree: ArchiveTree, tag: str, time: str, now_ns: Callable[[], int]) -> None:
        self._importer = importer
        self._request = importer.request
        self._tree = tree
        self._tag = tag
        self._time = time
        self._now_ns = now_ns
        settings = WriterSettings(
            master=importer.repository.master,
            version=importer.repository.version,
            compression=self._request.compression,
            check=BlobCheck.SAMPLE,
        )
        self._intake = Intake(importer.repository, settings, before_write=importer.before_write)
        self._group = BlobGroup.into(self._intake)
        self._content: dict[bytes, list[str]] = {}
        self._sizes: dict[bytes, int] = {}
        self._files = self._bytes = 0

    def run(self) -> ImportOutcome:
        """Store the content, then the trees, then the snapshot."""
        started = self._now_ns()
        for number in range(len(self._tree.archives)):
            self._store(number)
        self._group.offer()
        self._group.settle()
        root = self._root()
        top = self._trees(root)
        self._importer.before_write()
        self._intake.flush()
        self._importer.before_write()
        snapshot = self._snapshot(root, top, started)
        return ImportOutcome(
            path=self._tree.archive.path,
            snapshot_id=self._importer.repository.save_snapshot(snapshot),
            is_new=True,
            files=self._files,
            bytes=self._bytes,
            data_added=self._intake.new_bytes,
        )

    # Content

    def _store(self, source: int) -> None:
        """Store the files that one of the archives holds."""
        wanted: dict[int, Item] = {}
        for item in self._tree.items:
            entry = item.entry
            if item.source != source or entry.kind is not EntryKind.FILE or entry.hard_link is not None:
                continue
            known = self._importer._known.get((entry.size, entry.sha256)) if entry.sha256 else None
            if known is not None:
                self._take(entry, known, entry.size)
            elif item.member is None:
                raise damaged(str(self._tree.archives[source].path), Failure(entry.path, NOT_READ))
            else:
                wanted[item.member.number] = item
        if not wanted:
            return
        archive = self._tree.archives[source]
        for job in archive.container.jobs(wanted.keys()):
            for first, pieces in _members(job.pieces()):
                found = wanted.pop(first.number, None)
                if found is not None:
                    self._read(found.entry, first, pieces, str(archive.path))
        for item in wanted.values():
            raise damaged(str(archive.path), Failure(item.entry.path, NOT_READ))

    def _read(self, entry: Entry, first: Piece, rest: Iterator[Piece], archive: str) -> None:
        """Store one file."""
        if first.is_last and len(first.content) <= SMALLEST_CHUNK:
            size, digest = len(first.content), sha256(first.content).hexdigest()
            content = [self._group.add(bytes(first.content)).hex()] if first.content else []
        else:
            stream = _Stream(first, rest)
            content = [self._group.add(chunk).hex() for chunk in self._intake.writer.cut(stream.read_into)]
            size, digest = stream.size, stream.digest.hexdigest()
        if size != entry.size:
            raise damaged(archive, Failure(entry.path, SIZE_DIFFERS))
        if entry.sha256 and entry.sha256 != digest:
            raise damaged(archive, Failure(entry.path, CONTENT_DIFFERS))
        self._importer._known[size, digest] = content
        self._take(entry, content, size)

    def _take(self, entry: Entry, content: list[str], size: int) -> None:
        self._content[entry.path] = content
        self._sizes[entry.path] = size
        self._files += 1
        self._bytes += size
        self._importer.emit(Progress(files_done=self._files, bytes_done=self._bytes, current=entry.path))

    # Trees

    def _root(self) -> bytes:
        """Where the tree is in the snapshot."""
        if self._request.path is not None:
            return self._request.path
        if self._tree.root is not None:
            return os.fsencode(self._tree.root)
        archive = self._tree.archive
        name = archive.name.prefix if archive.name is not None else archive.path.name.partition(".")[0]
        return b"/" + os.fsencode(name)

    def _trees(self, root: bytes) -> str:
        """Store the trees from the leaves up; returns the id of the one at the top."""
        links: dict[bytes, int] = {}
        directories: dict[bytes, Entry | None] = {b"": None}
        for item in self._tree.items:
            entry = item.entry
            if entry.hard_link is not None:
                links[entry.hard_link] = links.get(entry.hard_link, 1) + 1
            if entry.kind is EntryKind.DIRECTORY:
                directories[entry.path] = entry
            path = entry.path
            while path := path.rpartition(b"/")[0]:
                directories.setdefault(path, None)
        nodes: dict[bytes, list[tuple[bytes, bytes]]] = {path: [] for path in directories}
        for item in self._tree.items:
            entry = item.entry
            if entry.kind is not EntryKind.DIRECTORY:
                above, _, name = entry.path.rpartition(b"/")
                nodes[above].append((name, self._node(entry, name, links)))
        if not root.strip(b"/"):
            nodes[b""] += self._documents(root)
        for path in sorted(directories, reverse=True):
            tree = self._add_tree(nodes.pop(path))
            if not path:
                return self._above(root, tree, directories[b""])
            above, _, name = path.rpartition(b"/")
            nodes[above].append((name, self._directory_node(directories[path], name, tree)))
        raise AssertionError("the root is always there")

    def _above(self, root: bytes, tree: str, entry: Entry | None) -> str:
        """Store the trees from the tree's own directory up to the top."""
        names = [name for name in root.split(b"/") if name]
        for number, name in enumerate(reversed(names)):
            nodes = [(name, self._directory_node(entry if number == 0 else None, name, tree))]
            if number + 1 == len(names):
                nodes += self._documents(root)
            tree = self._add_tree(nodes)
        return tree

    def _documents(self, root: bytes) -> list[tuple[bytes, bytes]]:
        """What a smart archive says of what it left out, as a smart snapshot says it: at the top of the tree."""
        omitted = [each for each in self._tree.omitted if each.rebuild]
        manifest = self._tree.archive.manifest
        if not omitted or manifest is None or any(item.entry.path == FOLDER for item in self._tree.items):
            return []
        moved = replace(manifest, id="", created="", root="/", entries=(), not_captured=(), names=None, base=None)
        moved = replace(moved, deleted=(), omitted=[relocated(each, root.strip(b"/")) for each in omitted])
        members = self._tree.archive.members
        documents = read_documents(self._tree.archive, [name for name in members if name != MANIFEST_NAME])
        made_ns = int(self._tree.archive.made().timestamp() * 1e9)
        writer = DocumentWriter(self._intake, self._request.identity, made_ns, lambda _tree: {})
        name, node = writer.store({MANIFEST_NAME: encode(moved), **documents}, None)
        return [(name, node)]

    def _add_tree(self, nodes: list[tuple[bytes, bytes]]) -> str:
        return self._intake.add_tree(assemble_tree([node for _, node in sorted(nodes)]))[0].hex()

    def _node(self, entry: Entry, name: bytes, links: Mapping[bytes, int]) -> bytes:
        first = entry.hard_link or entry.path
        is_file = entry.kind is EntryKind.FILE
        return encode_node(
            node_from_stat(
                name,
                self._status(entry, links.get(first, 1), first),
                user=entry.user,
                group=entry.group,
                content=self._content[first] if is_file else None,
                size=self._sizes[first] if is_file else None,
                linktarget=entry.target if entry.kind is EntryKind.SYMLINK else None,
                extended_attributes=_attributes(entry),
            )
        )

    def _directory_node(self, entry: Entry | None, name: bytes, tree: str) -> bytes:
        if entry is None:
            made = int(self._tree.archive.made().timestamp() * 1e9)
            entry = Entry(path=name, kind=EntryKind.DIRECTORY, mode=_PARENT_MODE, mtime_ns=made, uid=-1, gid=-1)
        return encode_node(
            node_from_stat(
                name,
                self._status(entry, 1, b""),
                user=entry.user,
                group=entry.group,
                subtree=tree,
                extended_attributes=_attributes(entry),
            )
        )

    def _status(self, entry: Entry, links: int, first: bytes) -> os.stat_result:
        """What the system said of an entry when the archive was made, as far as the archive knows."""
        inode, device = entry.inode, entry.device_id
        if links > 1 and not inode:
            # All that matters is that the names of one file have the same number, and others have not.
            inode = int.from_bytes(sha256(first).digest()[:7], "big")
        identity = self._request.identity
        uid = identity.uid if not 0 <= entry.uid <= _LARGEST_ID else entry.uid
        gid = identity.gid if not 0 <= entry.gid <= _LARGEST_ID else entry.gid
        changed = entry.ctime_ns or entry.mtime_ns
        whole = [time // 1_000_000_000 for time in (entry.mtime_ns, entry.mtime_ns, changed)]
        exact = [entry.mtime_ns, entry.mtime_ns, changed]
        mode = _TYPES[entry.kind] | entry.mode
        fixed = (mode, inode, device, links, uid, gid, entry.size)
        return os.stat_result((*fixed, *whole, *(time / 1e9 for time in exact), *exact))

    def _snapshot(self, root: bytes, tree: str, started: int) -> Snapshot:
        archive, request, intake = self._tree.archive, self._request, self._intake
        host = request.host or (archive.manifest.host if archive.manifest is not None else request.identity.hostname)
        strategy = [STRATEGY_TAG + archive.strategy] if archive.strategy else []
        return Snapshot(
            time=self._time,
            tree=tree,
            paths=[path_text(root)],
            hostname=host,
            username=request.identity.username,
            uid=request.identity.uid,
            gid=request.identity.gid,
            tags=sorted({*strategy, self._tag, *request.tags}),
            program_version=request.program,
            summary=Summary(
                backup_start=format_time(started),
                backup_end=format_time(self._now_ns()),
                files_new=self._files,
                data_blobs=intake.new_data_blobs,
                tree_blobs=intake.new_tree_blobs,
                data_added=intake.new_bytes,
                data_added_packed=intake.stored_bytes,
                total_files_processed=self._files,
                total_bytes_processed=self._bytes,
            ),
        )


def relocated(omission: Omission, above: bytes) -> Omission:
    """An omission as it is seen from further up: ``above`` is the way down to where it was seen from."""
    raw = omission.path_raw or omission.path.encode()
    path, path_raw = as_text(above + b"/" + raw if above else raw)
    directory = path.rpartition("/")[0] if omission.rebuild else ""
    return structs.replace(omission, path=path, path_raw=path_raw, directory=directory)


class _Stream:
    """The pieces of one member as a stream to be read into buffers."""

    def __init__(self, first: Piece, rest: Iterator[Piece]) -> None:
        self._rest = rest
        self._current = memoryview(first.content)
        self._ended = first.is_last
        self.size = 0
        self.digest = sha256()

    def read_into(self, view: memoryview) -> int:
        """Fill in what there is; 0 at the end. Raises ArchiveDamaged."""
        while not self._current:
            if self._ended:
                return 0
            piece = next(self._rest)
            self._current, self._ended = memoryview(piece.content), piece.is_last
        part = self._current[: len(view)]
        view[: len(part)] = part
        self._current = self._current[len(part) :]
        self.size += len(part)
        self.digest.update(part)
        return len(part)


def _members(pieces: Iterator[Piece]) -> Iterator[tuple[Piece, Iterator[Piece]]]:
    """The first piece of each member, and the iterator that the rest of it comes from."""
    last_number = -1
    for piece in pieces:
        if piece.number != last_number:
            last_number = piece.number
            yield piece, pieces


def _attributes(entry: Entry) -> list[ExtendedAttribute]:
    return [ExtendedAttribute(os.fsdecode(name), value) for name, value in entry.attributes]
