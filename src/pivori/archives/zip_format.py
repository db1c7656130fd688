"""The records of a zip file: local headers, central directory, end (APPNOTE.TXT 6.3, with zip64 and Info-ZIP's fields).

Names are UTF-8 and flagged as such when they are; times are also in the ``UT`` field (whole seconds). Owners
are in ``ux``, of the local header only: that is where unzip looks for them, and the manifest has them anyway.
Numbers that do not fit are in the zip64 field.
"""

import functools
import stat
import struct
import time
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from pivori.entries import EntryKind

STORED: Final = 0
DEFLATED: Final = 8
ENCRYPTED: Final = 1
HAS_DESCRIPTOR: Final = 1 << 3
IS_UTF8: Final = 1 << 11
LIMIT: Final = 0xFFFFFFFF
"""What does not fit below this is in the zip64 field."""

LOCAL: Final = struct.Struct("<IHHHHHIIIHH")
LOCAL_SIGNATURE: Final = 0x04034B50
CENTRAL_SIGNATURE: Final = 0x02014B50
DESCRIPTOR_SIGNATURE: Final = 0x08074B50
END_SIGNATURE: Final = 0x06054B50
ZIP64_END_SIGNATURE: Final = 0x06064B50
ZIP64_LOCATOR_SIGNATURE: Final = 0x07064B50

CENTRAL: Final = struct.Struct("<IHHHHHHIIIHHHHHII")
_END_OF_CENTRAL: Final = struct.Struct("<HHHII")
_START: Final = struct.Struct("<HH")
_SIZES: Final = struct.Struct("<IIIH")
_NUMBER: Final = struct.Struct("<H")
_MADE_BY: Final = 3 << 8 | 45
LOCAL_MAGIC: Final = LOCAL_SIGNATURE.to_bytes(4, "little")
_CENTRAL_MAGIC: Final = CENTRAL_SIGNATURE.to_bytes(4, "little") + _MADE_BY.to_bytes(2, "little")
_UT: Final = struct.Struct("<HHBi")
_UX: Final = struct.Struct("<HHBBIBI")
END: Final = struct.Struct("<IHHHHIIH")
ZIP64_END: Final = struct.Struct("<IQHHIIQQQQ")
ZIP64_LOCATOR: Final = struct.Struct("<IIQI")

_PLAIN: Final = 20
_ZIP64: Final = 45
_AES: Final = 51
_AES_METHOD: Final = 99
_AES_FIELD: Final = 0x9901
_LARGEST_ID: Final = 0xFFFFFFFF
_MOST_COUNTED: Final = 0xFFFF
_MS_DIRECTORY: Final = 0x10

_TYPE_BITS: Final = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.DIRECTORY: stat.S_IFDIR,
    EntryKind.SYMLINK: stat.S_IFLNK,
    EntryKind.FIFO: stat.S_IFIFO,
}


@dataclass(slots=True)
class ZipMember:
    """What the headers of one member say. ``name`` of a directory ends with a slash.

    ``has_descriptor``: sizes and checksum follow the content. ``is_wide``: the local header has room for sizes over
    4 GiB, whatever they turn out to be.
    """

    name: bytes
    kind: EntryKind
    mode: int
    mtime_ns: int
    uid: int
    gid: int
    size: int = 0
    stored_size: int = 0
    crc: int = 0
    method: int = STORED
    is_encrypted: bool = False
    has_descriptor: bool = False
    is_wide: bool = False


