"""Reading everything an archive holds and comparing it with the manifest, on all cores."""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pivori.archives.container import ArchiveDamaged, Member, Piece
from pivori.archives.manifest import MANIFEST_NAME
from pivori.archives.reading_crew import run_jobs
from pivori.engine.archive.opening import Opened, missing_members
from pivori.entries import Entry, EntryKind
from pivori.translation import N_

SIZE_DIFFERS: Final = N_("its size is not the one in the manifest")
CONTENT_DIFFERS: Final = N_("its content is not the one in the manifest")
MISSING: Final = N_("it is in the manifest and not in the archive")
NOT_READ: Final = N_("it cannot be read")
UNREADABLE_KIND: Final = N_("it is packed in a way that this program does not read")

_DIGEST_DIGITS: Final = 64
_LITTLE: Final = 8 << 20
"""Content up to this many bytes is read faster than worker processes start."""


@dataclass
class JobReport:
    """What one job read: the members' numbers, sizes and SHA-256 digests, 32 bytes each, one after the other; and the
    errors, which name no member."""

    numbers: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    digests: bytearray = field(default_factory=bytearray)
    errors: list[ArchiveDamaged] = field(default_factory=list)


def digest_members(pieces: Iterator[Piece]) -> JobReport:
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
        if piece.is_last:
            report.numbers.append(number)
            report.sizes.append(size)
            report.digests += digest.digest()
            number = -1


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
    names = {member.number: name for name, member in content_members(opened)}
    _, size = content_totals(opened)
    report = ContentReport()
    expected = expected_content(opened)
    left = set(names)
    jobs = opened.container.jobs(names.keys())
    for found in run_jobs(jobs, digest_members, workers if size > _LITTLE else 1):
        left.difference_update(found.numbers)
        report.files += len(found.numbers)
        report.size += sum(found.sizes)
        report.bad += ((names[number], reason) for number, reason in _wrong(found, expected))
        report.errors += found.errors
        progress(report.files, report.size, names[found.numbers[-1]] if found.numbers else b"")
    report.unread = sorted(names[number] for number in left)
    report.missing = missing_members(opened)
    return report


def _wrong(found: JobReport, expected: Mapping[int, Entry]) -> Iterator[tuple[int, str]]:
    """The members that are not what is expected, and why."""
    digests = found.digests.hex()
    for place, (number, size) in enumerate(zip(found.numbers, found.sizes, strict=True)):
        entry = expected.get(number)
        if entry is None:
            continue
        if size != entry.size:
            yield number, SIZE_DIFFERS
        elif entry.sha256 and digests[place * _DIGEST_DIGITS : (place + 1) * _DIGEST_DIGITS] != entry.sha256:
            yield number, CONTENT_DIFFERS


def content_members(opened: Opened) -> Iterator[tuple[bytes, Member]]:
    """The members whose content is read, by name: the manifest was read when the archive was opened, and a further
    name of a file has none."""
    return (
        (name, member)
        for name, member in opened.members.items()
        if member.kind is EntryKind.FILE and member.hard_link is None and name != MANIFEST_NAME
    )


def content_totals(opened: Opened) -> tuple[int, int]:
    """How many members the reading of all content reads, and how many bytes: what its progress ends at."""
    sizes = [member.size for _, member in content_members(opened)]
    return len(sizes), sum(sizes)


def expected_content(opened: Opened) -> dict[int, Entry]:
    """What the manifest says of the content of members, by their numbers; nothing without a manifest."""
    if opened.manifest is None:
        return {}
    return {
        member.number: entry
        for entry, member in opened.held()
        if member is not None and entry.kind is EntryKind.FILE and member.hard_link is None
    }
