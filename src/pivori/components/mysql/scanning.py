"""Reading a dump while it passes by: what is in it, whether it is whole, and the part of one database.

A line that begins with a statement is one, in a dump without routines, triggers and events: texts have their line ends
escaped, and in names a backtick is doubled.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_NAME: Final = rb"`((?:[^`]|``)+)`"
_MARK: Final = re.compile(
    rb"\n(?:USE " + _NAME + rb";\n|CREATE TABLE " + _NAME + rb" \("
    rb"|INSERT (?:IGNORE )?INTO " + _NAME + rb"(?: \([^\n]*\))? VALUES(\n| ?\())"
)
_LONGEST: Final = 1 << 20
"""Bytes of the longest beginning of a statement that is looked for."""
_LONGEST_NAME: Final = 1024
_WHOLE: Final = b"-- Dump completed"
_ENDS: Final = 64 << 10
_BINLOG: Final = re.compile(rb"-- CHANGE .*?_LOG_FILE='([^']+)', (?:MASTER|SOURCE)_LOG_POS=([0-9]+)")
_GTID: Final = re.compile(rb"gtid_slave_pos='([^']*)'")


class DumpScanner:
    """What a dump holds: ``tables`` are those of each database with their rows, None when they cannot be told apart."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, int | None]] = {}
        self.size = 0
        self._buffer = bytearray(b"\n")
        self._database: str | None = None
        self._table: str | None = None
        self._counts = False
        self._head = bytearray()
        self._tail = bytearray()

    def feed(self, piece: bytes | memoryview) -> None:
        """The next piece."""
        self.size += len(piece)
        self._head += piece[: max(0, _ENDS - len(self._head))]
        self._tail += piece[-_ENDS:]
        del self._tail[:-_ENDS]
        self._buffer += piece
        position = 0
        while (further := self._step(position)) is not None:
            position = further
        del self._buffer[: self._done(position)]

    @property
    def is_whole(self) -> bool:
        """Whether it has its end."""
        lines = bytes(self._tail).rstrip().rsplit(b"\n", 1)
        return lines[-1].startswith(_WHOLE)

    @property
    def position(self) -> dict[str, str]:
        """Where the server's log was."""
        found = {}
        if binlog := _BINLOG.search(self._head):
            found["binlog"] = f"{binlog[1].decode(errors='replace')}:{binlog[2].decode()}"
        if gtid := _GTID.search(self._tail):
            found["gtid"] = gtid[1].decode(errors="replace")
        return found

    def _step(self, position: int) -> int | None:
        """Go on to the next mark: where it ends; None when there is none yet."""
        if self._table is not None:
            return self._rows(position)
        found = _MARK.search(self._buffer, position)
        if found is None:
            return None
        database, created, filled = (None if name is None else _plain(name) for name in found.groups()[:3])
        if database is not None:
            self._database = database
            self.tables.setdefault(database, {})
            return found.end() - 1
        known = self.tables.setdefault(self._database or "", {})
        if created is not None:
            known[created] = 0
        elif filled is not None:
            self._table, self._counts = filled, found[4] == b"\n"
            if not self._counts:
                known[filled] = None
            return found.start(4)
        return found.end()

    def _rows(self, position: int) -> int | None:
        """Count rows up to the end of their statement."""
        end = self._buffer.find(b";\n", position)
        known = self.tables[self._database or ""]
        table = self._table or ""
        before = known.get(table)
        if self._counts and before is not None:
            stop = end if end >= 0 else len(self._buffer)
            known[table] = before + self._buffer.count(b"\n(", position, stop)
        if end < 0:
            # The last byte stays: it may be the first of two that are looked for.
            del self._buffer[: max(position, len(self._buffer) - 1)]
            return None
        self._table = None
        return end + 1

    def _done(self, position: int) -> int:
        """How much of the buffer is not needed any more."""
        if self._table is not None:
            return 0
        return max(position, len(self._buffer) - _LONGEST)


def part_of(pieces: Iterable[bytes], database: str, name: str) -> Iterator[bytes]:
    """The part of a dump that is of one database, to go into the database ``name``."""
    opening = re.compile(rb"\nUSE " + _NAME + rb";\n")
    wanted = True
    buffer = b""
    for piece in pieces:
        buffer += piece
        position = 0
        while (found := opening.search(buffer, position)) is not None:
            if wanted:
                yield buffer[position : found.start() + 1]
            wanted = _plain(found[1]) == database
            if wanted:
                yield b"USE `" + name.replace("`", "``").encode() + b"`;"
            position = found.end() - 1
        # What may be the beginning of a mark stays.
        begun = buffer.rfind(b"\nUSE `", max(position, len(buffer) - _LONGEST_NAME))
        stop = begun if begun >= 0 else max(position, len(buffer) - len(b"\nUSE `"))
        if wanted:
            yield buffer[position:stop]
        buffer = buffer[stop:]
    if wanted:
        yield buffer


def _plain(name: bytes) -> str:
    return name.replace(b"``", b"`").decode("utf-8", "surrogateescape")
