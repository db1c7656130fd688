"""Members of other programs' zips that are packed in ways this program never writes: bzip2, LZMA, ZipCrypto."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pivori.archives.container import (
    BAD_CONTENT,
    ArchiveDamaged,
    PasswordNeeded,
    Piece,
    WrongArchivePassword,
    check_identity,
)
from pivori.translation import N_, Phrase

_PART: Final = 1 << 20
_UNKNOWN: Final = N_("{member} is packed in a way that is not known here")
_CHECKED_AFTER_PASSWORD: Final = "password"  # noqa: S105 - a word of zipfile's message
_ERRORS: Final = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)


@dataclass(frozen=True, kw_only=True)
class ForeignZipJob:
    """The reading of members, one after the other, by the standard library or, with AES, by pyzipper."""

    path: str
    identity: tuple[int, int]
    numbers: list[int]
    weight: int
    has_aes: bool
    password: bytes | None = field(default=None, repr=False)

    def pieces(self) -> Iterator[Piece]:
        """The content of the members; it can be asked on after an error, for the members that follow."""
        return _Pieces(self)


class _Pieces(Iterator[Piece]):
    """Gives the pieces of a job."""

    def __init__(self, job: ForeignZipJob) -> None:
        self._job = job
        self._left = iter(job.numbers)
        self._parts: Iterator[Piece] | None = None
        with Path(job.path).open("rb") as file:
            check_identity(job.path, file.fileno(), job.identity)
        self._archive: Any = _opened(job)
        self._members = self._archive.infolist()

    def __del__(self) -> None:
        archive = getattr(self, "_archive", None)
        if archive is not None:
            archive.close()

    def __next__(self) -> Piece:
        if self._parts is None:
            self._parts = self._read(next(self._left))
        parts, self._parts = self._parts, None
        piece = next(parts)
        if not piece.is_last:
            self._parts = parts
        return piece

    def _read(self, number: int) -> Iterator[Piece]:
        info = self._members[number]
        member = info.filename
        try:
            with self._archive.open(info, pwd=self._job.password) as file:
                left = info.file_size
                while left > _PART:
                    content = file.read(_PART)
                    left -= len(content)
                    if not content:
                        raise EOFError
                    yield Piece(number, content, False)
                content = file.read(left)
                # One byte more makes the library compare the checksum.
                if len(content) != left or file.read(1):
                    raise EOFError
                yield Piece(number, content, True)
        except NotImplementedError:  # how the library refuses a method or an encryption that it does not know
            raise ArchiveDamaged(archive=self._job.path, reason=Phrase(_UNKNOWN, member=member)) from None
        except RuntimeError as error:
            if _CHECKED_AFTER_PASSWORD not in str(error):
                raise
            missing = self._job.password is None
            raise (PasswordNeeded if missing else WrongArchivePassword)(archive=self._job.path) from None
        except _ERRORS:
            raise ArchiveDamaged(archive=self._job.path, reason=Phrase(BAD_CONTENT, member=member)) from None


def _opened(job: ForeignZipJob) -> Any:
    try:
        if job.has_aes:
            import pyzipper  # loaded for these members only

            return pyzipper.AESZipFile(job.path)
        return zipfile.ZipFile(job.path)
    except _ERRORS as error:
        raise ArchiveDamaged(archive=job.path, reason=str(error)) from None
