"""What the tests of container formats share: a tree looked at, put into an archive, and read out of it again."""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from msgspec import structs

from pivori.archives.container import ArchiveFormat, Captured, Effort, Member, OpenArchive, Piece, WriteRequest
from pivori.archives.formats import WRITERS, open_container
from pivori.archives.manifest import MANIFEST_NAME
from pivori.archives.reading_crew import run_jobs
from pivori.entries import Entry, EntryKind
from pivori.host import group_name, read_attributes, user_name

MANIFEST = b'{"this":"stands for the manifest"}'
FORMATS = (ArchiveFormat.ZIP, ArchiveFormat.TAR_ZST)


def look(root: Path) -> list[Entry]:
    """The entries below a directory, sorted by path, hard links named after the first of them."""
    found: list[Entry] = []
    first: dict[tuple[int, int], bytes] = {}
    names = [
        os.path.relpath(os.path.join(above, name), os.fsencode(root))
        for above, directories, files in os.walk(os.fsencode(root))
        for name in (*directories, *files)
    ]
    for path in sorted(names):
        whole = os.path.join(os.fsencode(root), path)
        entry, status = entry_of(whole, path), os.lstat(whole)
        link = None
        if entry.kind is EntryKind.FILE and status.st_nlink > 1:
            link = first.setdefault((status.st_dev, status.st_ino), path)
        hard_link = None if link == path else link
        found.append(structs.replace(entry, user="somebody", group="people", hard_link=hard_link))
    return found


def entry_of(whole: bytes, path: bytes) -> Entry:
    """The entry of what lies at ``whole``, under another path, without digest and hard link."""
    status = os.lstat(whole)
    kind = {
        stat.S_IFREG: EntryKind.FILE,
        stat.S_IFDIR: EntryKind.DIRECTORY,
        stat.S_IFLNK: EntryKind.SYMLINK,
        stat.S_IFIFO: EntryKind.FIFO,
    }[stat.S_IFMT(status.st_mode)]
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        mtime_ns=status.st_mtime_ns,
        uid=status.st_uid,
        gid=status.st_gid,
        user=user_name(status.st_uid),
        group=group_name(status.st_gid),
        size=status.st_size if kind is EntryKind.FILE else 0,
        target=os.readlink(whole) if kind is EntryKind.SYMLINK else b"",
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
        device_id=status.st_dev,
        attributes=tuple(read_attributes(whole)),
    )


@dataclass
class Made:
    """An archive that was written, and what the writer said of it."""

    path: Path
    captured: Captured
    reports: list[tuple[int, int, bytes]] = field(default_factory=list)

    def by_path(self) -> dict[bytes, Entry]:
        """The entries that were captured."""
        return {entry.path: entry for entry in self.captured.entries}


def make(
    format_: ArchiveFormat,
    root: Path,
    out: Path | BinaryIO,
    *,
    entries: list[Entry] | None = None,
    workers: int = 1,
    effort: Effort = Effort.NORMAL,
    password: str | None = None,
    names: Mapping[bytes, bytes] | None = None,
    documents: Mapping[bytes, bytes] | None = None,
    manifest: Callable[[Captured], bytes] = lambda captured: MANIFEST,
) -> Made:
    """Write an archive of a directory."""
    request = WriteRequest(
        root=root,
        entries=look(root) if entries is None else entries,
        documents=documents or {},
        manifest=manifest,
        names=names or {},
        effort=effort,
        password=password,
        workers=workers,
    )
    reports: list[tuple[int, int, bytes]] = []
    with out.open("wb") if isinstance(out, Path) else out as file:
        captured = WRITERS[format_](request, file, progress=lambda *report: reports.append(report))
    return Made(out if isinstance(out, Path) else Path(), captured, reports)


class Digests:
    """Takes the pieces of a job: the digest and size of each member, by its number."""

    def __call__(self, pieces: Iterator[Piece]) -> dict[int, tuple[int, str]]:
        """Consume a job."""
        found: dict[int, tuple[int, str]] = {}
        content = b""
        for number, part, is_last in pieces:
            content += part
            if is_last:
                assert number not in found
                found[number] = len(content), hashlib.sha256(content).hexdigest()
                content = b""
        assert not content
        return found


def digests(archive: OpenArchive, workers: int = 1) -> dict[bytes, tuple[int, str]]:
    """Size and digest of all contents of an archive, by name."""
    found: dict[bytes, tuple[int, str]] = {}
    for result in run_jobs(archive.jobs(), Digests(), workers):
        for number, seen in result.items():
            assert archive.members[number].name not in found
            found[archive.members[number].name] = seen
    return found


def contents(path: Path, password: str | None = None) -> dict[bytes, bytes]:
    """All contents of an archive, by name."""
    with open_container(path, password=password) as archive:
        found: dict[bytes, bytes] = {}
        for job in archive.jobs():
            for number, part, _ in job.pieces():
                name = archive.members[number].name
                found[name] = found.get(name, b"") + part
        return found


def members(path: Path) -> dict[bytes, Member]:
    """The members of an archive by name."""
    with open_container(path) as archive:
        return {member.name: member for member in archive.members}


def check(made: Made, *, workers: int = 1, password: str | None = None) -> None:
    """Everything that was captured is in the archive exactly as it is recorded, and nothing else."""
    with open_container(made.path, password=password) as archive:
        seen = digests(archive, workers)
        assert archive.members[-1].name == MANIFEST_NAME
        assert archive.read(archive.members[-1], len(MANIFEST)) == MANIFEST
        stored = {member.name: member for member in archive.members}
    assert seen.pop(MANIFEST_NAME)[0] == len(MANIFEST)
    assert set(stored) == {entry.path for entry in made.captured.entries} | {MANIFEST_NAME}
    for entry in made.captured.entries:
        member = stored[entry.path]
        assert (member.kind, member.mode) == (entry.kind, entry.mode)
        seconds = entry.mtime_ns // 10**9
        if archive.format is ArchiveFormat.TAR_ZST or -(1 << 31) <= seconds < 1 << 31:  # what a zip can hold
            assert member.mtime_ns // 10**9 == seconds
        if archive.format is ArchiveFormat.TAR_ZST:
            assert (member.uid, member.gid) == (entry.uid, entry.gid)
        assert member.target == entry.target
        if entry.kind is EntryKind.FILE and member.hard_link is None:
            assert seen.pop(entry.path) == (entry.size, entry.sha256)
    assert not seen


class Pipe(io.RawIOBase):
    """A file that nobody can go back in, as a pipe."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def writable(self) -> bool:
        return True

    def write(self, content: "bytes | memoryview") -> int:
        return self._file.write(content[: 1 << 20])

    def close(self) -> None:
        self._file.close()
        super().close()


class Interfering(io.RawIOBase):
    """A file that does something when a certain amount has been written to it, once or with every write after that."""

    def __init__(
        self, path: Path, after: int, what: Callable[[], object], *, seekable: bool, always: bool = False
    ) -> None:
        self._file = path.open("w+b", buffering=0)
        self._after = after
        self._what: Callable[[], object] | None = what
        self._seekable = seekable
        self._always = always

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def fileno(self) -> int:
        return self._file.fileno()

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int, whence: int = 0) -> int:
        return self._file.seek(position, whence)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def write(self, content: "bytes | memoryview") -> int:
        written = self._file.write(content)
        if self._what is not None and self._file.tell() >= self._after:
            what, self._what = self._what, self._what if self._always else None
            what()
        return written

    def close(self) -> None:
        self._file.close()
        super().close()
