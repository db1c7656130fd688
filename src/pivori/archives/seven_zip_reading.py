"""Reading a 7z: its directory through py7zr, its content through the 7-Zip program where there is one.

A solid 7z is one long stream, so there is one job, which reads everything and hands on what is wanted.
"""

import io
import lzma
import queue
import stat
import threading
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from pivori.archives.container import (
    DOCUMENT_TOO_LARGE,
    TARGET_TOO_LONG,
    ArchiveDamaged,
    ArchiveFormat,
    Member,
    NotAnArchive,
    PasswordNeeded,
    Piece,
    ReadJob,
    WrongArchivePassword,
)
from pivori.archives.manifest import MANIFEST_NAME
from pivori.archives.seven_zip_program import failure_of, seven_zip_program, start_seven_zip
from pivori.entries import EntryKind
from pivori.translation import N_, Phrase

_EPOCH_1601: Final = 116_444_736_000_000_000
"""1970 on the clock of Windows, which counts units of 100 ns from 1601."""
_PART: Final = 1 << 20
_WAITING_PARTS: Final = 8
_LONGEST_TARGET: Final = 1 << 16
_ENDS_EARLY: Final = N_("its content ends early")
_BAD_CHECKSUM: Final = N_("the checksum of {member} is wrong")
_KINDS: Final = {stat.S_IFREG: EntryKind.FILE, stat.S_IFLNK: EntryKind.SYMLINK, stat.S_IFIFO: EntryKind.FIFO, 0: None}


class _Located(NamedTuple):
    """A member that has content, and the content's checksum."""

    member: Member
    crc: int | None
    stored_name: str


def open_seven_zip(path: Path, *, password: str | None = None) -> "SevenZipArchive":
    """Open a 7z. Raises NotAnArchive, ArchiveDamaged, PasswordNeeded, WrongArchivePassword, OSError."""
    return SevenZipArchive(path, password)


class SevenZipArchive:
    """An open 7z."""

    format = ArchiveFormat.SEVEN_ZIP

    def __init__(self, path: Path, password: str | None) -> None:
        self._path = path
        self._password = password
        self._located = _read_directory(path, password)
        self.members: Sequence[Member] = [located.member for located in self._located]
        if not any(member.name == MANIFEST_NAME for member in self.members):
            self._fill_targets()

    def __enter__(self) -> "SevenZipArchive":
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""

    def _fill_targets(self) -> None:
        """Read the targets of symbolic links, which are their content. Where there is a manifest, it has them."""
        links = [member for member in self.members if member.kind is EntryKind.SYMLINK and member.size]
        if any(member.size > _LONGEST_TARGET for member in links):
            raise ArchiveDamaged(archive=str(self._path), reason=TARGET_TOO_LONG)
        if not links or (self._password is None and any(member.is_encrypted for member in links)):
            return
        targets = dict.fromkeys((member.number for member in links), b"")
        for piece in self._job(set(targets)).pieces():
            targets[piece.number] += piece.content
        self.members = [
            member._replace(target=targets[member.number]) if member.number in targets else member
            for member in self.members
        ]

    def read(self, member: Member, most: int) -> bytes:
        """The content of a small member. Raises ArchiveDamaged when it is over ``most`` bytes."""
        if member.size > most:
            raise ArchiveDamaged(archive=str(self._path), reason=DOCUMENT_TOO_LARGE)
        return b"".join(piece.content for piece in self._job({member.number}, alone=True).pieces())

    def jobs(self, wanted: Collection[int] | None = None) -> Iterator[ReadJob]:
        """One job: a solid archive is read from its beginning whatever is wanted of it."""
        if wanted is None:
            wanted = [member.number for member in self.members if member.kind is EntryKind.FILE]
        if wanted:
            yield self._job(set(wanted))

    def _job(self, wanted: set[int], *, alone: bool = False) -> "SevenZipJob":
        content = [located for located in self._located if located.member.kind is not EntryKind.DIRECTORY]
        return SevenZipJob(str(self._path), self._password, content, wanted, alone=alone)


class SevenZipJob:
    """Reads the content of a 7z from its beginning; hands on the wanted members."""

    def __init__(
        self, path: str, password: str | None, content: list[_Located], wanted: set[int], *, alone: bool
    ) -> None:
        """``alone``: the wanted members are asked for by name, which is quick for what lies in a block of its own."""
        self._path = path
        self._password = password
        self._wanted = wanted
        self._alone = alone
        self._content = [each for each in content if not alone or each.member.number in wanted]
        self.weight = sum(located.member.size for located in self._content)

    def pieces(self) -> Iterator[Piece]:
        """The content, member by member. Raises ArchiveDamaged, WrongArchivePassword, PasswordNeeded."""
        program = seven_zip_program()
        stream = self._from_program(program) if program is not None else self._from_library()
        for located in self._content:
            yield from self._member(located, stream)
        for _rest in stream:
            raise ArchiveDamaged(archive=self._path, reason=N_("it holds more than its directory says"))

    def _member(self, located: _Located, stream: "Iterator[bytes]") -> Iterator[Piece]:
        member, is_wanted = located.member, located.member.number in self._wanted
        part, crc, left = b"", 0, member.size
        while left:
            part = next_part(stream, left)
            if not part:
                raise ArchiveDamaged(archive=self._path, reason=_ENDS_EARLY)
            left -= len(part)
            crc = zlib.crc32(part, crc)
            if left and is_wanted:
                yield Piece(member.number, part, False)
        if located.crc is not None and crc != located.crc:
            shown = member.name.decode(errors="backslashreplace")
            raise ArchiveDamaged(archive=self._path, reason=Phrase(_BAD_CHECKSUM, member=shown))
        if is_wanted:
            yield Piece(member.number, part, True)

    def _from_program(self, program: str) -> "_Parts":
        names = [located.stored_name for located in self._content] if self._alone else []
        arguments = ["-so", "--", self._path, *names]
        return _Parts(lambda: _program_parts(program, arguments, self._path, self._password))

    def _from_library(self) -> "_Parts":
        names = [located.stored_name for located in self._content] if self._alone else None
        return _Parts(lambda: _library_parts(self._path, self._password, names))


