"""A dump in the custom format of ``pg_dump`` while it streams by: its list of contents first, then all of it."""

import codecs
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pivori.components.base import ComponentFailed
from pivori.components.postgres.dumping import failure_of, start_client
from pivori.components.postgres.programs import Programs
from pivori.components.postgres.server import Access
from pivori.translation import N_

_FIRST: Final = 4 << 20
"""Bytes of a dump in which its list is looked for first."""

_NOBODY: Final = Access({}, ())
_ENTRY: Final = re.compile(r"(?P<number>\d+); \d+ \d+ (?P<rest>.*)")
_DEPENDS: Final = re.compile(r";\s+depends on:(?P<numbers>[ \d]+)")
_OF_DATABASE: Final = re.compile(r"(DATABASE|DATABASE PROPERTIES|(ACL|COMMENT|SECURITY LABEL) - DATABASE) ")


class DumpUnreadable(ComponentFailed):
    """``pg_restore`` does not find a list of contents in a dump."""

    code = "postgres-dump-unreadable"
    message = N_("The dump {file} cannot be read: {reason}.")
    hint = N_("Choose an earlier recovery point with --at.")


@dataclass(frozen=True)
class Entry:
    """A line of a dump's list: its number, what it is (``TABLE public accounts ada``), and whom it depends on."""

    number: int
    text: str
    depends: Sequence[int] = field(default=())


class Archive:
    """A dump whose beginning lies in a file of its own below ``folder``, so far that its list of contents is whole.

    ``pieces`` is read once: by :meth:`content`, or by :meth:`spool`. Raises DumpUnreadable, CommandNotStarted.
    """

    def __init__(
        self, name: str, pieces: Iterator[bytes], folder: Path, programs: Programs, encoding: str = "UTF8"
    ) -> None:
        self.path = folder / "archive"
        self._codec = codec_of(encoding)
        self._pieces = pieces
        self._programs = programs
        self.is_whole = False
        """Whether the file holds all of the dump."""
        self.entries: Sequence[Entry] = ()
        self.path.unlink(missing_ok=True)
        most = _FIRST
        while True:
            self._append(most)
            status, said = self._list()
            if not status:
                break
            if self.is_whole:
                raise DumpUnreadable(file=name, reason=failure_of("pg_restore", status, said).details["reason"])
            most *= 4

    def spool(self) -> None:
        """Put the rest of the dump into the file."""
        self._append(None)

    def content(self) -> Iterator[bytes]:
        """All of the dump; once."""
        with self.path.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece
        yield from self._pieces

    def write_list(self, entries: Iterable[Entry], name: str = "list") -> Path:
        """A file for ``--use-list`` beside the dump, with some entries in their order."""
        path = self.path.with_name(name)
        path.write_text("".join(f"{entry.number};\n" for entry in entries))
        return path

    def database_script(self) -> str:
        """The SQL that makes the database itself, with its owner, rights and settings."""
        entries = [entry for entry in self.entries if _OF_DATABASE.match(entry.text)]
        options = ["--create", f"--use-list={self.write_list(entries)}", "--file=-", str(self.path)]
        status, output, said = run_client(self._programs, _NOBODY, "pg_restore", options)
        if status:
            raise failure_of("pg_restore", status, said)
        # Names and comments of databases belong to the whole server, and are mostly in UTF-8 whatever this one is in.
        try:
            return output.decode()
        except UnicodeDecodeError:
            return output.decode(self._codec, errors="replace")

    def _append(self, most: int | None) -> None:
        """Make the file as long as ``most``, or as the dump."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            while most is None or size < most:
                piece = next(self._pieces, None)
                if piece is None:
                    self.is_whole = True
                    return
                write_all(descriptor, piece)
                size += len(piece)
        finally:
            os.close(descriptor)

    def _list(self) -> tuple[int, str]:
        status, output, said = run_client(
            self._programs, _NOBODY, "pg_restore", ["--list", "--verbose", str(self.path)]
        )
        if not status:
            self.entries = list(_entries(output.decode(self._codec, errors="surrogateescape")))
        return status, said


def run_client(programs: Programs, access: Access, program: str, options: Sequence[str]) -> tuple[int, bytes, str]:
    """Run a client program to its end: its status, its output, and the end of what it said.

    Raises CommandNotStarted.
    """
    with start_client(programs, access, program, options) as process:
        content = bytearray()
        while process.stdout is not None and (piece := process.stdout.read(1 << 20)):
            content += piece
        status, said = process.finish()
    return status, bytes(content), said


def codec_of(encoding: str) -> str:
    """Python's name for an encoding of PostgreSQL; UTF-8 for what it has none for."""
    for name in (encoding, encoding.replace("WIN", "cp"), encoding.replace("KOI8", "KOI8-")):
        with suppress(LookupError):
            return codecs.lookup(name).name
    return "utf-8"


def write_all(descriptor: int, piece: bytes) -> None:
    """Write all of some bytes. Raises OSError."""
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _entries(listing: str) -> Iterator[Entry]:
    """The entries of a verbose list."""
    current: Entry | None = None
    for line in listing.splitlines():
        if (found := _ENTRY.fullmatch(line)) is not None:
            if current is not None:
                yield current
            current = Entry(int(found["number"]), found["rest"])
        elif current is not None and (depends := _DEPENDS.fullmatch(line)) is not None:
            current = Entry(current.number, current.text, [int(number) for number in depends["numbers"].split()])
    if current is not None:
        yield current
