"""The verb ``archive create``: a directory into a portable file.

The tree is listed and everything is decided before the first byte is written; the file is written under a temporary
name, read back and compared with its manifest, and only then gets its name and its checksum.
"""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import structs

from pivori.archives.checksum import BackgroundDigest
from pivori.archives.container import ArchiveDamaged, ArchiveFormat, Captured, Effort, WriteRequest
from pivori.archives.formats import WRITERS
from pivori.archives.manifest import Base, Manifest, NotCaptured, Omission, as_text, encode
from pivori.engine.archive.content import check_content, content_totals
from pivori.engine.archive.listing import Listing
from pivori.engine.archive.opening import Keys, open_archive
from pivori.engine.archive.placing import DiskFull, NewArchive
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.events import Event, FileChanged, FileNotRead, FileVanished, Progress
from pivori.host.workers import WorkerDied
from pivori.translation import N_

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_LINK_LOST: Final = N_("the file it is another name of vanished")


class FormatMissing(PivoriError):
    """No writer of a format is there."""

    code = "format-missing"
    message = N_("Archives of the format {format} cannot be written here.")
    hint = N_("Choose another with --format.")


class TestFailed(PivoriError):
    """A new archive was read back and is not what was written."""

    code = "archive-test-failed"
    message = N_("The new archive was read back and is not what was written: {reason}. It was removed.")
    hint = N_("Check the memory and the disk of this machine, then try again.")


@dataclass(frozen=True, kw_only=True)
class ArchivePlan:
    """What goes into an archive, decided before anything is written.

    ``listing`` is what is captured whole; in a differential archive ``entries`` are fewer. ``documents`` go below
    ``.pivori/``. ``source`` is where the files are when that is not ``root``; ``recorded`` has the metadata of entries
    where what the system says of the files is not to be believed.
    """

    root: Path
    strategy: str
    listing: Listing
    entries: Sequence[Entry]
    deleted: Sequence[bytes] = ()
    base: Base | None = None
    omitted: Sequence[Omission] = ()
    documents: Mapping[bytes, bytes] = field(default_factory=dict)
    source: Path | None = None
    recorded: Mapping[bytes, Entry] = field(default_factory=dict)

    @cached_property
    def files(self) -> int:
        """How many names of files go in."""
        return sum(entry.kind is EntryKind.FILE for entry in self.entries)

    @cached_property
    def bytes(self) -> int:
        """How much content goes in, that of a file with several names once."""
        return sum(entry.size for entry in self.entries if entry.hard_link is None)


@dataclass(frozen=True, kw_only=True)
class CreateRequest:
    """How to write an archive.

    ``seal`` puts an envelope around what is written to the stream it gives; closing that stream ends the envelope,
    whose ending ``envelope`` is. ``keys`` open the archive again for the test; without ``test`` it is not read back.
    ``workspace`` is a directory for temporary files, beside the archive when it is not given.
    """

    plan: ArchivePlan
    id: str
    created: datetime
    host: str
    program: str
    format: ArchiveFormat
    effort: Effort = Effort.NORMAL
    password: str | None = field(default=None, repr=False)
    seal: Callable[[BinaryIO], BinaryIO] | None = None
    envelope: str = ""
    keys: Keys = field(default_factory=Keys)
    test: bool = True
    workspace: Path | None = None
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class CreateOutcome:
    """What came of it. ``path`` and ``sha256`` are None for what went into a stream; ``failures`` counts what could
    not be read."""

    path: Path | None
    sha256: str | None
    manifest: Manifest
    archive_bytes: int | None
    tested: bool
    failures: int


def create_archive(request: CreateRequest, path: Path, emit: Callable[[Event], None]) -> CreateOutcome:
    """Write the archive ``path``, whose directory is there.

    Raises ArchiveExists, DestinationUnwritable, DiskFull, TestFailed, FormatMissing, WorkerDied; then nothing is there.
    """
    try:
        with NewArchive(path) as new:
            manifest = _Writing(replace(request, workspace=request.workspace or path.parent), emit).write(new.file)
            new.file.flush()
            digest = BackgroundDigest(new.partial)
            tested = request.test and _test(request, new.partial, emit)
            path_digest = digest.result()
            length = os.fstat(new.file.fileno()).st_size
            new.commit(path_digest)
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(directory=str(path.parent)) from None
        raise
    return CreateOutcome(
        path=path,
        sha256=path_digest,
        manifest=manifest,
        archive_bytes=length,
        tested=tested,
        failures=len(manifest.not_captured),
    )