class _Parts:
    """A stream of parts, of which a piece may be put back."""

    def __init__(self, start: Callable[[], Iterator[bytes]]) -> None:
        self._parts = start()
        self._rest = b""

    def __iter__(self) -> "_Parts":
        return self

    def __next__(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest or next(self._parts)

    def put_back(self, rest: bytes) -> None:
        """Give these bytes again with the next part."""
        self._rest = rest


def next_part(stream: "Iterator[bytes]", most: int) -> bytes:
    """The next bytes of a stream, at most ``most``; empty at its end."""
    part = next(stream, b"")
    if len(part) > most and isinstance(stream, _Parts):
        stream.put_back(part[most:])
        return part[:most]
    return part


def _program_parts(program: str, arguments: list[str], path: str, password: str | None) -> Iterator[bytes]:
    """What 7-Zip unpacks to its standard output."""
    with start_seven_zip(program, "x", arguments, password=password) as running:
        assert running.stdout is not None  # noqa: S101 - a pipe was asked for
        while part := running.stdout.read(_PART):
            yield part
        status, errors = running.finish()
        if status:
            raise failure_of(path, errors, password)


def _library_parts(path: str, password: str | None, names: Collection[str] | None) -> Iterator[bytes]:
    """What py7zr unpacks, which pushes where 7-Zip is pulled: it works in a thread, a few parts ahead."""
    parts: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING_PARTS)
    stopped = threading.Event()

    def run() -> None:
        try:
            _push(path, password, names, parts, stopped)
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised where the parts are read
            _give(parts, error, stopped)
        else:
            _give(parts, None, stopped)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (part := parts.get()) is not None:
            if isinstance(part, BaseException):
                raise _library_failure(path, part, password)
            yield part
    finally:
        stopped.set()
        with suppress(queue.Empty):
            while True:
                parts.get_nowait()
        thread.join()


class _Stopped(Exception):
    """Nobody wants the rest."""


def _give(parts: "queue.Queue[Any]", part: object, stopped: threading.Event) -> None:
    while not stopped.is_set():
        with suppress(queue.Full):
            parts.put(part, timeout=0.1)
            return


def _push(
    path: str,
    password: str | None,
    names: Collection[str] | None,
    parts: "queue.Queue[Any]",
    stopped: threading.Event,
) -> None:
    import py7zr  # loaded here: it takes long, and few archives are 7z

    class Sink(py7zr.Py7zIO):
        """Takes what is unpacked."""

        def write(self, content: bytes | bytearray) -> int:
            if stopped.is_set():
                raise _Stopped
            _give(parts, bytes(content), stopped)
            return len(content)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            """Nothing waits here."""

        def size(self) -> int:
            return 0

    class Factory(py7zr.WriterFactory):
        """One sink for every member: they come in their order."""

        def create(self, filename: str) -> py7zr.Py7zIO:
            return Sink()

    # From an open file it reads in order; of a path it would read several blocks at once.
    with Path(path).open("rb") as file, py7zr.SevenZipFile(file, password=password) as archive:
        archive.extract(targets=None if names is None else list(names), factory=Factory())


def _read_directory(path: Path, password: str | None) -> list[_Located]:
    import py7zr  # loaded here: it takes long, and few archives are 7z

    try:
        with py7zr.SevenZipFile(path, password=password) as archive:
            is_encrypted = archive.needs_password()
            return [_located(number, item, is_encrypted) for number, item in enumerate(archive.files)]
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - py7zr raises whatever it stumbles over in a damaged file
        raise _library_failure(str(path), error, password) from None


def _located(number: int, item: Any, is_encrypted: bool) -> _Located:
    name: str = item.filename
    mode = item.posix_mode
    if item.is_directory:
        kind: EntryKind | None = EntryKind.DIRECTORY
    else:
        kind = EntryKind.FILE if item.st_fmt is None else _KINDS.get(item.st_fmt)
    changed = item.lastwritetime
    member = Member(
        number=number,
        name=name.encode("utf-8", "surrogatepass").rstrip(b"/"),
        kind=kind,
        mode=mode,
        mtime_ns=0 if changed is None else (int(changed) - _EPOCH_1601) * 100,
        size=0 if item.is_directory or item.emptystream else int(item.uncompressed or 0),
        is_encrypted=is_encrypted,
    )
    return _Located(member, None if item.emptystream else item.crc32, name)


def _library_failure(path: str, error: BaseException, password: str | None) -> BaseException:
    """The error that py7zr's stands for."""
    import py7zr.exceptions  # loaded already

    if isinstance(error, (OSError, ArchiveDamaged, PasswordNeeded, WrongArchivePassword)):
        return error
    if isinstance(error, py7zr.exceptions.PasswordRequired):
        return PasswordNeeded(archive=path)
    if isinstance(error, py7zr.exceptions.Bad7zFile) and "not a 7z" in str(error):
        return NotAnArchive(archive=path, reason=N_("its first bytes are those of no known format"))
    if password is not None and isinstance(error, (lzma.LZMAError, py7zr.exceptions.CrcError, zlib.error)):
        # With another password the bytes decrypt to noise, which is all that py7zr notices.
        return WrongArchivePassword(archive=path)
    reason = N_("it ends early") if isinstance(error, (EOFError, io.UnsupportedOperation)) else str(error)
    return ArchiveDamaged(archive=path, reason=reason or type(error).__name__)
