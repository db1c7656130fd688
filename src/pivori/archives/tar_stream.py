"""Reading any tar from the beginning to the end: plain, or compressed with zstd, gzip, xz or bzip2."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from pivori.archives.container import ArchiveDamaged, Member, NotAnArchive, Piece, check_identity
from pivori.entries import EntryKind
from pivori.translation import N_, Phrase

_PART: Final = 1 << 20
_LARGEST_RECORD: Final = 16 << 20
_LARGEST_WINDOW: Final = 1 << 27
_FEWEST_ALLOWED: Final = 10_000
_BYTES_PER_MEMBER: Final = 4
_SECOND: Final = 1_000_000_000
_XATTR: Final = "SCHILY.xattr."
_BAD_STREAM: Final = N_("it cannot be decompressed ({reason})")
_CUT_OFF: Final = N_("it is cut off")
_BAD_HEADER: Final = N_("it has a header that cannot be read")
_TOO_MANY: Final = N_("it has more members than a file of its length can have")
_EMPTY: Final = N_("nothing in it is a tar")

_ERRORS: Final = (zstandard.ZstdError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, MemoryError)
_KINDS: Final = {
    tarfile.REGTYPE: EntryKind.FILE,
    tarfile.AREGTYPE: EntryKind.FILE,
    tarfile.CONTTYPE: EntryKind.FILE,
    tarfile.GNUTYPE_SPARSE: EntryKind.FILE,
    tarfile.LNKTYPE: EntryKind.FILE,
    tarfile.DIRTYPE: EntryKind.DIRECTORY,
    tarfile.SYMTYPE: EntryKind.SYMLINK,
    tarfile.FIFOTYPE: EntryKind.FIFO,
}


def _plain(file: IO[bytes]) -> Any:
    """The tar inside a file, decompressed as it is read."""
    beginning = file.read(6)
    file.seek(0)
    if beginning.startswith(b"\x28\xb5\x2f\xfd"):
        decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        return decompressor.stream_reader(file, read_size=_PART, read_across_frames=True)
    if beginning.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if beginning.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(file)
    return bz2.BZ2File(file) if beginning.startswith(b"BZh") else file


class _Forward(io.RawIOBase):
    """A stream that can be read and skipped, as tarfile does it with a file it cannot go back in."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._position = 0
        self.last_block = b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        while self._position < position:
            skipped = len(self._file.read(min(_PART, position - self._position)))
            if not skipped:
                break
            self._position += skipped
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_RECORD:
            raise tarfile.ReadError("a record is too long")
        content = self._file.read(size)
        parts = [content]
        got = len(content)
        while got < size and (content := self._file.read(size - got)):
            parts.append(content)
            got += len(content)
        self._position += got
        content = b"".join(parts)
        if size == tarfile.BLOCKSIZE:
            self.last_block = content
        return content


@contextmanager
def _opened(path: str, identity: tuple[int, int] | None = None) -> Iterator[tuple[tarfile.TarFile, _Forward, int]]:
    """The tar, its stream and the length of its file; what is wrong with it becomes ArchiveDamaged."""
    with Path(path).open("rb") as file:
        if identity is not None:
            check_identity(path, file.fileno(), identity)
        try:
            stream = _Forward(_plain(file))
            with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape", encoding="utf-8") as tar:
                yield tar, stream, os.fstat(file.fileno()).st_size
        except _ERRORS as error:
            raise ArchiveDamaged(archive=path, reason=Phrase(_BAD_STREAM, reason=str(error))) from None
        except OSError as error:
            if error.errno is not None:  # of the system; what bzip2 finds wrong with the content has none
                raise
            raise ArchiveDamaged(archive=path, reason=Phrase(_BAD_STREAM, reason=str(error))) from None
        except tarfile.ReadError:
            raise NotAnArchive(archive=path, reason=_EMPTY) from None
        except (tarfile.TarError, ValueError, OverflowError, UnicodeError):
            raise ArchiveDamaged(archive=path, reason=_BAD_HEADER) from None