def stream_archive(request: CreateRequest, out: BinaryIO, emit: Callable[[Event], None]) -> CreateOutcome:
    """Write the archive into a stream, which cannot be read back. Raises OSError on the stream, FormatMissing."""
    manifest = _Writing(request, emit).write(out)
    return CreateOutcome(
        path=None, sha256=None, manifest=manifest, archive_bytes=None, tested=False, failures=len(manifest.not_captured)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Testing(Event):
    """How far the reading back of a new archive has come."""

    progress: Progress


class _Writing:
    """One archive being written."""

    def __init__(self, request: CreateRequest, emit: Callable[[Event], None]) -> None:
        self._request = request
        self._emit = emit
        self._manifest: Manifest | None = None

    def write(self, out: BinaryIO) -> Manifest:
        """Write it, and tell what went wrong with single files."""
        request, plan = self._request, self._request.plan
        writer = WRITERS.get(request.format)
        if writer is None:
            raise FormatMissing(format=request.format.value)
        sealed = out if request.seal is None else request.seal(out)
        captured = writer(
            WriteRequest(
                root=plan.source or plan.root,
                entries=[entry for entry in plan.entries if entry.path],
                documents=plan.documents,
                manifest=self._document,
                names=plan.listing.names,
                effort=request.effort,
                password=request.password,
                workspace=request.workspace,
                workers=request.workers,
            ),
            sealed,
            progress=self._progress,
        )
        if sealed is not out:
            sealed.close()
        self._tell(captured)
        assert self._manifest is not None  # noqa: S101 - a writer asks for the manifest before it ends
        return self._manifest

    def _document(self, captured: Captured) -> bytes:
        request, plan = self._request, self._request.plan
        root = [entry for entry in plan.entries if not entry.path]
        entries, lost = _with_sound_links([_recorded(entry, plan.recorded) for entry in captured.entries])
        entries.sort(key=lambda entry: entry.path)
        there = {entry.path for entry in entries}
        self._manifest = Manifest(
            id=request.id,
            program=request.program,
            created=request.created.isoformat(),
            host=request.host,
            root=os.fspath(plan.root),
            strategy=plan.strategy,
            entries=[*root, *entries],
            base=plan.base,
            # What vanished since it was listed is gone from the tree, whatever the base has.
            deleted=sorted({*plan.deleted, *(path for path in captured.vanished if plan.base is not None)} - there),
            # Reasons may be phrases that can be translated; a manifest has their text.
            omitted=[structs.replace(each, evidence=str.__str__(each.evidence)) for each in plan.omitted],
            not_captured=[
                structs.replace(each, reason=str.__str__(each.reason))
                for each in (*plan.listing.not_captured, *captured.not_captured, *lost)
            ],
            names={path: name for path, name in plan.listing.names.items() if path in there} or None,
        )
        return encode(self._manifest)

    def _progress(self, files: int, size: int, path: bytes) -> None:
        plan = self._request.plan
        self._emit(
            Progress(files_done=files, files_total=plan.files, bytes_done=size, bytes_total=plan.bytes, current=path)
        )

    def _tell(self, captured: Captured) -> None:
        for path in captured.changed:
            self._emit(FileChanged(path=path))
        for path in captured.vanished:
            self._emit(FileVanished(path=path))
        for missing in self._manifest.not_captured if self._manifest is not None else ():
            self._emit(FileNotRead(path=missing.path_raw or missing.path.encode(), reason=missing.reason))


def _recorded(entry: Entry, recorded: Mapping[bytes, Entry]) -> Entry:
    """An entry with the metadata that is recorded of it, and the content that was read."""
    known = recorded.get(entry.path)
    if known is None:
        return entry
    return structs.replace(
        known, size=entry.size, sha256=entry.sha256, hard_link=entry.hard_link, is_sparse=entry.is_sparse
    )


def _with_sound_links(entries: Sequence[Entry]) -> tuple[list[Entry], list[NotCaptured]]:
    """The entries, whose hard links all lead to one that is there; and those whose file was lost on the way."""
    files = {entry.path: entry.sha256 for entry in entries if entry.kind is EntryKind.FILE and entry.hard_link is None}
    sound: list[Entry] = []
    lost: list[NotCaptured] = []
    first: dict[bytes, bytes] = {}
    for entry in entries:
        link = entry.hard_link
        if link in files and entry.sha256 != files[link]:
            # Two names of one file when the tree was listed, two files when they were read: each has its own content.
            entry = structs.replace(entry, hard_link=None)
        elif link is not None and link not in files:
            other = first.get(link)
            if other is None and not entry.sha256:
                text, raw = as_text(entry.path)
                lost.append(NotCaptured(path=text, path_raw=raw, reason=_LINK_LOST))
                continue
            first.setdefault(link, entry.path)
            entry = structs.replace(entry, hard_link=other)
        sound.append(entry)
    return sound, lost


def _test(request: CreateRequest, path: Path, emit: Callable[[Event], None]) -> bool:
    """Read the archive back and compare it with its manifest. Raises TestFailed, WorkerDied."""
    try:
        with open_archive(path, request.keys) as opened:
            total, total_bytes = content_totals(opened)

            def progress(files: int, size: int, current: bytes) -> None:
                now = Progress(
                    files_done=files, files_total=total, bytes_done=size, bytes_total=total_bytes, current=current
                )
                emit(Testing(progress=now))

            report = check_content(opened, workers=request.workers, progress=progress)
    except ArchiveDamaged as error:
        raise TestFailed(reason=error.details["reason"]) from None
    except WorkerDied:
        # Nothing is known of the archive then.
        raise
    except PivoriError as error:
        raise TestFailed(reason=error) from None
    if not report.is_whole:
        reasons = [error.details["reason"] for error in report.errors] or [reason for _, reason in report.bad]
        raise TestFailed(reason=reasons[0] if reasons else N_("a member cannot be read"))
    return True
