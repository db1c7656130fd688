"""Writing a 7z: by the 7-Zip program where there is one, otherwise by py7zr, which is slower and makes the same file.

Either reads the files itself, so this module hashes them meanwhile, and looks afterwards which ones changed under the
eyes of both: of these the digest is taken from what the archive holds. Files that no compression makes smaller are
stored as they are, in a pass of their own. Directories that are not empty, and FIFOs, have no member: the manifest
has all there is to say of them.
"""

import hashlib
import io
import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from msgspec import structs

from pivori.archives.container import Captured, Effort, ProgressReport, WriteRequest
from pivori.archives.deflating import looks_incompressible
from pivori.archives.manifest import MANIFEST_NAME, NotCaptured, as_text
from pivori.archives.seven_zip_program import failure_of, seven_zip_program, start_seven_zip
from pivori.archives.seven_zip_reading import open_seven_zip
from pivori.archives.source_files import Facts, SourceFiles, completed, facts, read_part
from pivori.archives.workspace import workspace
from pivori.entries import Entry, EntryKind
from pivori.host import read_attributes
from pivori.translation import N_

_PART: Final = 1 << 20
_WORTH_STORING: Final = 256 << 10
"""Smaller files are compressed without a look: they cost little either way."""
_COPY_PART: Final = 8 << 20
_LEVELS: Final = {Effort.NORMAL: 5, Effort.SMALLEST: 9}
_LIBRARY_DICTIONARY: Final = 64 << 20
_UNREADABLE: Final = N_("it could not be read")
_UNIX: Final = 0x8020
"""The attributes of a file whose upper half is a Unix mode."""
_WARNING: Final = 1
"""7-Zip's status when it left out files that it could not open."""


def write_seven_zip(request: WriteRequest, out: BinaryIO, *, progress: ProgressReport) -> Captured:
    """Write a 7z: see :class:`pivori.archives.container.WriteArchive`. Raises CommandNotStarted, ArchiveDamaged."""
    with workspace(request.workspace) as place:
        made = place / "archive.7z"
        captured = _Writing(request, place, made, progress).run()
        with made.open("rb") as file:
            shutil.copyfileobj(file, out, _COPY_PART)
    return captured


class _Named(NamedTuple):
    """An entry and where the program finds it: below which directory, under which name."""

    entry: Entry
    directory: Path
    name: str