def _headers(path: str, tar: tarfile.TarFile, stream: _Forward) -> Iterator[tarfile.TarInfo]:
    """The members; raises ArchiveDamaged when they stop before the end mark of the archive."""
    try:
        while (info := tar.next()) is not None:
            yield info
            tar.members = []  # type: ignore[attr-defined]  # tarfile keeps them all otherwise
    except tarfile.ReadError:
        raise ArchiveDamaged(archive=path, reason=_CUT_OFF) from None
    if len(stream.last_block) != tarfile.BLOCKSIZE or stream.last_block.count(0) != tarfile.BLOCKSIZE:
        raise ArchiveDamaged(archive=path, reason=_BAD_HEADER if stream.last_block else _CUT_OFF)
    while stream.read(_PART):
        pass  # up to the end: what compresses it has a checksum there


def list_members(path: str) -> list[Member]:
    """All members. Raises NotAnArchive, ArchiveDamaged."""
    members: list[Member] = []
    with _opened(path) as (tar, stream, length):
        most = max(_FEWEST_ALLOWED, length // _BYTES_PER_MEMBER)
        for info in _headers(path, tar, stream):
            if len(members) >= most:
                raise ArchiveDamaged(archive=path, reason=_TOO_MANY)
            members.append(_member(len(members), info))
    return members


def _member(number: int, info: tarfile.TarInfo) -> Member:
    is_link = info.type == tarfile.LNKTYPE
    kind = _KINDS.get(info.type, EntryKind.FILE if info.type not in tarfile.SUPPORTED_TYPES else None)
    target = _raw(info.linkname)
    return Member(
        number,
        _raw(info.name).rstrip(b"/"),
        kind,
        info.mode & 0o7777,
        _nanoseconds(info),
        info.size if kind is EntryKind.FILE and not is_link else 0,
        target if kind is EntryKind.SYMLINK else b"",
        target if is_link else None,
        False,
        info.uid,
        info.gid,
        info.uname,
        info.gname,
        tuple((_attribute_name(key), _raw(value)) for key, value in info.pax_headers.items() if key.startswith(_XATTR)),
    )


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _attribute_name(key: str) -> bytes:
    return _raw(key[len(_XATTR) :]).replace(b"%3D", b"=").replace(b"%25", b"%")


def _nanoseconds(info: tarfile.TarInfo) -> int:
    """The time, exactly as the text of a pax record has it."""
    text = info.pax_headers.get("mtime", "")
    whole, _, fraction = text.partition(".")
    try:
        nanoseconds = int((fraction + "0" * 9)[:9]) if fraction else 0
        if whole:
            return int(whole) * _SECOND + (-nanoseconds if whole.startswith("-") else nanoseconds)
    except ValueError:
        pass
    return int(info.mtime * _SECOND)


@dataclass(frozen=True, kw_only=True)
class StreamJob:
    """The reading of members of any tar, by going through all of it."""

    path: str
    identity: tuple[int, int]
    wanted: frozenset[int]
    weight: int

    def pieces(self) -> Iterator[Piece]:
        """The content of the members. After an error nothing more comes."""
        left = len(self.wanted)
        with _opened(self.path, self.identity) as (tar, stream, _):
            for number, info in enumerate(_headers(self.path, tar, stream)):
                if number not in self.wanted:
                    continue
                yield from self._content(number, tar, info)
                left -= 1
                if not left:
                    return

    def _content(self, number: int, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[Piece]:
        file = tar.extractfile(info) if info.isreg() else None
        left = info.size if file is not None else 0
        while file is not None and left > _PART:
            content = file.read(_PART)
            left -= len(content)
            yield Piece(number, content, False)
        content = file.read(left) if file is not None and left else b""
        if len(content) != left:
            raise ArchiveDamaged(archive=self.path, reason=_CUT_OFF)
        yield Piece(number, content, True)
