"""The tars of a base backup, read member by member while they come out of the repository."""

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, cast

from pivori.components.base import ComponentFailed, Source
from pivori.components.postgres_physical.facts import BaseFacts
from pivori.translation import N_

_BUFFER = 1 << 20


class BaseDamaged(ComponentFailed):
    """A base backup is not what the server sent."""

    code = "postgres-base-damaged"
    message = N_("The file {path} of the base backup is damaged: {reason}.")
    hint = N_("Choose another recovery point with --at, and verify the repository with `pivori verify`.")


class _Pieces:
    """Pieces of bytes as a file that can be read from its start to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only."""
        found: list[memoryview] = []
        while size > 0:
            if not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._left = memoryview(piece)
            found.append(self._left[:size])
            size -= len(found[-1])
            self._left = self._left[len(found[-1]) :]
        return b"".join(found)


class Content:
    """The content of a file in a tar."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self._file = file
        self._path = path

    def read(self, size: int) -> bytes:
        """At most so many bytes of it, none at its end. Raises BaseDamaged."""
        try:
            return self._file.read(size)
        except tarfile.TarError as error:
            raise BaseDamaged(path=self._path, reason=str(error)) from None


def members(source: Source, path: str) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo, Content | None]]:
    """What is in a tar of a capture: where it goes below the tar's own folder, its heading, its content.

    Raises BaseDamaged, for a place outside of that folder too, and what reading raises.
    """
    try:
        with tarfile.open(
            fileobj=cast("IO[bytes]", _Pieces(iter(source.pieces(path)))), mode="r|", bufsize=_BUFFER
        ) as tar:
            for member in tar:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts:
                    raise BaseDamaged(
                        path=path, reason=N_("one of its members has a name that leads out of its folder")
                    )
                file = tar.extractfile(member) if member.isreg() else None
                yield place, member, None if file is None else Content(file, path)
    except (tarfile.TarError, EOFError) as error:
        raise BaseDamaged(path=path, reason=str(error)) from None


def tablespace_folder(archive: str, base: BaseFacts) -> str:
    """Below which folder of the data directory a tar goes; empty for the main one."""
    return f"pg_tblspc/{archive.removesuffix('.tar')}" if base.archives[archive] else ""
