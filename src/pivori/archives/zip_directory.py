"""The central directory of a zip, read with distrust: members may neither overlap nor leave the file."""

import functools
import os
import stat
import struct
import time
from collections.abc import Iterator
from operator import itemgetter
from typing import Final, NamedTuple

from pivori.archives.container import ArchiveDamaged, Member, NotAnArchive
from pivori.archives.zip_aes import STRENGTHS
from pivori.archives.zip_format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    ENCRYPTED,
    END,
    END_SIGNATURE,
    IS_UTF8,
    LIMIT,
    LOCAL,
    ZIP64_END,
    ZIP64_END_SIGNATURE,
    ZIP64_LOCATOR,
    ZIP64_LOCATOR_SIGNATURE,
)
from pivori.entries import EntryKind
from pivori.translation import N_

_LONGEST_COMMENT: Final = 0xFFFF
_MADE_BY_UNIX: Final = (3, 19)
"""Unix, and Darwin."""
_TIME_ALONE: Final = b"UT\5\0\1"
_TIME_ALONE_BYTES: Final = 9
"""The extra field of nearly every member: nothing but the time of the last change."""
_MS_DIRECTORY: Final = 0x10
_AES_METHOD: Final = 99
_SECOND: Final = 1_000_000_000
_KINDS: Final = {
    0: EntryKind.FILE,
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFIFO: EntryKind.FIFO,
}
_CUT_OFF: Final = N_("its directory of members is cut off")
_OVERLAP: Final = N_("its members overlap")
_NO_ZIP: Final = N_("it does not end as a zip does")


class Aes(NamedTuple):
    """WinZip's encryption of a member: the strength's number; whether its checksum counts."""

    strength: int
    has_crc: bool


class Located(NamedTuple):
    """A member and where it is: its local header at ``offset``, everything of it before ``limit``."""

    member: Member
    offset: int
    limit: int
    stored_size: int
    crc: int
    method: int
    aes: Aes | None


_Found = tuple[int, Member, int, int, int, Aes | None]
"""Offset, member, stored size, checksum, method and encryption, before it is known where the member ends."""


def read_directory(descriptor: int, archive: str) -> list[Located]:
    """The members of the zip that is open, in the order of the directory. Raises NotAnArchive, ArchiveDamaged."""
    length = os.fstat(descriptor).st_size
    start, size, shift = _find_directory(descriptor, length, archive)
    content = os.pread(descriptor, size, start)
    if len(content) != size:
        raise ArchiveDamaged(archive=archive, reason=_CUT_OFF)
    try:
        members = list(_members(content, shift))
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ArchiveDamaged(archive=archive, reason=_CUT_OFF) from None
    return _with_limits(members, start, archive)


def _find_directory(descriptor: int, length: int, archive: str) -> tuple[int, int, int]:
    """Where the directory is, how long, and what is to be added to all offsets (a program before the zip)."""
    tail_start = max(0, length - _LONGEST_COMMENT - END.size)
    tail = os.pread(descriptor, length - tail_start, tail_start)
    position = _find_end(tail)
    if position < 0:
        raise NotAnArchive(archive=archive, reason=_NO_ZIP)
    _, disk, first_disk, _, count, size, offset, _ = END.unpack_from(tail, position)
    end = tail_start + position
    wide = _zip64_end(descriptor, end)
    if wide is not None:
        end, count, size, offset = wide
    elif disk != first_disk or disk not in (0, 0xFFFF):
        raise NotAnArchive(archive=archive, reason=N_("it is one part of several"))
    start = end - size
    if start < 0 or offset > start or (count == 0) != (size == 0):
        raise ArchiveDamaged(archive=archive, reason=_CUT_OFF)
    return start, size, start - offset


def _find_end(tail: bytes) -> int:
    """The position of the end record: the last one whose comment reaches to the end of the file; -1 without one."""
    signature = END_SIGNATURE.to_bytes(4, "little")
    position = tail.rfind(signature)
    while position >= 0:
        if position + END.size <= len(tail):
            comment = END.unpack_from(tail, position)[-1]
            if position + END.size + comment == len(tail):
                return position
        position = tail.rfind(signature, 0, position) if position else -1
    return -1


def _zip64_end(descriptor: int, end: int) -> tuple[int, int, int, int] | None:
    """Position of the wide end record, number of members, size and offset of the directory; None without one."""
    locator_at = end - ZIP64_LOCATOR.size
    if locator_at < 0:
        return None
    locator = os.pread(descriptor, ZIP64_LOCATOR.size, locator_at)
    signature, _, stated, _ = ZIP64_LOCATOR.unpack(locator)
    if signature != ZIP64_LOCATOR_SIGNATURE:
        return None
    for position in (stated, locator_at - ZIP64_END.size):
        if 0 <= position <= locator_at - ZIP64_END.size:
            record = ZIP64_END.unpack(os.pread(descriptor, ZIP64_END.size, position))
            if record[0] == ZIP64_END_SIGNATURE:
                return position, record[7], record[8], record[9]
    return None


