"""A capture in a folder: the simplest place a component can write to and be brought back from.

Components are tested against it without a repository. ``FolderSink`` finishes into a ``FolderCapture``, which is the
``Source`` and, for the next capture, the previous one.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pivori.components.base import NotCaptured, ReadInto, Report, Stored, TreeFacts


@dataclass(frozen=True)
class _File:
    path: str
    size: int


class FolderCapture:
    """What was captured: files below ``folder``, and the report."""

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder = folder
        self._report = report

    @property
    def report(self) -> Report:
        """What the component said of it."""
        return self._report

    def files(self, folder: str = "") -> Iterator[_File]:
        """Its regular files below a folder, in the order of their paths."""
        top = self.folder / folder
        for path in sorted(item for item in top.rglob("*") if item.is_file() and not item.is_symlink()):
            yield _File(str(path.relative_to(self.folder)), path.stat().st_size)

    def pieces(self, path: str) -> Iterator[bytes]:
        """The content of a file, piece by piece."""
        with self._open(path) as file:
            while piece := file.read(1 << 20):
                yield piece

    def read(self, path: str, most: int = 16 << 20) -> bytes:
        """The content of a file of at most so many bytes."""
        with self._open(path) as file:
            return file.read(most)

    def write_tree(self, folder: str, target: Path, *, only: Sequence[str] = ()) -> int:
        """Write what is below ``folder`` into ``target``."""
        written = 0
        top = self.folder / folder
        for chosen in [top / name for name in only] or [top]:
            place = target / chosen.relative_to(top)
            if chosen.is_dir():
                shutil.copytree(chosen, place, symlinks=True, dirs_exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(chosen, place, follow_symlinks=False)
            files = chosen.rglob("*") if chosen.is_dir() else [chosen]
            written += sum(item.lstat().st_size for item in files if item.is_file())
        return written

    def _open(self, path: str) -> BinaryIO:
        try:
            return (self.folder / path).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise NotCaptured(path=path, component=self.folder.name) from None


class FolderSink:
    """Takes a capture into an empty folder."""

    def __init__(self, folder: Path, before: FolderCapture | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._before = before
        self.kept: list[str] = []

    @property
    def previous(self) -> Report | None:
        """The report of the capture before."""
        return self._before.report if self._before is not None else None

    def finish(self, report: Report) -> FolderCapture:
        """The capture, whole."""
        return FolderCapture(self.folder, report)

    def stream(self, path: str, read: ReadInto) -> Stored:
        """A file, with the content that ``read`` gives."""
        digest, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(1 << 20))
        with self._new(path).open("xb") as file:
            while count := read(buffer):
                file.write(buffer[:count])
                digest.update(buffer[:count])
                size += count
        return Stored(size=size, sha256=digest.hexdigest())

    def document(self, path: str, content: bytes) -> Stored:
        """A small file."""
        with self._new(path).open("xb") as file:
            file.write(content)
        return Stored(size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def tree(
        self, roots: Sequence[Path], *, exclude: Sequence[str] = (), strategy: str = "", one_file_system: bool = False
    ) -> TreeFacts:
        """Folders and files, copied below their full paths; ``exclude`` knows names of the last component only."""
        files = size = 0
        for root in roots:
            place = self._new(str(root).lstrip("/"))
            if root.is_dir():
                shutil.copytree(root, place, symlinks=True, ignore=shutil.ignore_patterns(*exclude))
            else:
                shutil.copy2(root, place, follow_symlinks=False)
            for item in [place, *place.rglob("*")] if place.is_dir() else [place]:
                if item.is_file() and not item.is_symlink():
                    files, size = files + 1, size + item.stat().st_size
        return TreeFacts(files=files, bytes=size)

    def keep(self, path: str) -> Stored | None:
        """Take a file over from the capture before."""
        if self._before is None or not (self._before.folder / path).is_file():
            return None
        self.kept.append(path)
        content = (self._before.folder / path).read_bytes()
        return self.document(path, content)

    def names(self, folder: str) -> Sequence[str]:
        """The paths of the files directly below a folder of the capture before."""
        top = self._before.folder / folder if self._before is not None else None
        if top is None or not top.is_dir():
            return []
        return sorted(os.path.join(folder, item.name) for item in top.iterdir() if item.is_file())  # noqa: PTH118 - a path of the capture

    def _new(self, path: str) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place