def headers(member: ZipMember) -> tuple[bytes, bytes]:
    """What stands before a member's content, and its entry in the central directory as if the former were at zero.

    Both share most of their bytes. With a descriptor the sizes are not known yet in the first one.
    """
    if member.has_descriptor or member.is_wide or member.size >= LIMIT or member.stored_size >= LIMIT:
        return _wide_local_header(member), _wide_central_header(member)
    name = member.name
    known = _known_fields(member.mtime_ns // 1_000_000_000, member.uid, member.gid, member.mode, member.kind)
    if member.is_encrypted or not name.isascii():
        known = known._replace(
            start=_START.pack(_AES if member.is_encrypted else _PLAIN, _flags(member)),
            time_field=known.time_field + _aes_field(member) if member.is_encrypted else known.time_field,
        )
    sizes = _SIZES.pack(member.crc, member.stored_size, member.size, len(name))
    method = _NUMBER.pack(_AES_METHOD if member.is_encrypted else member.method)
    shared = b"".join((known.start, method, known.dos_time, sizes))
    length = len(known.time_field)
    return (
        b"".join(
            (
                LOCAL_MAGIC,
                shared,
                _NUMBER.pack(length + len(known.owner_field)),
                name,
                known.time_field,
                known.owner_field,
            )
        ),
        b"".join((_CENTRAL_MAGIC, shared, _NUMBER.pack(length), known.end, name, known.time_field)),
    )


class _Known(NamedTuple):
    """The parts of the headers that many members share."""

    start: bytes
    dos_time: bytes
    time_field: bytes
    owner_field: bytes
    end: bytes


@functools.lru_cache(maxsize=4096)
def _known_fields(seconds: int, uid: int, gid: int, mode: int, kind: EntryKind) -> _Known:
    time_field, owner_field = _unix_fields(seconds, uid, gid)
    end = _END_OF_CENTRAL.pack(0, 0, 0, _attributes(mode, kind), 0)
    return _Known(_START.pack(_PLAIN, 0), struct.pack("<HH", *_dos_time(seconds)), time_field, owner_field, end)


def _shared(member: ZipMember, version: int, size: int, stored_size: int) -> bytes:
    """The fields that both headers have, in the same order."""
    seconds = member.mtime_ns // 1_000_000_000
    return b"".join(
        (
            _START.pack(version, _flags(member)),
            _NUMBER.pack(_AES_METHOD if member.is_encrypted else member.method),
            struct.pack("<HH", *_dos_time(seconds)),
            _SIZES.pack(member.crc, stored_size, size, len(member.name)),
        )
    )


def _attributes(mode: int, kind: EntryKind) -> int:
    attributes = (_TYPE_BITS[kind] | mode) << 16
    return attributes | _MS_DIRECTORY if kind is EntryKind.DIRECTORY else attributes


def _wide_local_header(member: ZipMember) -> bytes:
    """The local header with the sizes in the zip64 field, or zeros there when they follow the content."""
    known = replace(member, size=0, stored_size=0, crc=0) if member.has_descriptor else member
    extra = struct.pack("<HHQQ", 1, 16, known.size, known.stored_size) + b"".join(_other_fields(member))
    version = max(_ZIP64, _AES if member.is_encrypted else 0)
    shared = _shared(known, version, LIMIT, LIMIT)
    return b"".join((LOCAL_MAGIC, shared, _NUMBER.pack(len(extra)), member.name, extra))


def _wide_central_header(member: ZipMember) -> bytes:
    """The entry of the directory; only what does not fit is in the zip64 field."""
    wide = b"".join(number.to_bytes(8, "little") for number in (member.size, member.stored_size) if number >= LIMIT)
    extra = (struct.pack("<HH", 1, len(wide)) + wide if wide else b"") + _other_fields(member)[0]
    version = max(_ZIP64, _AES if member.is_encrypted else 0)
    shared = _shared(member, version, min(member.size, LIMIT), min(member.stored_size, LIMIT))
    rest = _NUMBER.pack(len(extra)) + _END_OF_CENTRAL.pack(0, 0, 0, _attributes(member.mode, member.kind), 0)
    return b"".join((_CENTRAL_MAGIC, shared, rest, member.name, extra))


def _other_fields(member: ZipMember) -> tuple[bytes, bytes]:
    """The fields of both headers, and those of the local header alone."""
    time_field, owner_field = _unix_fields(member.mtime_ns // 1_000_000_000, member.uid, member.gid)
    return time_field + _aes_field(member) if member.is_encrypted else time_field, owner_field


def descriptor(member: ZipMember) -> bytes:
    """What stands after the content of a member whose header did not know its sizes."""
    return struct.pack("<IIQQ", DESCRIPTOR_SIGNATURE, member.crc, member.stored_size, member.size)


_VERSION_AT: Final = 6
_OFFSET_AT: Final = 42
_NAME_LENGTH_AT: Final = 28
_EXTRA_LENGTH_AT: Final = 30


def place_header(header: bytes, offset: int) -> bytes:
    """A central header that was made for offset zero, for another offset."""
    if offset < LIMIT:
        return header[:_OFFSET_AT] + offset.to_bytes(4, "little") + header[CENTRAL.size :]
    name_length = int.from_bytes(header[_NAME_LENGTH_AT:_EXTRA_LENGTH_AT], "little")
    extra_at = CENTRAL.size + name_length
    extra = header[extra_at:]
    wide, rest = b"", extra
    if extra[:2] == b"\x01\0":
        end = 4 + int.from_bytes(extra[2:4], "little")
        wide, rest = extra[4:end], extra[end:]
    wide += offset.to_bytes(8, "little")
    extra = struct.pack("<HH", 1, len(wide)) + wide + rest
    fixed = bytearray(header[: CENTRAL.size])
    struct.pack_into("<H", fixed, _VERSION_AT, max(_ZIP64, struct.unpack_from("<H", fixed, _VERSION_AT)[0]))
    struct.pack_into("<H", fixed, _EXTRA_LENGTH_AT, len(extra))
    struct.pack_into("<I", fixed, _OFFSET_AT, LIMIT)
    return bytes(fixed) + header[CENTRAL.size : extra_at] + extra


def end_records(count: int, directory_size: int, directory_offset: int) -> bytes:
    """What ends the file, behind the central directory."""
    records = b""
    if count >= _MOST_COUNTED or directory_size >= LIMIT or directory_offset >= LIMIT:
        size = ZIP64_END.size - 12
        records = ZIP64_END.pack(
            ZIP64_END_SIGNATURE,
            size,
            _MADE_BY,
            _ZIP64,
            0,
            0,
            count,
            count,
            directory_size,
            directory_offset,
        )
        records += ZIP64_LOCATOR.pack(ZIP64_LOCATOR_SIGNATURE, 0, directory_offset + directory_size, 1)
    counted = min(count, _MOST_COUNTED)
    return records + END.pack(
        END_SIGNATURE, 0, 0, counted, counted, min(directory_size, LIMIT), min(directory_offset, LIMIT), 0
    )


def _flags(member: ZipMember) -> int:
    flags = HAS_DESCRIPTOR if member.has_descriptor else 0
    if member.is_encrypted:
        flags |= ENCRYPTED
    if not member.name.isascii() and _is_utf8(member.name):
        flags |= IS_UTF8
    return flags


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unix_fields(mtime: int, uid: int, gid: int) -> tuple[bytes, bytes]:
    """The time in seconds, and the numbers of the owner, as far as the fields can hold them."""
    time_field = _UT.pack(0x5455, 5, 1, mtime) if -(1 << 31) <= mtime < 1 << 31 else b""
    has_owner = 0 <= uid <= _LARGEST_ID and 0 <= gid <= _LARGEST_ID
    return time_field, _UX.pack(0x7875, 11, 1, 4, uid, 4, gid) if has_owner else b""


def _aes_field(member: ZipMember) -> bytes:
    """WinZip's field: AE-2 (no checksum beside the authentication), AES-256, and how the content is compressed."""
    return struct.pack("<HHH2sBH", _AES_FIELD, 7, 2, b"AE", 3, member.method)


@functools.lru_cache(maxsize=256)
def _dos_time(seconds: int) -> tuple[int, int]:
    """A time as MS-DOS kept it, local, in steps of two seconds, from 1980 to 2107."""
    try:
        moment = time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        return 0, 0x21
    if not 1980 <= moment.tm_year <= 2107:
        return 0, 0x21
    return (
        moment.tm_hour << 11 | moment.tm_min << 5 | min(moment.tm_sec, 59) // 2,
        moment.tm_year - 1980 << 9 | moment.tm_mon << 5 | moment.tm_mday,
    )
