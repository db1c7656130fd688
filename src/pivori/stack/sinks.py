"""Between components and recovery points: the sink a capture goes to, the source a restore comes from."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pivori.components.base import CapturedFile, NotCaptured, ReadInto, Report, Stored, TreeFacts
from pivori.engine.backup import resolve_source
from pivori.engine.backup.tree_capture import TreeRequest
from pivori.engine.exclusion import EntryFilter, Exclusion
from pivori.engine.recovery_point import ComponentReader, ComponentWriter
from pivori.engine.restore import PathNotInSnapshot
from pivori.engine.strategies import STRATEGIES, StrategyName
from pivori.events import Event, FileChanged, FileNotRead


class Ear:
    """Hears what the reading of files has to say, and passes it on."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self.unread: list[str] = []
        self.moving: list[str] = []

    def __call__(self, event: Event) -> None:
        """Take note of files that were not read, or not at rest."""
        if isinstance(event, FileNotRead):
            self.unread.append(os.fsdecode(event.path))
        elif isinstance(event, FileChanged):
            self.moving.append(os.fsdecode(event.path))
        self._emit(event)


class RecoverySink:
    """A component's folder in a recovery point that is being written."""

    def __init__(
        self, writer: ComponentWriter, ear: Ear, previous: Report | None, previous_files: Mapping[str, Stored]
    ) -> None:
        self._writer = writer
        self._ear = ear
        self._previous = previous
        self._previous_files = previous_files
        self.files: dict[str, Stored] = {}

    @property
    def previous(self) -> Report | None:
        """The report of the last usable capture."""
        return self._previous

    def stream(self, path: str, read: ReadInto) -> Stored:
        """A file, with the content that ``read`` gives. Raises PathTaken, and what ``read`` raises."""
        content = self._writer.add_stream(os.fsencode(path), read)
        return self._note(path, Stored(size=content.size, sha256=content.sha256))

    def document(self, path: str, content: bytes) -> Stored:
        """A small file whose content is at hand."""
        return self.stream(path, io.BytesIO(content).readinto)

    def tree(
        self, roots: Sequence[Path], *, exclude: Sequence[str] = (), strategy: str = "", one_file_system: bool = False
    ) -> TreeFacts:
        """Folders and files of this machine. Raises NothingToBackUp, and what patterns raise."""
        sources = [resolve_source(os.fsencode(root), b"/") for root in roots]
        exclusion: EntryFilter | None = Exclusion(list(exclude), roots=sources) if exclude else None
        chosen = STRATEGIES[StrategyName(strategy)] if strategy else None
        if chosen is not None and chosen.omits_rebuildable:
            exclusion = self._without_rebuildable(sources, exclusion, one_file_system=one_file_system)
        request = TreeRequest(
            sources=sources,
            exclusion=exclusion,
            one_file_system=one_file_system,
            force=chosen is not None and chosen.rereads,
        )
        unread, moving = len(self._ear.unread), len(self._ear.moving)
        files, size = self._writer.files, self._writer.size
        self._writer.add_tree(request)
        return TreeFacts(
            files=self._writer.files - files,
            bytes=self._writer.size - size,
            unread=self._ear.unread[unread:],
            moving=self._ear.moving[moving:],
        )

    def keep(self, path: str) -> Stored | None:
        """Take a file over from the previous capture, unread."""
        known = self._previous_files.get(path)
        if known is None or self._writer.keep(os.fsencode(path)) is None:
            return None
        return self._note(path, known)

    def names(self, folder: str) -> Sequence[str]:
        """The paths of the files directly below a folder of the previous capture."""
        return [os.fsdecode(path) for path in self._writer.names(os.fsencode(folder))]

    def _note(self, path: str, stored: Stored) -> Stored:
        self.files[path] = stored
        return stored

    def _without_rebuildable(
        self, sources: Sequence[bytes], exclusion: EntryFilter | None, *, one_file_system: bool
    ) -> EntryFilter:
        """What the strategy ``smart`` leaves out; what it needs to make that again goes into the capture."""
        from pivori.engine.smart import plan_smart, snapshot_documents  # most stacks do without, and start sooner

        plan = plan_smart(list(sources), exclusion=exclusion, one_file_system=one_file_system)
        for path, content in snapshot_documents(plan, program="", host="").items():
            self.document(os.fsdecode(path), content)
        return plan.exclusion(exclusion)


class RecoverySource:
    """A component's folder in a recovery point, as a component reads it."""

    def __init__(self, name: str, reader: ComponentReader, report: Report) -> None:
        self._name = name
        self._reader = reader
        self._report = report

    @property
    def report(self) -> Report:
        """What the component said of its capture."""
        return self._report

    def files(self, folder: str = "") -> Iterator[CapturedFile]:
        """The regular files below a folder. Raises NotCaptured, and what a damaged tree raises."""
        try:
            yield from self._reader.files(folder)
        except PathNotInSnapshot:
            raise NotCaptured(path=folder, component=self._name) from None

    def pieces(self, path: str) -> Iterator[bytes]:
        """The content of a file. Raises NotCaptured, and at once what keeps it from being read."""
        try:
            yield from self._reader.pieces(path)
        except PathNotInSnapshot:
            raise NotCaptured(path=path, component=self._name) from None

    def read(self, path: str, most: int = 16 << 20) -> bytes:
        """The content of a file of at most so many bytes; the beginning of a longer one."""
        content = bytearray()
        for piece in self.pieces(path):
            content += piece
            if len(content) >= most:
                break
        return bytes(content[:most])

    def write_tree(self, folder: str, target: Path, *, only: Sequence[str] = ()) -> int:
        """Write what is below a folder. Raises NotCaptured, PartNotRestored, and what a restore raises."""
        try:
            return self._reader.write_tree(folder, target, only)
        except PathNotInSnapshot:
            raise NotCaptured(path=folder, component=self._name) from None
