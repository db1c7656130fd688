"""Files as a tar stream: what ``tar -x`` brings back by hand."""

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pivori.components.base import ReadInto, Source
from pivori.components.git.errors import CaptureDamaged
from pivori.host.owners import group_name, user_name
from pivori.translation import N_

_PIECE: Final = 1 << 20
_BLOCK: Final = tarfile.BLOCKSIZE


def tar_of(files: Sequence[tuple[str, Path]]) -> ReadInto:
    """A tar of files and links by their names, read as it is made. What went away meanwhile is left out."""
    pieces = _tar(files)
    left = memoryview(b"")

    def read_into(buffer: memoryview) -> int:
        nonlocal left
        while not left:
            piece = next(pieces, None)
            if piece is None:
                return 0
            left = memoryview(piece)
        count = min(len(left), len(buffer))
        buffer[:count] = left[:count]
        left = left[count:]
        return count

    return read_into


def _tar(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    for name, path in files:
        try:
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode):
                yield _head(name, facts, link=str(path.readlink()))
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                continue
            yield _head(name, facts)
            left = facts.st_size
            while left:
                # A file that became shorter is filled up: that it changed is found out afterwards.
                piece = file.read(min(_PIECE, left)) or bytes(min(_PIECE, left))
                left -= len(piece)
                yield piece
            yield bytes(-facts.st_size % _BLOCK)
    yield bytes(2 * _BLOCK)


def _head(name: str, facts: os.stat_result, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(facts.st_mode)
    info.uid, info.gid = facts.st_uid, facts.st_gid
    info.uname, info.gname = user_name(facts.st_uid), group_name(facts.st_gid)
    info.mtime = int(facts.st_mtime)
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    else:
        info.size = facts.st_size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


class _Pieces:
    """Pieces as a file that tarfile reads from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        parts = []
        while size > 0:
            if not self._left:
                self._left = next(self._pieces, b"")
                if not self._left:
                    break
            parts.append(self._left[:size])
            self._left = self._left[size:]
            size -= len(parts[-1])
        return b"".join(parts)


def unpack(source: Source, path: str, folder: Path, *, only: str = "", is_git_folder: bool = False) -> int:
    """Write the files of a tar into a folder: how many bytes. Raises CaptureDamaged, NotCaptured, OSError.

    Nothing is written outside of the folder, and nothing of a work tree into ``.git``.
    """
    written = 0
    try:
        stream: Any = _Pieces(source.pieces(path))  # has `read`, which is all that a streamed tar wants
        with tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as tar:
            for member in tar:
                if only and member.name != only:
                    continue
                parts = PurePosixPath(member.name).parts
                if member.name.startswith("/") or ".." in parts or not parts:
                    raise CaptureDamaged(path=path, reason=N_("it has a name that leads out of the folder"))
                if not is_git_folder and any(part.lower() == ".git" for part in parts):
                    raise CaptureDamaged(path=path, reason=N_("it has a name that leads into the repository"))
                _write(tar, member, _clear(folder, parts))
                written += member.size
    except tarfile.TarError as error:
        raise CaptureDamaged(path=path, reason=str(error)) from None
    return written


def _clear(folder: Path, parts: Sequence[str]) -> Path:
    """The place of a file, with real folders above it and nothing at it."""
    place = folder
    for part in parts[:-1]:
        place /= part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        place.mkdir(exist_ok=True)
    place /= parts[-1]
    if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
        place.unlink()
    return place


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    if member.issym():
        place.symlink_to(member.linkname)
        return
    content = tar.extractfile(member)
    if content is None:
        return
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file, content:
        while piece := content.read(_PIECE):
            file.write(piece)
        file.flush()
        os.fchmod(descriptor, member.mode & 0o7777)
    os.utime(place, (member.mtime, member.mtime))
