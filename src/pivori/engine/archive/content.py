"""Reading everything an archive holds and comparing it with the manifest, on all cores."""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pivori.archives.container import ArchiveDamaged, Piece
from pivori.archives.manifest import MANIFEST_NAME
from pivori.archives.reading_crew import run_jobs
from pivori.engine.archive.opening import Opened, missing_members
from pivori.entries import EntryKind
from pivori.translation import N_

SIZE_DIFFERS: Final = N_("its size is not the one in the manifest")
CONTENT_DIFFERS: Final = N_("its content is not the one in the manifest")
MISSING: Final = N_("it is in the manifest and not in the archive")
NOT_READ: Final = N_("it cannot be read")
UNREADABLE_KIND: Final = N_("it is packed in a way that this program does not read")

_LITTLE: Final = 8 << 20
"""Content up to this many bytes is read faster than worker processes start."""


class Expected(NamedTuple):
    """What the manifest says of a member's content."""

    size: int
    sha256: bytes


@dataclass
class JobReport:
    """What came of one job: the members that were right, those that were not, and errors that name no member."""

    good: "array[int]" = field(default_factory=lambda: array("Q"))
    bad: list[tuple[int, str]] = field(default_factory=list)
    errors: list[ArchiveDamaged] = field(default_factory=list)
    bytes: int = 0


class ContentCheck:
    """Compares the members of a job with what is expected; it can be pickled."""

    def __init__(self, expected: Mapping[int, Expected]) -> None:
        self._expected = expected

    def __call__(self, pieces: Iterator[Piece]) -> JobReport:
        """Read a job to its end, past members that are damaged."""
        report = JobReport()
        number, size = -1, 0
        digest = hashlib.sha256()
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                return report
            except ArchiveDamaged as error:
                report.errors.append(error)
                number = -1
                continue
            if piece.number != number:
                number, size, digest = piece.number, 0, hashlib.sha256()
            size += len(piece.content)
            digest.update(piece.content)
            report.bytes += len(piece.content)
            if piece.is_last:
                self._settle(number, size, digest.digest(), report)
                number = -1

    def _settle(self, number: int, size: int, digest: bytes, report: JobReport) -> None:
        expected = self._expected.get(number)
        if expected is not None and size != expected.size:
            report.bad.append((number, SIZE_DIFFERS))
        elif expected is not None and expected.sha256 and digest != expected.sha256:
            report.bad.append((number, CONTENT_DIFFERS))
        else:
            report.good.append(number)


@dataclass
class ContentReport:
    """What came of all jobs. ``size`` counts bytes read; ``bad`` and ``unread`` are names of members,
    ``missing`` paths of entries without one."""

    files: int = 0
    size: int = 0
    bad: list[tuple[bytes, str]] = field(default_factory=list)
    unread: list[bytes] = field(default_factory=list)
    missing: list[bytes] = field(default_factory=list)
    errors: list[ArchiveDamaged] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.bad or self.unread or self.missing or self.errors)


def check_content(
    opened: Opened, *, workers: int, progress: Callable[[int, int, bytes], None] = lambda _files, _bytes, _path: None
) -> ContentReport:
    """Read every file and document of an open archive. Raises WrongArchivePassword, PasswordNeeded, WorkerDied.

    ``progress`` hears of files and bytes read, and of one of the files.
    """
    names = {member.number: name for name, member in opened.members.items()}
    wanted = {
        member.number
        for name, member in opened.members.items()
        if member.kind is EntryKind.FILE and member.hard_link is None and name != MANIFEST_NAME
    }
    size = sum(member.size for member in opened.members.values() if member.number in wanted)
    report = ContentReport()
    left = set(wanted)
    jobs = opened.container.jobs(wanted)
    for found in run_jobs(jobs, ContentCheck(expected_content(opened)), workers if size > _LITTLE else 1):
        left.difference_update(found.good)
        left.difference_update(number for number, _ in found.bad)
        report.files += len(found.good) + len(found.bad)
        report.size += found.bytes
        report.bad += ((names[number], reason) for number, reason in found.bad)
        report.errors += found.errors
        progress(report.files, report.size, names[found.good[-1]] if found.good else b"")
    report.unread = sorted(names[number] for number in left)
    report.missing = missing_members(opened)
    return report


def expected_content(opened: Opened) -> dict[int, Expected]:
    """What the manifest says of the content of members, by their numbers; nothing without a manifest."""
    if opened.manifest is None:
        return {}
    found = {}
    for entry in opened.manifest.entries:
        member = opened.member_of(entry)
        if member is not None and entry.kind is EntryKind.FILE and member.hard_link is None:
            found[member.number] = Expected(entry.size, bytes.fromhex(entry.sha256))
    return found
