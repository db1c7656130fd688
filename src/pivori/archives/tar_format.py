"""Headers of a tar archive: POSIX.1-2001 (pax), as GNU tar, bsdtar and Python read it.

Whatever the old header cannot hold goes into a pax record before it: long names, names that are not ASCII, large
numbers, fractions of a second, extended attributes (``SCHILY.xattr.…``, star's convention, which the others took over)
and ACLs (``SCHILY.acl.…`` as text). Values are the raw bytes, as GNU tar writes them; the record ``hdrcharset=BINARY``,
which POSIX has for names that are not UTF-8, is left out because GNU tar complains of it and nobody needs it.
The same entry always gives the same bytes.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

BLOCK: Final = 512
_RECORD: Final = 20 * BLOCK
_SECOND: Final = 1_000_000_000
_NAME_BYTES: Final = 100
_OWNER_BYTES: Final = 31
_LARGEST_SMALL: Final = 0o7777777
_LARGEST: Final = 0o77777777777

REGULAR, HARD_LINK, SYMBOLIC_LINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO = b"0123456"
_EXTENSION: Final = ord("x")

_ACL_KEYS: Final = {
    b"system.posix_acl_access": b"SCHILY.acl.access",
    b"system.posix_acl_default": b"SCHILY.acl.default",
}
_ACL_TAGS: Final = {1: b"user", 2: b"user", 4: b"group", 8: b"group", 16: b"mask", 32: b"other"}
_ACL_NAMED: Final = (2, 8)
_ACL_VERSION: Final = 2
_ACL_ENTRY: Final = struct.Struct("<HHI")


@dataclass(frozen=True, kw_only=True)
class TarEntry:
    """One item of an archive. ``name`` has no slash in front; ``target`` is that of a link of either kind."""

    name: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    user: str
    group: str
    mtime_ns: int
    size: int = 0
    target: bytes = b""
    device: int = 0
    attributes: Sequence[tuple[bytes, bytes]] = ()


def header(entry: TarEntry) -> bytes:
    """The blocks that come before an entry's content."""
    return header_of(
        entry.name,
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.user,
        entry.group,
        entry.mtime_ns,
        entry.size,
        entry.target,
        entry.attributes,
        entry.device if entry.kind in (CHARACTER_DEVICE, BLOCK_DEVICE) else 0,
    )


def header_of(
    name: bytes,
    kind: int,
    mode: int,
    uid: int,
    gid: int,
    user: str,
    group: str,
    mtime_ns: int,
    size: int = 0,
    target: bytes = b"",
    attributes: Sequence[tuple[bytes, bytes]] = (),
    device: int = 0,
) -> bytes:
    """The same, of an entry in its parts."""
    if kind == DIRECTORY:
        name += b"/"
    frame = _frame(kind, mode, uid, gid, target, user, group, device)
    seconds, fraction = divmod(mtime_ns, _SECOND)
    block = _block(frame, name, size, seconds)
    records = frame.records
    if len(name) > _NAME_BYTES or not name.isascii():
        records += _record(b"path", name)
    if size > _LARGEST:
        records += _record(b"size", b"%d" % size)
    if fraction or not 0 <= seconds <= _LARGEST:
        records += _record(b"mtime", _decimal(mtime_ns))
    if attributes:
        records += b"".join(_record(*record) for record in dict(map(_attribute_record, attributes)).items())
    if not records:
        return block
    return b"".join((_extension_block(len(records)), records, bytes(-len(records) % BLOCK), block))


def padding(size: int) -> bytes:
    """The zeros after ``size`` bytes of content, up to the next block."""
    return bytes(-size % BLOCK)


def trailer(size: int) -> bytes:
    """The end of an archive whose entries take ``size`` bytes: two empty blocks, and zeros up to a whole record."""
    return bytes(2 * BLOCK + -(size + 2 * BLOCK) % _RECORD)


class _Frame(NamedTuple):
    """The parts of a header that many entries share, the sum of their bytes and of the empty checksum, and the pax
    records of what these parts cannot hold.
    """

    after_name: bytes
    after_checksum: bytes
    total: int
    records: bytes


