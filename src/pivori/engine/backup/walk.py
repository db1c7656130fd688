"""Walking the sources: what is unchanged since the parent snapshot is taken from it, the rest becomes work.

The walk goes depth first in the order of the names, so that few directories are open at a time. It yields batches of
files to read, and ``None`` now and then, so that whoever drives it can attend to the workers.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pivori.engine.backup.assembly import KEPT, Assembly, Directory, Facts
from pivori.engine.backup.documents import DocumentsClash
from pivori.engine.backup.previous import PreviousTrees, Unchanged, node_is_unchanged
from pivori.engine.backup.reading import FileTask, extended
from pivori.engine.backup.signatures import Known, Signatures
from pivori.engine.backup.sources import SourceTree
from pivori.engine.exclusion import EntryFilter, kept
from pivori.host import Entry, find_entries, group_name, read_attributes, read_directory, user_name
from pivori.repository import Node, encode_node, node_from_stat

FILES_PER_BATCH: Final = 128
_DIRECTORIES_PER_PULSE: Final = 64


@dataclass
class WalkCounts:
    """What the walk met that needs no reading."""

    files_unmodified: int = 0
    files_new: int = 0
    files_changed: int = 0
    others: int = 0
    unmodified_bytes: int = 0


class _Pending(NamedTuple):
    """A directory that waits for its turn."""

    path: bytes
    name: bytes
    above: Directory
    slot: int
    status: os.stat_result
    previous: Node | None
    sources: SourceTree


class Walk:
    """One walk over the sources. ``failed`` hears of every path that cannot be read."""

    def __init__(
        self,
        sources: SourceTree,
        assembly: Assembly,
        previous: PreviousTrees,
        signatures: Signatures,
        *,
        file_time_ns: Callable[[], int],
        exclusion: EntryFilter | None,
        one_file_system: bool,
        with_atime: bool,
        failed: Callable[[bytes, str], None],
    ) -> None:
        self.counts = WalkCounts()
        self._sources = sources
        self._assembly = assembly
        self._previous = previous
        self._signatures = signatures
        self._file_time_ns = file_time_ns
        self._changes_from = 0
        self._exclusion = exclusion
        self._one_file_system = one_file_system
        self._with_atime = with_atime
        self._failed = failed
        self._batch: list[FileTask] = []
        self._batch_files = 0

    def batches(self, root_tree: str | None) -> Iterator[list[FileTask] | None]:
        """The work, batch by batch; ``root_tree`` is the parent snapshot's tree. Raises DocumentsClash."""
        pulse = 0
        self._changes_from = self._file_time_ns()
        root = self._assembly.open(b"/", b"", None, 0, os.lstat(b"/"))
        stack = self._open_directory(root, None, root_tree, self._signatures.known(root.path), self._sources)
        while True:
            if self._batch_files >= FILES_PER_BATCH:
                yield self._take()
            pulse += 1
            if pulse % _DIRECTORIES_PER_PULSE == 0:
                self._changes_from = self._file_time_ns()
                yield None
            if not stack:
                break
            waiting = stack.pop()
            directory = self._assembly.open(waiting.path, waiting.name, waiting.above, waiting.slot, waiting.status)
            seen = self._signatures.known(waiting.path)
            previous, tree = self._previous_of(waiting, seen)
            stack += self._open_directory(directory, previous, tree, seen, waiting.sources)
            while self._batch_files > FILES_PER_BATCH:
                yield self._take()
        if self._batch:
            yield self._take()

    def _take(self) -> list[FileTask]:
        """The waiting tasks that make about a hundred files."""
        number = taken = 0
        while number < FILES_PER_BATCH and taken < len(self._batch):
            number += len(self._batch[taken].files)
            taken += 1
        batch, self._batch = self._batch[:taken], self._batch[taken:]
        self._batch_files -= number
        return batch

    def _add_to_batch(self, directory: Directory, files: list[tuple[int, bytes]]) -> None:
        for start in range(0, len(files), FILES_PER_BATCH):
            part = files[start : start + FILES_PER_BATCH]
            self._batch.append(FileTask(directory.number, directory.path, part))
        self._batch_files += len(files)

    def _open_directory(
        self,
        directory: Directory,
        previous_node: Node | None,
        previous_id: str | None,
        seen: Known | None,
        sources: SourceTree,
    ) -> list[_Pending]:
        """List a directory and place what is in it; returns the directories below, the last one first."""
        entries = self._entries(directory, sources)
        directory.previous_node = previous_node
        directory.previous_id = previous_id
        if directory.addition is not None and any(entry.name == directory.addition.name for entry in entries):
            raise DocumentsClash(path=directory.path + directory.addition.name)
        is_signed = bool(entries) and directory.addition is None
        signature = self._signatures.sign(entries, self._changes_from, directory.status) if is_signed else None
        if signature is not None:
            if seen is not None and seen.digest == signature.digest and seen.tree == previous_id:
                return self._recognise(directory, entries, seen, sources)
            self._signatures.note_owners(entries)
            if signature.is_settled:
                directory.facts = _facts_of(signature.digest, entries)
        known = self._previous.nodes(previous_id)
        # A tree that cannot be read has no known nodes either: an empty directory must not be taken for it.
        directory.same = bool(entries) and len(known) == len(entries) and directory.addition is None
        self._assembly.expect(directory, [entry.name for entry in entries])
        below: list[_Pending] = []
        to_read: list[tuple[int, bytes]] = []
        for slot, entry in enumerate(entries):
            try:
                self._entry(directory, slot, entry, known.get(entry.name), sources, below, to_read)
            except OSError as error:
                self._failed(entry.path, error.strerror or str(error))
                self._assembly.place(directory, slot, None)
        if to_read:
            self._add_to_batch(directory, to_read)
        self._assembly.done(directory)
        below.reverse()
        return below

    def _recognise(
        self, directory: Directory, entries: Sequence[Entry], seen: Known, sources: SourceTree
    ) -> list[_Pending]:
        """Take a directory as it is in the parent snapshot, but for the directories below; returns these."""
        counts = self.counts
        counts.files_unmodified += seen.files
        counts.unmodified_bytes += seen.bytes
        counts.others += seen.others
        directory.same = directory.is_recognised = True
        directory.facts = Facts(seen.digest, seen.files, seen.bytes, seen.others)
        below: list[_Pending] = []
        if seen.files + seen.others < len(entries):
            # Nodes are needed only if something below turns out to have changed.
            directory.names = [entry.name for entry in entries]
            directory.nodes = [KEPT] * len(entries)
            below = [
                self._below(directory, slot, entry, None, sources)
                for slot, entry in enumerate(entries)
                if entry.is_dir(follow_symlinks=False)
            ]
            directory.remaining += len(below)
        self._assembly.done(directory)
        below.reverse()
        return below

    def _previous_of(self, waiting: _Pending, seen: Known | None) -> tuple[Node | None, str | None]:
        """The node and the tree that the parent snapshot has of a directory."""
        previous = waiting.previous
        if previous is None and waiting.above.is_recognised:
            if seen is not None:
                return None, seen.tree
            previous = self._previous.nodes(waiting.above.previous_id).get(waiting.name)
        return previous, previous.subtree if previous is not None else None

    def _entries(self, directory: Directory, sources: SourceTree) -> Sequence[Entry]:
        if not sources.whole:
            # On the way to a source: a directory that may be passed need not be one that may be listed.
            return find_entries(directory.path, sources.children)
        try:
            return self._listed(directory)
        except OSError as error:
            self._failed(directory.path, error.strerror or str(error))
            return []

    def _listed(self, directory: Directory) -> list[os.DirEntry[bytes]]:
        return kept(directory.path, read_directory(directory.path), self._exclusion)

    def _entry(
        self,
        directory: Directory,
        slot: int,
        entry: Entry,
        known: Node | None,
        sources: SourceTree,
        below: list[_Pending],
        to_read: list[tuple[int, bytes]],
    ) -> None:
        if entry.is_file(follow_symlinks=False):
            self._file(directory, slot, entry, known, to_read)
        elif entry.is_dir(follow_symlinks=False):
            previous = known if known is not None and known.type == "dir" else None
            below.append(self._below(directory, slot, entry, previous, sources))
        else:
            self._other(directory, slot, entry, known)

    def _below(
        self, directory: Directory, slot: int, entry: Entry, previous: Node | None, sources: SourceTree
    ) -> _Pending:
        """A directory that is to be walked later."""
        status = entry.stat(follow_symlinks=False)
        inner = sources if sources.whole else sources.children[entry.name]
        if self._one_file_system and sources.whole and status.st_dev != directory.status.st_dev:
            # A mount point is kept as an empty directory, so that it is there to mount on after a restore.
            inner = SourceTree()
        return _Pending(entry.path, entry.name, directory, slot, status, previous, inner)

    def _file(
        self,
        directory: Directory,
        slot: int,
        entry: Entry,
        known: Node | None,
        to_read: list[tuple[int, bytes]],
    ) -> None:
        counts = self.counts
        if known is None or known.type != "file":
            counts.files_new += 1
        else:
            status = entry.stat(follow_symlinks=False)
            unchanged = self._previous.compare(known, status)
            if unchanged is not Unchanged.NOTHING:
                counts.files_unmodified += 1
                counts.unmodified_bytes += known.size
                if unchanged is Unchanged.ALL and not self._with_atime:
                    # The node is encoded only if something else in the directory turns out to have changed.
                    directory.nodes[slot] = known
                    directory.remaining -= 1
                    return
                directory.same = False
                self._place(directory, slot, entry, status, content=known.content, size=known.size)
                return
            counts.files_changed += 1
        directory.same = False
        to_read.append((slot, entry.name))

    def _other(self, directory: Directory, slot: int, entry: Entry, known: Node | None) -> None:
        """Place a symbolic link, device or FIFO."""
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISSOCK(status.st_mode):
            # As restic does: a socket means nothing without the program that listens.
            self._assembly.place(directory, slot, None)
            return
        self.counts.others += 1
        link = os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else None
        if known is None or not node_is_unchanged(known, status):
            directory.same = False
        self._place(directory, slot, entry, status, linktarget=link)

    def _place(
        self,
        directory: Directory,
        slot: int,
        entry: Entry,
        status: os.stat_result,
        *,
        content: list[str] | None = None,
        size: int | None = None,
        linktarget: bytes | None = None,
    ) -> None:
        node = node_from_stat(
            entry.name,
            status,
            user=user_name(status.st_uid),
            group=group_name(status.st_gid),
            content=content,
            size=size,
            linktarget=linktarget,
            extended_attributes=extended(read_attributes(entry.path)),
            with_atime=self._with_atime,
        )
        self._assembly.place(directory, slot, encode_node(node))


def _facts_of(digest: bytes, entries: Sequence[Entry]) -> Facts:
    """What is remembered of a directory that was just signed (so nothing here asks the system)."""
    files = size = others = 0
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            files += 1
            size += entry.stat(follow_symlinks=False).st_size
        elif not entry.is_dir(follow_symlinks=False):
            others += 1
    return Facts(digest, files, size, others)