def _members(content: bytes, shift: int) -> Iterator[_Found]:
    position, number = 0, 0
    end = len(content)
    unpack, fixed = CENTRAL.unpack_from, CENTRAL.size
    while position < end:
        fields = unpack(content, position)
        if fields[0] != CENTRAL_SIGNATURE:
            raise IndexError
        name_at = position + fixed
        extra_at = name_at + fields[10]
        position = extra_at + fields[11] + fields[12]
        if position > end:
            raise IndexError
        yield _found(number, fields, content[name_at:extra_at], content[extra_at : extra_at + fields[11]], shift)
        number += 1


def _found(number: int, fields: tuple[int, ...], name: bytes, extra: bytes, shift: int) -> _Found:
    made_by, flags, method, crc = fields[1], fields[3], fields[4], fields[7]
    stored_size, size, offset = fields[8], fields[9], fields[16]
    mtime = uid = gid = aes = None
    if len(extra) == _TIME_ALONE_BYTES and extra.startswith(_TIME_ALONE):
        mtime = int.from_bytes(extra[len(_TIME_ALONE) :], "little", signed=True)
    elif extra:
        facts = _Extra(size=size, stored_size=stored_size, offset=offset)
        facts.read(extra)
        size, stored_size, offset = facts.size, facts.stored_size, facts.offset
        mtime, uid, gid = facts.mtime, facts.uid, facts.gid
        if method == _AES_METHOD and facts.aes is not None:
            aes, method = facts.aes
    is_unix = made_by >> 8 in _MADE_BY_UNIX
    if not flags & IS_UTF8 and not is_unix and not name.isascii():
        name = name.decode("cp437").encode()
    kind, mode = _kind(fields[15], name.endswith(b"/"), is_unix)
    if kind is EntryKind.DIRECTORY:
        name = name.rstrip(b"/")
    if mtime is None:
        mtime = _dos_seconds(fields[5], fields[6])
    encrypted = flags & ENCRYPTED != 0
    member = Member(number, name, kind, mode, mtime * _SECOND, size, b"", None, encrypted, uid, gid)
    return offset + shift, member, stored_size, crc, method, aes


@functools.lru_cache(maxsize=4096)
def _kind(attributes: int, ends_with_slash: bool, is_unix: bool) -> tuple[EntryKind | None, int | None]:
    """What a member is, and its mode where it has one."""
    bits = attributes >> 16
    if not is_unix or not bits:
        is_directory = ends_with_slash or bool(attributes & _MS_DIRECTORY)
        return EntryKind.DIRECTORY if is_directory else EntryKind.FILE, None
    kind = _KINDS.get(stat.S_IFMT(bits))
    if kind is EntryKind.FILE and ends_with_slash:
        kind = EntryKind.DIRECTORY
    return kind, bits & 0o7777


class _Extra:
    """What the extra fields of a directory entry say."""

    __slots__ = ("aes", "gid", "mtime", "offset", "size", "stored_size", "uid")

    def __init__(self, size: int, stored_size: int, offset: int) -> None:
        self.size = size
        self.stored_size = stored_size
        self.offset = offset
        self.mtime: int | None = None
        self.uid: int | None = None
        self.gid: int | None = None
        self.aes: tuple[Aes, int] | None = None

    def read(self, extra: bytes) -> None:
        """Take the fields that are known. Raises struct.error when one is cut off."""
        position = 0
        while position + 4 <= len(extra):
            kind, length = struct.unpack_from("<HH", extra, position)
            position += 4
            value = extra[position : position + length]
            position += length
            if kind == 0x5455 and length >= 5 and value[0] & 1:
                self.mtime = int.from_bytes(value[1:5], "little", signed=True)
            elif kind == 0x7875 and length == 11 and value[:2] == b"\x01\x04":
                self.uid = int.from_bytes(value[2:6], "little")
                self.gid = int.from_bytes(value[7:11], "little")
            elif kind == 1:
                self._read_zip64(value)
            elif kind == 0x9901:
                version, _, strength, method = struct.unpack("<H2sBH", value)
                if strength not in STRENGTHS:
                    raise struct.error("unknown strength")
                self.aes = Aes(strength, version == 1), method

    def _read_zip64(self, value: bytes) -> None:
        numbers = [number for (number,) in struct.iter_unpack("<Q", value[: len(value) // 8 * 8])]
        for field in ("size", "stored_size", "offset"):
            if getattr(self, field) == LIMIT:
                setattr(self, field, numbers.pop(0))


def _dos_seconds(time_: int, date: int) -> int:
    """A time of MS-DOS, which is local, as seconds since 1970; impossible ones as zero."""
    moment = (1980 + (date >> 9), date >> 5 & 15, date & 31, time_ >> 11, time_ >> 5 & 63, (time_ & 31) * 2, 0, 0, -1)
    try:
        return int(time.mktime(moment))
    except (OverflowError, ValueError):
        return 0


def _with_limits(found: list[_Found], directory: int, archive: str) -> list[Located]:
    """The same with their limits: the next member, or the directory. Raises ArchiveDamaged when members overlap."""
    located: dict[int, Located] = {}
    limit = directory
    for offset, member, stored_size, crc, method, aes in sorted(found, key=itemgetter(0), reverse=True):
        if offset < 0 or offset + LOCAL.size + stored_size > limit:
            raise ArchiveDamaged(archive=archive, reason=_OVERLAP)
        located[member.number] = Located(member, offset, limit, stored_size, crc, method, aes)
        limit = offset
    return [located[number] for number in range(len(found))]
