"""Making a data directory of a base backup, and laying the log beside it."""

import os
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pivori.components.base import Source
from pivori.components.postgres_physical.account import Account
from pivori.components.postgres_physical.archives import Content, members, tablespace_folder
from pivori.components.postgres_physical.facts import BaseFacts, Facts, history_path
from pivori.host.durable import sync_folder

LOG_FOLDER: Final = "pivori_wal"
"""In the data directory while it is brought back."""

_NOT_WANTED: Final = {
    PurePosixPath("standby.signal"),
    PurePosixPath("recovery.signal"),
    PurePosixPath("postmaster.pid"),
}
_BUFFER: Final = 1 << 20


@dataclass
class Unpacking:
    """A data directory that is being written; ``tablespaces`` is the folder of its tablespaces."""

    source: Source
    facts: Facts
    base: BaseFacts
    data: Path
    tablespaces: Path
    account: Account
    written: int = 0

    def run(self) -> int:
        """Write everything: how many bytes. Raises BaseDamaged, OSError and what reading raises."""
        self._folder(self.data)
        for archive, location in self.base.archives.items():
            if not location:
                self._archive(archive, self.data)
                continue
            place = self.tablespaces / archive.removesuffix(".tar")
            for folder in (self.tablespaces, place):
                self._folder(folder)
            self._archive(archive, place)
            link = self.data / tablespace_folder(archive, self.base)
            self._folder(link.parent)
            _link(link, place, self.account)
        self._log()
        return self.written

    def _archive(self, archive: str, top: Path) -> None:
        """Unpack a tar. The links of tablespaces in it are made anew, others are left out: the server makes none."""
        for place, member, content in members(self.source, f"{self.base.folder}/{archive}"):
            if place in _NOT_WANTED:
                continue
            if content is not None:
                self._file(top / place, member, content)
            elif member.isdir():
                self._folder(top / place)

    def _folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.account.own(path)

    def _file(self, path: Path, member: tarfile.TarInfo, content: Content) -> None:
        if not path.parent.is_dir():
            self._folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, member.mode & 0o700)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while piece := content.read(_BUFFER):
                file.write(piece)
                self.written += len(piece)
        os.utime(path, (member.mtime, member.mtime))
        self.account.own(path)

    def _log(self) -> None:
        """Lay the segments that recovery reads where it looks for them: whole ones, the last filled up with zeros."""
        folder = self.data / LOG_FOLDER
        self._folder(folder)
        for path, name, _first, _length in self.facts.log_files(self.base):
            self._segment(path, folder / name)
            os.truncate(folder / name, self.facts.segment_size)
        history = history_path(self.facts.timeline)
        if any(file.path == history for file in self.source.files("wal")):
            self._segment(history, folder / PurePosixPath(history).name)

    def _segment(self, path: str, place: Path) -> None:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in self.source.pieces(path):
                file.write(piece)
                self.written += len(piece)
        self.account.own(place)


def link_tablespaces(data: Path, made: Path, place: Path, account: Account) -> None:
    """Have a data directory find its tablespaces in ``place``, where those in the folder ``made`` are moved."""
    if not made.exists():
        return
    for space in made.iterdir():
        _link(data / "pg_tblspc" / space.name, place / space.name, account)
    sync_folder(data / "pg_tblspc")


def _link(link: Path, place: Path, account: Account) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(place)
    account.own(link)