@lru_cache(maxsize=1024)
def _frame(kind: int, mode: int, uid: int, gid: int, target: bytes, user: str, group: str, device: int) -> _Frame:
    owner = (user.encode("utf-8", "surrogateescape"), group.encode("utf-8", "surrogateescape"))
    after_name = b"".join((_octal(mode, 8), _octal(uid, 8), _octal(gid, 8)))
    after_checksum = b"".join(
        (
            bytes((kind,)),
            _ascii(target)[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0"),
            b"ustar\x0000",
            *(_ascii(text)[:_OWNER_BYTES].ljust(_OWNER_BYTES + 1, b"\0") for text in owner),
            _octal(os.major(device), 8),
            _octal(os.minor(device), 8),
            bytes(155 + 12),
        )
    )
    total = sum(after_name) + sum(after_checksum) + 8 * ord(" ")
    return _Frame(after_name, after_checksum, total, _shared_records(target, user, group, uid, gid))


def _block(frame: _Frame, name: bytes, size: int, mtime: int) -> bytes:
    """One ustar header; what does not fit is cut off, or zero where it is a number."""
    shown = _ascii(name)[:_NAME_BYTES]
    numbers = _octal(size, 12) + _octal(mtime, 12)
    return b"".join(
        (
            shown.ljust(_NAME_BYTES, b"\0"),
            frame.after_name,
            numbers,
            b"%06o\0 " % (frame.total + sum(shown) + sum(numbers)),
            frame.after_checksum,
        )
    )


@lru_cache(maxsize=1024)
def _extension_block(size: int) -> bytes:
    """The header of the pax records of an entry; its name is what Python's tarfile calls it."""
    return _block(_frame(_EXTENSION, 0o644, 0, 0, b"", "", "", 0), b"././@PaxHeader", size, 0)


def _octal(number: int, width: int) -> bytes:
    if not 0 <= number < 1 << 3 * (width - 1):
        number = 0
    return b"%0*o\0" % (width - 1, number)


def _ascii(text: bytes) -> bytes:
    """The text for readers that know only the old header."""
    return text if text.isascii() else bytes(byte if byte < 0x80 else ord("?") for byte in text)


def _shared_records(target: bytes, user: str, group: str, uid: int, gid: int) -> bytes:
    """The pax records of what the header cannot hold of an owner and a target."""
    records = []
    if len(target) > _NAME_BYTES or not target.isascii():
        records.append(_record(b"linkpath", target))
    for key, text in ((b"uname", user), (b"gname", group)):
        raw = text.encode("utf-8", "surrogateescape")
        if len(raw) > _OWNER_BYTES or not raw.isascii():
            records.append(_record(key, raw))
    for key, number in ((b"uid", uid), (b"gid", gid)):
        if number > _LARGEST_SMALL:
            records.append(_record(key, b"%d" % number))
    return b"".join(records)


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH key=value`` and a line feed, the length counting its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _decimal(ns: int) -> bytes:
    seconds, fraction = divmod(abs(ns), _SECOND)
    text = f"{'-' if ns < 0 else ''}{seconds}.{fraction:09d}"
    return text.rstrip("0").rstrip(".").encode()


def _attribute_record(attribute: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The record of an extended attribute; ``%`` and ``=`` in its name are escaped as GNU tar does it."""
    name, value = attribute
    text = acl_text(value) if name in _ACL_KEYS else None
    if text is not None:
        return _ACL_KEYS[name], text
    return b"SCHILY.xattr." + name.replace(b"%", b"%25").replace(b"=", b"%3D"), value


def acl_text(value: bytes) -> bytes | None:
    """A POSIX ACL as text, ``user::rw-,group::r--,…``; None when the value is none.

    Linux keeps it as a version and entries of tag, permissions and id, all little endian
    (``include/uapi/linux/posix_acl_xattr.h``).
    """
    if len(value) < 4 or int.from_bytes(value[:4], "little") != _ACL_VERSION or (len(value) - 4) % _ACL_ENTRY.size:
        return None
    entries = []
    for tag, permissions, number in _ACL_ENTRY.iter_unpack(value[4:]):
        if tag not in _ACL_TAGS:
            return None
        who = b"%d" % number if tag in _ACL_NAMED else b""
        letters = bytes(
            letter if permissions & bit else ord("-") for letter, bit in zip(b"rwx", (4, 2, 1), strict=True)
        )
        entries.append(b"%b:%b:%b" % (_ACL_TAGS[tag], who, letters))
    return b",".join(entries)
