"""Inflating members of a zip, in whichever process takes the job."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pivori.archives.container import (
    BAD_CONTENT,
    ArchiveDamaged,
    PasswordNeeded,
    Piece,
    WrongArchivePassword,
    check_identity,
)
from pivori.archives.deflating import InflateError, Inflater, crc32, inflate
from pivori.archives.zip_aes import MAC_BYTES, AesCipher, header_bytes
from pivori.archives.zip_directory import Aes, Located
from pivori.archives.zip_format import DEFLATED, LOCAL, LOCAL_SIGNATURE, STORED
from pivori.translation import N_, Phrase

WHOLE: Final = 8 << 20
"""Members up to this many bytes are inflated at once."""
_PART: Final = 1 << 20
_WINDOW: Final = 4 << 20

_BAD_HEADER: Final = N_("the header of {member} is not what the directory says")
_BAD_STREAM: Final = N_("the content of {member} cannot be decompressed")
_CUT_OFF: Final = N_("it ends within {member}")


class Wanted(NamedTuple):
    """What a job has to know of a member; it travels to the worker."""

    number: int
    name: bytes
    offset: int
    limit: int
    stored_size: int
    size: int
    crc: int
    method: int
    aes: Aes | None

    @classmethod
    def of(cls, located: Located) -> "Wanted":
        """What of a located member matters for reading it."""
        member = located.member
        return cls(
            member.number,
            member.name,
            located.offset,
            located.limit,
            located.stored_size,
            member.size,
            located.crc,
            located.method,
            located.aes,
        )


def is_readable_here(located: Located) -> bool:
    """Whether :class:`ZipJob` can read a member: stored or deflated, in the clear or with AES."""
    return located.method in (STORED, DEFLATED) and (located.aes is not None or not located.member.is_encrypted)


@dataclass(frozen=True, kw_only=True)
class ZipJob:
    """The reading of some members of a zip, in the order in which they lie in the file."""

    path: str
    identity: tuple[int, int]
    wanted: list[Wanted]
    weight: int
    password: bytes | None = field(default=None, repr=False)

    def pieces(self) -> Iterator[Piece]:
        """The content of the members; it can be asked on after an error, for the members that follow."""
        return _Pieces(self)


def verify_password(descriptor: int, archive: str, wanted: Wanted, password: bytes) -> None:
    """Try a password on a member with AES, as far as two bytes tell. Raises WrongArchivePassword."""
    if wanted.aes is None:
        return
    header = os.pread(descriptor, LOCAL.size, wanted.offset)
    if len(header) < LOCAL.size:
        return
    fields = LOCAL.unpack(header)
    length = header_bytes(wanted.aes.strength)
    start = os.pread(descriptor, length, wanted.offset + LOCAL.size + fields[9] + fields[10])
    if len(start) == length and AesCipher(password, start[:-2], wanted.aes.strength).header != start:
        raise WrongArchivePassword(archive=archive)


class _Pieces(Iterator[Piece]):
    """Gives the pieces of a job. An error of one member leaves the others readable."""

    _descriptor = -1
    """None yet: an object whose making was interrupted is cleared away as well."""

    def __init__(self, job: ZipJob) -> None:
        self._job = job
        self._left = iter(job.wanted)
        self._parts: Iterator[Piece] | None = None
        self._end = max(wanted.limit for wanted in job.wanted) if job.wanted else 0
        self._window = memoryview(b"")
        self._window_at = 0
        self._descriptor = os.open(job.path, os.O_RDONLY | os.O_CLOEXEC)
        check_identity(job.path, self._descriptor, job.identity)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def __next__(self) -> Piece:
        if self._parts is not None:
            parts, self._parts = self._parts, None
            piece = next(parts)
            if not piece.is_last:
                self._parts = parts
            return piece
        wanted = next(self._left)
        start = self._content_start(wanted)
        if wanted.size <= WHOLE and wanted.stored_size <= WHOLE:
            return Piece(wanted.number, self._whole(wanted, start), True)
        self._parts = self._stream(wanted, start)
        return next(self)

    def _bytes(self, wanted: Wanted, start: int, count: int) -> memoryview:
        """Bytes of the file, read ahead for the members that follow. Raises ArchiveDamaged when they are not there."""
        begin = start - self._window_at
        if begin < 0 or begin + count > len(self._window):
            length = max(count, min(_WINDOW, self._end - start))
            self._window = memoryview(os.pread(self._descriptor, length, start))
            self._window_at, begin = start, 0
            if len(self._window) < count:
                raise self._damaged(_CUT_OFF, wanted)
        return self._window[begin : begin + count]

    def _damaged(self, reason: str, wanted: Wanted) -> ArchiveDamaged:
        member = wanted.name.decode(errors="backslashreplace")
        return ArchiveDamaged(archive=self._job.path, reason=Phrase(reason, member=member))

    def _content_start(self, wanted: Wanted) -> int:
        fixed = LOCAL.unpack(self._bytes(wanted, wanted.offset, LOCAL.size))
        name_at = wanted.offset + LOCAL.size
        start = name_at + fixed[9] + fixed[10]
        if fixed[0] != LOCAL_SIGNATURE or start + wanted.stored_size > wanted.limit:
            raise self._damaged(_BAD_HEADER, wanted)
        return int(start)

    def _whole(self, wanted: Wanted, start: int) -> bytes | bytearray:
        stored = self._bytes(wanted, start, wanted.stored_size)
        if wanted.aes is not None:
            stored = memoryview(self._decrypted(wanted, wanted.aes, stored))
        if wanted.method == STORED:
            content: bytes | bytearray = bytes(stored)
        else:
            try:
                content = inflate(stored, wanted.size)
            except InflateError:
                raise self._damaged(_BAD_STREAM, wanted) from None
        if len(content) != wanted.size or (crc32(content) != wanted.crc and (wanted.aes is None or wanted.aes.has_crc)):
            raise self._damaged(BAD_CONTENT, wanted)
        return content

    def _cipher(self, wanted: Wanted, aes: Aes, header: memoryview) -> AesCipher:
        if self._job.password is None:
            raise PasswordNeeded(archive=self._job.path)
        cipher = AesCipher(self._job.password, bytes(header[:-2]), aes.strength)
        if cipher.header != header:
            raise WrongArchivePassword(archive=self._job.path)
        return cipher

    def _decrypted(self, wanted: Wanted, aes: Aes, stored: memoryview) -> bytes:
        length = header_bytes(aes.strength)
        if len(stored) < length + MAC_BYTES:
            raise self._damaged(BAD_CONTENT, wanted)
        cipher = self._cipher(wanted, aes, stored[:length])
        content = cipher.decrypt(stored[length:-MAC_BYTES])
        if cipher.mac() != stored[-MAC_BYTES:]:
            raise self._damaged(BAD_CONTENT, wanted)
        return content

    def _stored_parts(self, wanted: Wanted, start: int) -> Iterator[bytes | memoryview]:
        """The compressed bytes of a large member, decrypted."""
        end = start + wanted.stored_size
        cipher = None
        if wanted.aes is not None:
            length = header_bytes(wanted.aes.strength)
            if wanted.stored_size < length + MAC_BYTES:
                raise self._damaged(BAD_CONTENT, wanted)
            cipher = self._cipher(wanted, wanted.aes, self._bytes(wanted, start, length))
            start, end = start + length, end - MAC_BYTES
        while start < end:
            part = self._bytes(wanted, start, min(_PART, end - start))
            start += len(part)
            yield part if cipher is None else cipher.decrypt(part)
        if cipher is not None and cipher.mac() != self._bytes(wanted, end, MAC_BYTES):
            raise self._damaged(BAD_CONTENT, wanted)

    def _stream(self, wanted: Wanted, start: int) -> Iterator[Piece]:
        """The pieces of a large member; the last one only when everything was right."""
        crc, left = 0, wanted.size
        inflater = Inflater(_PART) if wanted.method == DEFLATED else None
        before = b""
        try:
            for stored in self._stored_parts(wanted, start):
                for part in (bytes(stored),) if inflater is None else inflater.parts(stored):
                    left -= len(part)
                    if left < 0:
                        raise self._damaged(BAD_CONTENT, wanted)
                    crc = crc32(part, crc)
                    if before:
                        yield Piece(wanted.number, before, False)
                    before = part
        except InflateError:
            raise self._damaged(_BAD_STREAM, wanted) from None
        if left or (crc != wanted.crc and (wanted.aes is None or wanted.aes.has_crc)):
            raise self._damaged(BAD_CONTENT, wanted)
        yield Piece(wanted.number, before, True)
