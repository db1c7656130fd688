"""The verb ``archive verify``: everything that can be said of whether an archive is whole, and what cannot be checked.

Damage is what makes the answer "no"; a hint is something that a person should know although the archive is whole.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from pivori.archives.checksum import BackgroundDigest, ChecksumFileDamaged, ChecksumWrong, find_checksum, read_checksum
from pivori.archives.container import ArchiveDamaged, NotAnArchive
from pivori.archives.manifest import Base, ManifestDamaged
from pivori.engine.archive.content import MISSING, UNREADABLE_KIND, check_content, content_totals
from pivori.engine.archive.differential import find_base, merged
from pivori.engine.archive.opening import NO_KEYS, ArchiveUnreadable, Keys, Opened, check_archive, open_archive
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.events import Event, Progress
from pivori.translation import N_, Phrase


class FindingKind(StrEnum):
    """What a finding is about."""

    CHECKSUM = "checksum"
    CONTAINER = "container"
    MEMBER = "member"
    REQUIRED = "required"
    BASE = "base"
    NOT_CAPTURED = "not-captured"
    UNCHECKED = "unchecked"


class Severity(StrEnum):
    """How bad it is: the archive is not whole; or it is, and something should be known."""

    DAMAGE = "damage"
    HINT = "hint"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to know. ``object`` is the member, path or file it is about, ``reason`` a sentence without its end."""

    severity: Severity
    kind: FindingKind
    object: bytes
    reason: str


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """What to verify. ``required`` paths have to be inside; ``base`` says where the base of a differential one is."""

    path: Path
    required: Sequence[bytes] = ()
    base: Path | None = None
    keys: Keys = NO_KEYS
    workers: int = 1