class _Writing:
    """One archive being written to a file in the workspace."""

    def __init__(self, request: WriteRequest, place: Path, made: Path, progress: ProgressReport) -> None:
        self._request = request
        self._stage = place / "stage"
        self._stage.mkdir()
        self._packer = _packer(request, place, made)
        self._made = made
        self._progress = progress
        self._sources = SourceFiles(request.root)
        self._facts: dict[bytes, Facts] = {}
        self._captured = Captured()
        self._done = [0, 0]

    def run(self) -> Captured:
        """Write everything; the manifest comes last."""
        try:
            compressed, stored = self._sorted(self._named())
            self._packer.add(compressed, is_stored=False, meanwhile=lambda: self._hash([*compressed, *stored]))
            self._packer.add(stored, is_stored=True, meanwhile=lambda: None)
            documents = [self._staged(name, content) for name, content in self._request.documents.items()]
            self._packer.add(documents, is_stored=False, meanwhile=lambda: None)
            self._complete([*compressed, *stored])
        finally:
            self._sources.close()
        manifest = self._request.manifest(self._captured)
        self._packer.add([self._staged(MANIFEST_NAME, manifest)], is_stored=False, meanwhile=lambda: None)
        return self._captured

    # What goes in, and from where

    def _named(self) -> Iterator[_Named]:
        full = {entry.path.rpartition(b"/")[0] for entry in self._request.entries}
        for entry in self._request.entries:
            if entry.kind is EntryKind.FIFO or (entry.kind is EntryKind.DIRECTORY and entry.path in full):
                self._captured.entries.append(entry)
                continue
            yield self._place(entry)

    def _place(self, entry: Entry) -> _Named:
        """The entry where it is; a stand-in where the program could not be told its name, or would take more."""
        name = self._request.names.get(entry.path, entry.path).decode("utf-8", "backslashreplace")
        if name.encode() == entry.path and "\n" not in name and entry.kind is not EntryKind.DIRECTORY:
            return _Named(entry, self._request.root, name)
        stand_in = self._stage / name
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind is EntryKind.DIRECTORY:
            stand_in.mkdir(exist_ok=True)
        elif entry.kind is EntryKind.SYMLINK:
            stand_in.symlink_to(os.fsdecode(entry.target))
        else:
            self._copy(entry, stand_in)
        return _Named(entry, self._stage, name)

    def _copy(self, entry: Entry, stand_in: Path) -> None:
        try:
            descriptor, status = self._sources.open(entry.path)
        except OSError:
            return  # said when it is hashed
        with os.fdopen(descriptor, "rb", buffering=0) as source, stand_in.open("xb") as copy:
            while True:
                try:
                    part = source.read(_PART)
                except OSError:
                    stand_in.unlink()  # half of it is not to be stored; said when it is hashed
                    return
                if not part:
                    break
                copy.write(part)
        os.utime(stand_in, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _staged(self, name: bytes, content: bytes) -> _Named:
        text = name.decode("utf-8", "backslashreplace")
        path = self._stage / text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entry = Entry(path=name, kind=EntryKind.FILE, mode=0o644, mtime_ns=0)
        return _Named(entry, self._stage, text)

    def _sorted(self, named: Iterable[_Named]) -> tuple[list[_Named], list[_Named]]:
        """What is worth compressing, and what is not.

        Of the same size may be the same content, which is stored once where it is compressed.
        """
        everything = list(named)
        sizes = Counter(each.entry.size for each in everything)
        compressed: list[_Named] = []
        stored: list[_Named] = []
        for each in everything:
            entry = each.entry
            is_candidate = entry.kind is EntryKind.FILE and entry.size >= _WORTH_STORING and sizes[entry.size] == 1
            (stored if is_candidate and self._is_incompressible(entry) else compressed).append(each)
        return compressed, stored

    def _is_incompressible(self, entry: Entry) -> bool:
        try:
            descriptor, _status = self._sources.open(entry.path)
        except OSError:
            return False
        try:
            return looks_incompressible(partial(read_part, descriptor), entry.size)
        except OSError:
            return False
        finally:
            os.close(descriptor)

    # What it is

    def _hash(self, named: Sequence[_Named]) -> None:
        """Take the facts of the files while the program reads them too."""
        for each in named:
            entry = each.entry
            if entry.kind is EntryKind.FILE:
                self._hash_file(entry)
            self._done[0] += 1
            self._progress(self._done[0], self._done[1], entry.path)

    def _hash_file(self, entry: Entry) -> None:
        try:
            descriptor, status = self._sources.open(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            self._captured.vanished.append(entry.path)
            return
        except OSError as error:
            self._left_out(entry, error.strerror or str(error))
            return
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                attributes = tuple(read_attributes(descriptor))
                while part := file.read(_PART):
                    digest.update(part)
                    size += len(part)
                    self._done[1] += len(part)
        except OSError as error:
            self._left_out(entry, error.strerror or str(error))
            return
        self._facts[entry.path] = facts(0, status, size, digest.digest(), attributes, changed=False)

    def _left_out(self, entry: Entry, reason: str) -> None:
        text, raw = as_text(entry.path)
        self._captured.not_captured.append(NotCaptured(path=text, path_raw=raw, reason=reason))

    def _complete(self, named: Sequence[_Named]) -> None:
        """The entries as the archive holds them."""
        if not self._made.exists():
            return
        with open_seven_zip(self._made, password=self._request.password) as archive:
            there = {member.name: member.number for member in archive.members}
        told = {entry.path_raw or entry.path.encode() for entry in self._captured.not_captured}
        told.update(self._captured.vanished)
        unsure: list[tuple[int, Entry]] = []
        for each in named:
            entry, number = each.entry, there.get(each.name.encode())
            if number is None:
                if entry.path not in told:
                    self._left_out(entry, _UNREADABLE)
            elif entry.kind is not EntryKind.FILE:
                self._captured.entries.append(entry)
            elif (known := self._facts.get(entry.path)) is None or self._is_changed(entry, known):
                unsure.append((number, entry))
            else:
                self._captured.entries.append(completed(entry, known))
        if unsure:
            self._take_from_archive(unsure)

    def _is_changed(self, entry: Entry, known: Facts) -> bool:
        """Whether the program may have read something else than what was hashed: before it, or after it."""
        if (entry.mtime_ns, entry.size) != (known.mtime_ns, known.size):
            return True
        if entry.ctime_ns and (entry.ctime_ns, entry.inode) != (known.ctime_ns, known.inode):
            return True
        try:
            descriptor, status = self._sources.open(entry.path)
        except OSError:
            return True
        os.close(descriptor)
        now = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        return now != (known.inode, known.mtime_ns, known.ctime_ns, known.size)

    def _take_from_archive(self, unsure: Sequence[tuple[int, Entry]]) -> None:
        """The digests of files that changed meanwhile, from what was stored of them."""
        by_number = dict(unsure)
        digests = {number: hashlib.sha256() for number in by_number}
        sizes = dict.fromkeys(by_number, 0)
        with open_seven_zip(self._made, password=self._request.password) as archive:
            for job in archive.jobs(list(by_number)):
                for piece in job.pieces():
                    digests[piece.number].update(piece.content)
                    sizes[piece.number] += len(piece.content)
        known_lost = {entry.path_raw or entry.path.encode() for entry in self._captured.not_captured}
        stored = {entry.path for entry in by_number.values()}
        self._captured.not_captured = [
            each for each in self._captured.not_captured if (each.path_raw or each.path.encode()) not in stored
        ]
        self._captured.vanished = [path for path in self._captured.vanished if path not in stored]
        for number, entry in unsure:
            self._captured.entries.append(
                structs.replace(entry, size=sizes[number], sha256=digests[number].hexdigest())
            )
            if entry.path not in known_lost:
                self._captured.changed.append(entry.path)


def _packer(request: WriteRequest, place: Path, made: Path) -> "_ProgramPacker | _LibraryPacker":
    program = seven_zip_program()
    if program is None:
        return _LibraryPacker(request, made)
    return _ProgramPacker(request, place, made, program)


class _ProgramPacker:
    """Adds members with the 7-Zip program: one run for each directory that names are relative to."""

    def __init__(self, request: WriteRequest, place: Path, made: Path, program: str) -> None:
        self._request = request
        self._place = place
        self._made = made
        self._program = program
        self._runs = 0

    def add(self, named: Sequence[_Named], *, is_stored: bool, meanwhile: Any) -> None:
        """Add the members; ``meanwhile`` is called once, while the program works."""
        groups: dict[Path, list[str]] = {}
        for each in named:
            groups.setdefault(each.directory, []).append(each.name)
        for number, (directory, names) in enumerate(groups.items()):
            self._run(directory, names, is_stored=is_stored, meanwhile=meanwhile if number == 0 else None)
        if not groups:
            meanwhile()

    def _run(self, directory: Path, names: Sequence[str], *, is_stored: bool, meanwhile: Any) -> None:
        self._runs += 1
        listing = self._place / f"names{self._runs}"
        # It takes off the quotation marks around a line, once: without these it would take off those of the name.
        listing.write_bytes("".join(f'"{name}"\n' for name in names).encode())
        level = 0 if is_stored else _LEVELS[self._request.effort]
        password = self._request.password
        arguments = [
            "-t7z",
            f"-mx={level}",
            f"-mmt={max(1, self._request.workers)}",
            "-snl",
            *(["-mhe=on"] if password is not None else []),
            f"-i@{listing}",
            "--",
            str(self._made),
        ]
        with start_seven_zip(self._program, "a", arguments, password=password, directory=directory) as running:
            if meanwhile is not None:
                meanwhile()
            status, errors = running.finish()
        if status > _WARNING:
            raise failure_of(str(self._made), errors, password)


class _LibraryPacker:
    """Adds members with py7zr, in one file that is opened again for each addition."""

    def __init__(self, request: WriteRequest, made: Path) -> None:
        self._request = request
        self._made = made

    def add(self, named: Sequence[_Named], *, is_stored: bool, meanwhile: Any) -> None:
        """Add the members; ``meanwhile`` is called once, before."""
        import py7zr  # loaded here: it takes long, and few archives are 7z

        meanwhile()
        if not named:
            return
        password = self._request.password
        filters = [_library_filter(self._request.effort, is_stored=is_stored)]
        if password is not None:
            filters.append({"id": py7zr.FILTER_CRYPTO_AES256_SHA256})
        mode = "a" if self._made.exists() else "w"
        with py7zr.SevenZipFile(
            self._made, mode, filters=filters, password=password, header_encryption=password is not None
        ) as archive:
            # Directories first: py7zr loses count of the contents where one comes after an empty file.
            for each in sorted(named, key=lambda each: each.entry.kind is not EntryKind.DIRECTORY):
                _add_to_library(archive, each)


def _add_to_library(archive: Any, named: _Named) -> None:
    path, entry = named.directory / named.name, named.entry
    if entry.kind is EntryKind.SYMLINK:
        # Of a link itself it would want to know where it leads: a link is a file with another kind.
        archive.writef(io.BytesIO(entry.target), named.name)
        archive.header.files_info.files[-1]["attributes"] = _UNIX | (stat.S_IFLNK | 0o777) << 16
    elif os.access(path, os.R_OK):
        archive.write(path, named.name)


def _library_filter(effort: Effort, *, is_stored: bool) -> dict[str, int]:
    import py7zr  # loaded already

    if is_stored:
        return {"id": py7zr.FILTER_COPY}
    preset = 9 | py7zr.PRESET_EXTREME if effort is Effort.SMALLEST else 6
    return {"id": py7zr.FILTER_LZMA2, "preset": preset, "dict_size": _LIBRARY_DICTIONARY}
