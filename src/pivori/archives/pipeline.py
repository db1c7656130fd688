"""Writing an archive: the parent plans and writes, worker processes read, hash and compress.

Small files go to the workers in batches; what comes back is ready to be written. Of large files the workers compress
parts, which the parent writes in order while it reads the same parts to hash them: when a part was not the same for
both, the file changed, and what the parent read is what is stored. So what is stored always is what was hashed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import structs

from pivori.archives.batches import BYTES_PER_BATCH, Batches
from pivori.archives.container import Captured, ProgressReport, WriteRequest
from pivori.archives.crew import Crew, Ready
from pivori.archives.hard_links import LinkGroups, mend_links
from pivori.archives.large_member import REACH, LargeMember, PackedPart, Read, Sink
from pivori.archives.manifest import MANIFEST_NAME, NotCaptured, as_text
from pivori.archives.pack_tasks import Packed, Part, Work
from pivori.archives.source_files import (
    LARGE,
    Facts,
    Item,
    SourceFiles,
    completed,
    facts,
    is_changed,
    read_part,
)
from pivori.entries import Entry, EntryKind
from pivori.host import read_attributes

_LITTLE_WORK_FILES: Final = 256
_LITTLE_WORK_BYTES: Final = 4 << 20
_DOCUMENT_MODE: Final = 0o600


class _Large(NamedTuple):
    """The beginning of a large file: it is open in the parent."""

    item: Item
    descriptor: int
    status: os.stat_result
    is_packed: bool


class _LargeDocument(NamedTuple):
    """The beginning of a large document."""

    item: Item
    content: bytes


class _LargeEnd(NamedTuple):
    """All parts of the large file or document have come."""


class Pipeline:
    """One run of a writer."""

    def __init__(self, request: WriteRequest, sink: Sink, progress: ProgressReport, *, links: bool) -> None:
        """``links``: the format has members that are hard links, so that their content is not stored again."""
        self._request = request
        self._entries = request.entries
        self._sink = sink
        self._progress = progress
        self._links = links
        self._source = SourceFiles(request.root)
        self._work = Work(self._source, sink.packer)
        self._captured = Captured()
        self._late: list[int] = []
        self._first_of: dict[int, bytes | None] = {}
        self._stored: dict[bytes, Entry] = {}
        self._done_files = self._done_bytes = 0
        self._start: _Large | _LargeDocument
        self._member: LargeMember

    def run(self) -> Captured:
        """Write all members, the manifest last."""
        workers = self._request.workers if self._is_much() else 1
        try:
            with Crew[Any, Any](self._work, workers) as crew:
                self._go(crew, self._plan(self._first_positions(), crew.lanes if self._sink.packer.remembers else 1))
                self._write_late(crew)
                if self._links:
                    self._write_links(crew)
                mend_links(self._captured.entries)
                for name, content in self._request.documents.items():
                    self._document(crew, name, content)
                self._document(crew, MANIFEST_NAME, self._request.manifest(self._captured))
        finally:
            self._source.close()
        return self._captured

    def _first_positions(self) -> Iterator[int]:
        """All entries but the links, which need what they are links of."""
        for position, entry in enumerate(self._entries):
            if not self._links or entry.hard_link is None:
                yield position

    def _write_late(self, crew: "Crew[Any, Any]") -> None:
        """Write the files that had become too large for a batch."""
        late, self._late = self._late, []
        if late:
            self._go(crew, self._plan(late, 1, as_large=True))

    def _write_links(self, crew: "Crew[Any, Any]") -> None:
        """Write the members that are hard links.

        Where the first name is not in the archive, or is another file by now, the next one takes its place.
        """
        waiting = LinkGroups(self._entries)
        while waiting:
            self._stored.update((entry.path, entry) for entry in self._captured.entries)
            turn = waiting.take(self._stored, self._source)
            self._first_of.update(turn)
            self._go(crew, self._plan(turn, 1))
            self._write_late(crew)

    def _is_much(self) -> bool:
        if len(self._entries) > _LITTLE_WORK_FILES:
            return True
        return sum(entry.size for entry in self._entries) > _LITTLE_WORK_BYTES

    def _go(self, crew: "Crew[Any, Any]", tasks: Iterator[Any]) -> None:
        for result in crew.run(tasks):
            self._handle(result)

    def _item(self, position: int, entry: Entry) -> Item:
        names = self._request.names
        link = self._first_of.get(position)
        return Item(
            position,
            entry.path,
            names.get(entry.path, entry.path),
            entry.kind,
            entry.mode,
            entry.mtime_ns,
            entry.uid,
            entry.gid,
            entry.user,
            entry.group,
            entry.target,
            None if link is None else names.get(link, link),
            entry.attributes,
        )

    def _plan(self, positions: Iterable[int], lanes: int, *, as_large: bool = False) -> Iterator[Any]:
        """The tasks for some entries. Whatever is no file comes before the files that follow it."""
        batches = Batches(lanes)
        for position in positions:
            entry = self._entries[position]
            item = self._item(position, entry)
            if entry.kind is not EntryKind.FILE or item.link is not None:
                yield from batches.add_other(item)
            elif as_large or entry.size > LARGE:
                yield from batches.rest()
                yield from self._large_tasks(item)
            else:
                yield from batches.add_file(item, entry.size)
        yield from batches.rest()

    def _large_tasks(self, item: Item) -> Iterator[Any]:
        try:
            descriptor, status = self._source.open(item.path)
        except (FileNotFoundError, NotADirectoryError):
            self._captured.vanished.append(item.path)
            return
        except OSError as error:
            self._fail(item.position, error.strerror or str(error))
            return
        size = status.st_size
        is_packed = size > 0 and self._is_worth_packing(descriptor, size)
        yield Ready(_Large(item, descriptor, status, is_packed))
        if is_packed:
            length = self._sink.packer.part_bytes
            for start in range(0, size, length):
                yield Part(item.path, start, min(length, size - start), start + length >= size)
        yield Ready(_LargeEnd())

    def _is_worth_packing(self, descriptor: int, size: int) -> bool:
        try:
            return self._sink.is_worth_packing(partial(read_part, descriptor), size)
        except OSError:
            return False  # it cannot be read, which is found out again where it is written

    def _document(self, crew: "Crew[Any, Any]", name: bytes, content: bytes) -> None:
        """Write a document; a large one in parts, by the workers."""
        item = Item(-1, b"", name, EntryKind.FILE, _DOCUMENT_MODE, 0, 0, 0)
        if len(content) <= BYTES_PER_BATCH:
            self._sink.packer.add(item, content, hashlib.sha256(content).digest())
            self._sink.write_batch(*self._sink.packer.finish())
        else:
            self._go(crew, self._document_tasks(item, content))

    def _document_tasks(self, item: Item, content: bytes) -> Iterator[Any]:
        yield Ready(_LargeDocument(item, content))
        length = self._sink.packer.part_bytes
        for start in range(0, len(content), length):
            before = content[max(0, start - REACH) : start]
            part = content[start : start + length]
            yield Part(b"", start, len(part), start + length >= len(content), part, before)
        yield Ready(_LargeEnd())

    # What comes back, in order

    def _handle(self, result: Any) -> None:
        if isinstance(result, Packed):
            self._take_batch(result)
        elif isinstance(result, PackedPart):
            self._member.add(result)
        elif isinstance(result, _LargeEnd):
            self._end_large()
        else:
            self._begin_large(result)

    def _take_batch(self, packed: Packed) -> None:
        self._sink.write_batch(packed.content, packed.notes)
        self._late += packed.large
        for position in packed.vanished:
            self._captured.vanished.append(self._entries[position].path)
        for position, reason in packed.failures:
            self._fail(position, reason)
        self._captured.entries += map(self._other, packed.others)
        for known in packed.facts:
            self._take_facts(known)
        if packed.facts:
            self._report(packed.facts[-1].position)

    def _other(self, position: int) -> Entry:
        """An entry without content of its own, which is as it was found; a link is as what it is a link of."""
        entry = self._entries[position]
        first = self._first_of.get(position)
        if first is None:
            return entry
        known = self._stored[first]
        return structs.replace(known, path=entry.path, hard_link=first)

    def _take_facts(self, known: Facts) -> None:
        entry = self._entries[known.position]
        entry = structs.replace(entry, hard_link=None) if known.position in self._first_of else entry
        self._captured.entries.append(completed(entry, known))
        if known.is_changed:
            self._captured.changed.append(entry.path)
        self._done_files += 1
        self._done_bytes += known.size

    def _report(self, position: int) -> None:
        self._progress(self._done_files, self._done_bytes, self._entries[position].path)

    def _fail(self, position: int, reason: str) -> None:
        text, raw = as_text(self._entries[position].path)
        self._captured.not_captured.append(NotCaptured(path=text, path_raw=raw, reason=reason))

    def _begin_large(self, start: _Large | _LargeDocument) -> None:
        self._start = start
        item = start.item
        if isinstance(start, _Large):
            read: Read = partial(read_part, start.descriptor)
            status = start.status
            size, is_packed = status.st_size, start.is_packed
            item = item._replace(mode=status.st_mode & 0o7777, mtime_ns=status.st_mtime_ns)
        else:
            read = partial(_slice, start.content)
            size, is_packed = len(start.content), True
        self._member = LargeMember(self._sink, item, size, read, is_packed=is_packed)

    def _end_large(self) -> None:
        start = self._start
        self._member.finish()
        if isinstance(start, _Large):
            try:
                self._settle(start)
            finally:
                os.close(start.descriptor)
            self._report(start.item.position)

    def _settle(self, start: _Large) -> None:
        """Take down what a large file came to; it is stored again when it changed meanwhile and that can be done."""
        status, after = start.status, os.fstat(start.descriptor)
        if self._has_changed(status, after) and self._sink.take_back():
            status = after
            self._begin_large(start._replace(status=status, is_packed=start.is_packed and status.st_size > 0))
            self._member.finish()
            after = os.fstat(start.descriptor)
        member = self._member
        if member.failure:
            self._fail(start.item.position, member.failure)
            if self._sink.take_back():
                return
        changed = self._has_changed(status, after)
        attributes = tuple(read_attributes(start.descriptor))
        self._take_facts(facts(start.item.position, status, member.size, member.digest, attributes, changed))

    def _has_changed(self, before: os.stat_result, after: os.stat_result) -> bool:
        return self._member.is_changed or is_changed(before, after, self._member.size)


def _slice(content: bytes, start: int, length: int) -> bytes:
    return content[start : start + length]