@dataclass(kw_only=True)
class VerifyOutcome:
    """The answer. ``files`` and ``bytes`` count what was read; ``sha256`` is that of the file."""

    path: Path
    strategy: str = ""
    format: str = ""
    root: str = ""
    has_manifest: bool = False
    files: int = 0
    bytes: int = 0
    archive_bytes: int = 0
    sha256: str = ""
    base: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged or missing."""
        return all(finding.severity is not Severity.DAMAGE for finding in self.findings)


_NO_CHECKSUM: Final = N_("there is no checksum file beside it, so only its own checksums were compared")
_NO_MANIFEST: Final = N_("it has no manifest, so content was compared with the container's own checksums only")
_NOT_INSIDE: Final = N_("it is required and not inside")
_EMPTY: Final = N_("it is required, and there is no file in it")
_NOT_CAPTURED: Final = N_("it could not be read when the archive was made: {reason}")


def verify_archive(request: VerifyRequest, emit: Callable[[Event], None]) -> VerifyOutcome:
    """Verify an archive.

    Raises ArchiveUnreadable, PasswordNeeded, WrongArchivePassword, WorkerDied; whatever is wrong with the archive
    itself is a finding.
    """
    return _Verification(request, emit).run()


class _Verification:
    """One run."""

    def __init__(self, request: VerifyRequest, emit: Callable[[Event], None]) -> None:
        self._request = request
        self._emit = emit
        self._out = VerifyOutcome(path=request.path)

    def run(self) -> VerifyOutcome:
        """Look at the container, the members, the base and the required paths, and meanwhile at the checksum file."""
        request, out = self._request, self._out
        digest = self._begin()
        try:
            with open_archive(request.path, request.keys, checked=False) as opened:
                out.strategy, out.format = opened.strategy, opened.container.format.value
                out.has_manifest = opened.manifest is not None
                out.root = opened.manifest.root if opened.manifest is not None else ""
                self._check_members(opened)
                self._check_content(opened)
                entries = self._with_base(opened)
                if entries is not None:
                    self._check_required(entries, exact=opened.manifest is not None)
        except (ArchiveDamaged, NotAnArchive, ManifestDamaged) as error:
            self._damage(FindingKind.CONTAINER, request.path.name.encode(), _reason(error))
        self._check_file(digest)
        return out

    def _begin(self) -> BackgroundDigest:
        """Begin to read the file for its digest, which goes on beside the other work."""
        path = self._request.path
        try:
            self._out.archive_bytes = path.stat().st_size
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            raise ArchiveUnreadable(archive=str(path), reason=error.strerror or str(error)) from None
        return BackgroundDigest(path)

    def _check_file(self, digest: BackgroundDigest) -> None:
        """The checksum file, which covers every byte."""
        path, out = self._request.path, self._out
        try:
            out.sha256 = digest.result()
        except OSError as error:
            raise ArchiveUnreadable(archive=str(path), reason=error.strerror or str(error)) from None
        beside = find_checksum(path)
        if beside is None:
            self._hint(FindingKind.UNCHECKED, path.name.encode(), _NO_CHECKSUM)
            return
        try:
            if read_checksum(beside, path) != out.sha256:
                wrong = ChecksumWrong(archive=str(path), path=beside.name)
                self._damage(FindingKind.CHECKSUM, path.name.encode(), str(wrong))
        except ChecksumFileDamaged as error:
            self._damage(FindingKind.CHECKSUM, beside.name.encode(), _reason(error))
        except OSError as error:
            self._damage(FindingKind.CHECKSUM, beside.name.encode(), error.strerror or str(error))

    def _check_members(self, opened: Opened) -> None:
        try:
            check_archive(opened)
        except PivoriError as error:
            member = error.details.get("member")
            name = member if isinstance(member, bytes) else self._request.path.name.encode()
            self._damage(FindingKind.MEMBER, name, _reason(error))
        manifest = opened.manifest
        if manifest is None:
            self._hint(FindingKind.UNCHECKED, self._request.path.name.encode(), _NO_MANIFEST)
            return
        for missing in manifest.not_captured:
            path = missing.path_raw or missing.path.encode()
            self._hint(FindingKind.NOT_CAPTURED, path, Phrase(_NOT_CAPTURED, reason=missing.reason))

    def _check_content(self, opened: Opened) -> None:
        files, total = content_totals(opened)

        def progress(done: int, size: int, current: bytes) -> None:
            self._emit(
                Progress(files_done=done, files_total=files, bytes_done=size, bytes_total=total, current=current)
            )

        report = check_content(opened, workers=self._request.workers, progress=progress)
        self._out.files, self._out.bytes = report.files, report.size
        for name, reason in report.bad:
            self._damage(FindingKind.MEMBER, name, reason)
        for path in report.missing:
            self._damage(FindingKind.MEMBER, path, MISSING)
        for error in report.errors:
            self._damage(FindingKind.MEMBER, self._request.path.name.encode(), _reason(error))
        if not report.errors:
            # Otherwise the errors speak of them.
            for name in report.unread:
                self._damage(FindingKind.MEMBER, name, UNREADABLE_KIND)

    def _with_base(self, opened: Opened) -> Iterable[Entry] | None:
        """The entries of the whole tree, the base's included; None when the base cannot be had."""
        manifest = opened.manifest
        if manifest is None or manifest.base is None:
            return opened.entries
        base = self._check_base(manifest.base)
        if base is None:
            return None
        try:
            with open_archive(base, self._request.keys) as below:
                entries = below.manifest.entries if below.manifest is not None else []
        except PivoriError as error:
            self._damage(FindingKind.BASE, base.name.encode(), _reason(error))
            return None
        return [entry for entry, _ in merged(entries, manifest.entries, manifest.deleted).values()]

    def _check_base(self, base: Base) -> Path | None:
        self._out.base = base.name
        try:
            return find_base(self._request.path, base, self._request.base, self._request.keys)
        except PivoriError as error:
            self._damage(FindingKind.BASE, base.name.encode(), _reason(error))
        except OSError as error:
            self._damage(FindingKind.BASE, base.name.encode(), error.strerror or str(error))
        return None

    def _check_required(self, entries: Iterable[Entry], *, exact: bool) -> None:
        listed = list(entries)
        for required in self._request.required:
            reason = _lacking(required.strip(b"/"), listed, exact=exact)
            if reason is not None:
                self._damage(FindingKind.REQUIRED, required, reason)

    def _damage(self, kind: FindingKind, name: bytes, reason: str) -> None:
        self._out.findings.append(Finding(severity=Severity.DAMAGE, kind=kind, object=name, reason=reason))

    def _hint(self, kind: FindingKind, name: bytes, reason: str) -> None:
        self._out.findings.append(Finding(severity=Severity.HINT, kind=kind, object=name, reason=reason))


def _lacking(required: bytes, entries: Sequence[Entry], *, exact: bool) -> str | None:
    """Why a required path is not satisfied; None when it is. Not ``exact``: below whatever folders others put in."""
    front = rb"" if exact else rb"(?:.*/)?"
    fits = re.compile(front + re.escape(required) + rb"(?:/.*)?", re.DOTALL).fullmatch
    found = [entry for entry in entries if fits(entry.path)]
    if not found:
        return _NOT_INSIDE
    return None if any(entry.kind is not EntryKind.DIRECTORY for entry in found) else _EMPTY


def _reason(error: PivoriError) -> str:
    """Why, without the name of the archive, which everybody knows by then."""
    reason = error.details.get("reason")
    return reason if isinstance(reason, str) and reason else str(error)
