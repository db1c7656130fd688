"""Reading a zip: its directory at once, the content in jobs for worker processes."""

import os
from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from pivori.archives.container import (
    DOCUMENT_TOO_LARGE,
    TARGET_TOO_LONG,
    ArchiveDamaged,
    ArchiveFormat,
    Member,
    PasswordNeeded,
    ReadJob,
)
from pivori.archives.zip_directory import Located, read_directory
from pivori.archives.zip_foreign import ForeignZipJob
from pivori.archives.zip_job import Wanted, ZipJob, is_readable_here, verify_password
from pivori.entries import EntryKind

_JOB_BYTES: Final = 8 << 20
_JOB_MEMBERS: Final = 512
_LONGEST_TARGET: Final = 1 << 16


def open_zip(path: Path, *, password: str | None = None) -> "ZipArchive":
    """Open a zip. Raises NotAnArchive, ArchiveDamaged, PasswordNeeded, WrongArchivePassword, OSError."""
    archive = ZipArchive(path, password)
    try:
        archive.check_password()
        archive.fill_targets()
    except BaseException:
        archive.__exit__()
        raise
    return archive


class ZipArchive:
    """An open zip."""

    format = ArchiveFormat.ZIP

    def __init__(self, path: Path, password: str | None) -> None:
        self._path = str(path)
        self._password = None if password is None else password.encode()
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)
        try:
            self._located = read_directory(self._descriptor, self._path)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.members: Sequence[Member] = [located.member for located in self._located]

    def __enter__(self) -> "ZipArchive":
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    def check_password(self) -> None:
        """Try a password that was given on one member. Raises WrongArchivePassword."""
        located = next((located for located in self._located if located.aes is not None), None)
        if self._password is not None and located is not None:
            verify_password(self._descriptor, self._path, Wanted.of(located), self._password)

    def fill_targets(self) -> None:
        """Put the targets of the symbolic links, which are their content, into the members that can be read."""
        links = [
            member
            for member in self.members
            if member.kind is EntryKind.SYMLINK and not (member.is_encrypted and self._password is None)
        ]
        if links:
            members = list(self.members)
            for member in links:
                target = self._read(member, _LONGEST_TARGET, TARGET_TOO_LONG)
                members[member.number] = member._replace(target=target)
            self.members = members

    def read(self, member: Member, most: int) -> bytes:
        """The content of a small member. Raises ArchiveDamaged when it is over ``most`` bytes."""
        return self._read(member, most, DOCUMENT_TOO_LARGE)

    def _read(self, member: Member, most: int, excess: str) -> bytes:
        if member.size > most:
            raise ArchiveDamaged(archive=self._path, reason=excess)
        return b"".join(piece.content for job in self.jobs([member.number]) for piece in job.pieces())

    def jobs(self, wanted: Collection[int] | None = None) -> Iterator[ReadJob]:
        """Jobs of about 8 MiB, or of one large member, in the order in which the members lie in the file.

        Raises PasswordNeeded.
        """
        if wanted is None:
            chosen = [located for located in self._located if located.member.kind is EntryKind.FILE]
        else:
            chosen = [self._located[number] for number in wanted]
        if self._password is None and any(located.member.is_encrypted for located in chosen):
            raise PasswordNeeded(archive=self._path)
        chosen.sort(key=attrgetter("offset"))
        yield from self._parallel_jobs([located for located in chosen if is_readable_here(located)])
        foreign = [located for located in chosen if not is_readable_here(located)]
        for has_aes in (False, True):
            group = [located.member for located in foreign if (located.aes is not None) == has_aes]
            if group:
                yield ForeignZipJob(
                    path=self._path,
                    identity=self._identity,
                    numbers=[member.number for member in group],
                    weight=sum(member.size for member in group),
                    has_aes=has_aes,
                    password=self._password,
                )

    def _parallel_jobs(self, chosen: list[Located]) -> Iterator[ZipJob]:
        batch: list[Wanted] = []
        weight = 0
        for located in chosen:
            size = located.member.size
            if batch and (weight + size > _JOB_BYTES or len(batch) >= _JOB_MEMBERS):
                yield self._job(batch, weight)
                batch, weight = [], 0
            batch.append(Wanted.of(located))
            weight += size
        if batch:
            yield self._job(batch, weight)

    def _job(self, batch: list[Wanted], weight: int) -> ZipJob:
        return ZipJob(path=self._path, identity=self._identity, wanted=batch, weight=weight, password=self._password)
