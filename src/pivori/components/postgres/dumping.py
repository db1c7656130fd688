"""Taking the content of a server: a database with ``pg_dump`` and its row counts of the same moment, roles and the
like with ``pg_dumpall``."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from typing import TYPE_CHECKING, Final

from pivori.components.base import ComponentFailed, Json, ProgramFailed, Sink, Stored
from pivori.components.postgres.catalogue import Excluded, Table, count_rows, optional, tables_of
from pivori.components.postgres.programs import Programs
from pivori.components.postgres.server import Access, QueryFailed, Server, first_line, refused
from pivori.host.filter import Filter, start_filter
from pivori.host.process import as_text
from pivori.translation import N_

if TYPE_CHECKING:
    import psycopg

GLOBALS: Final = "globals.sql"
_WHOLE: Final = b"PostgreSQL database cluster dump complete"
_GLOBALS_LIMIT: Final = 256 << 20
_PATIENCE: Final = 10.0
"""Seconds that the server gets to stop counting."""

_PREPARE: Final = (
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET row_security = off",
    "SET max_parallel_workers_per_gather = 0",
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
)
_POSITION: Final = (
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text, "
    "pg_current_snapshot()::text"
)
_EXTENSIONS: Final = "SELECT extname::text, extversion FROM pg_extension ORDER BY 1"
_LARGE_OBJECTS: Final = "SELECT count(*) FROM pg_largeobject_metadata"
_TIMELINE: Final = "SELECT timeline_id FROM pg_control_checkpoint()"


class DumpEmpty(ComponentFailed):
    """A program that dumps ended well and said nothing."""

    code = "postgres-dump-empty"
    message = N_("{program} ended well, but its dump of {what} is empty or not whole.")
    hint = N_("Run it by hand to see what is wrong.")


@dataclass(frozen=True, kw_only=True)
class Dumper:
    """How databases of a server are dumped."""

    server: Server
    programs: Programs
    access: Access
    excluded: Excluded = field(default_factory=Excluded)
    count_rows: bool = True

    def globals(self, sink: Sink, *, passwords: bool) -> Stored:
        """Roles, memberships, settings and tablespaces, as SQL. Without ``passwords`` nobody has one.

        Raises ProgramFailed, DumpEmpty, CommandNotStarted.
        """
        options = [
            "--globals-only",
            "--no-password",
            "--encoding=UTF8",
            *([] if passwords else ["--no-role-passwords"]),
        ]
        with self._start("pg_dumpall", options, None) as dump:
            content = bytearray()
            while dump.stdout is not None and len(content) < _GLOBALS_LIMIT and (piece := dump.stdout.read(1 << 20)):
                content += piece
            _end(dump, "pg_dumpall")
        if _WHOLE not in content[-4096:]:
            raise DumpEmpty(program="pg_dumpall", what=GLOBALS)
        return sink.document(GLOBALS, bytes(content))

    def database(self, sink: Sink, name: str, warnings: list[str]) -> dict[str, Json]:
        """One database: what has to be known of it to bring it back. What ``pg_dump`` says goes to ``warnings``.

        Raises ServerUnreachable, QueryFailed, ProgramFailed, DumpEmpty, CommandNotStarted, and what the sink raises.
        """
        with closing(self.server.connect(name)) as connection, refused(self.server):
            timeline = optional(connection, _TIMELINE)
            for statement in _PREPARE:
                connection.execute(statement.encode())
            snapshot = _only(connection, "SELECT pg_export_snapshot()")
            lsn, transactions = connection.execute(_POSITION).fetchone() or ("", "")
            tables = [table for table in tables_of(connection) if self.excluded.keeps_rows_of(table)]
            facts: dict[str, Json] = {
                "name": name,
                "file": file_of(name),
                "encoding": _only(connection, "SELECT current_setting('server_encoding')"),
                "lsn": lsn,
                "timeline": timeline,
                "transactions": transactions,
                "extensions": {str(key): str(value) for key, value in connection.execute(_EXTENSIONS)},
                "large_objects": int(_only(connection, _LARGE_OBJECTS)),
            }
            with counting(connection, tables if self.count_rows else [], self.server) as counts:
                stored = self._stream(sink, name, snapshot, warnings)
                rows = counts()
        facts |= {"size": stored.size, "sha256": stored.sha256}
        facts["tables"] = [
            [table.schema, table.name, table.owner, rows.get((table.schema, table.name)), table.bytes]
            for table in tables
        ]
        return facts

    def _stream(self, sink: Sink, name: str, snapshot: str, warnings: list[str]) -> Stored:
        options = ["--format=custom", "--compress=0", "--no-password", f"--snapshot={snapshot}"]
        options += [f"--exclude-table={pattern}" for pattern in self.excluded.tables]
        options += [f"--exclude-table-data={pattern}" for pattern in self.excluded.rows]
        with self._start("pg_dump", options, name) as dump:

            def read(buffer: memoryview) -> int:
                count = _fill(dump.stdout, buffer)
                if not count:
                    # Before the sink takes this for the end: half a dump is none.
                    warnings.extend(_end(dump, "pg_dump"))
                return count

            stored = sink.stream(file_of(name), read)
        if not stored.size:
            raise DumpEmpty(program="pg_dump", what=name)
        return stored

    def _start(self, program: str, options: Sequence[str], database: str | None) -> Filter:
        return start_client(
            self.programs, self.access, program, [*options, f"--dbname={self.server.conninfo(database)}"]
        )


def start_client(
    programs: Programs, access: Access, program: str, options: Sequence[str], *, stdin: int | None = None
) -> Filter:
    """Start a client program with a pipe for its output, and one for its input where ``stdin`` is no descriptor.

    Raises CommandNotStarted.
    """
    return start_filter(
        [programs.path(program), *options],
        stdin=stdin,
        variables=access.variables,
        descriptors=access.descriptors,
        with_children=True,
    )


def failure_of(program: str, status: int, said: str) -> ProgramFailed:
    """The error of a program that ended with a status, 128 and more for signals, with the last thing it said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(rf"{program}: (error|fatal)", line)]
    reason = as_text(" ".join([*(telling or lines)][:2]).encode()) or N_("it did not say why")
    return ProgramFailed(program=program, status=status if status > 0 else 128 - status, reason=reason)


def file_of(database: str) -> str:
    """The name of a database's file in a capture: letters that a file name cannot have are written as ``%2F``."""
    safe = re.sub(r"[%/\x00-\x1f\x7f]|^\.", lambda found: f"%{ord(found[0]):02X}", database)
    return f"{safe}.dump"


@contextmanager
def counting(
    connection: "psycopg.Connection", tables: Sequence[Table], server: Server
) -> Iterator[Callable[[], Mapping[tuple[str, str], int]]]:
    """Count the rows of tables in a transaction while something else goes on; what is given waits for the result.

    It raises QueryFailed. When the context is left before, counting stops.
    """
    import psycopg

    found: dict[tuple[str, str], int] = {}
    errors: list[psycopg.Error] = []
    enough = threading.Event()

    def work() -> None:
        try:
            for table in tables:
                if enough.is_set():
                    return
                found[table.schema, table.name] = count_rows(connection, table)
        except psycopg.Error as error:
            errors.append(error)

    def result() -> Mapping[tuple[str, str], int]:
        thread.join()
        if errors:
            raise QueryFailed(server=str(server), reason=first_line(errors[0]))
        return found

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield result
    finally:
        enough.set()
        if thread.is_alive():
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=_PATIENCE)
            thread.join(_PATIENCE)


def _end(dump: Filter, program: str) -> list[str]:
    """Wait for a program's end: what it warned of. Raises ProgramFailed."""
    status, said = dump.finish()
    if status:
        raise failure_of(program, status, said)
    return [as_text(line.encode()) for line in said.splitlines() if line.strip()]


def _fill(stream: FileIO | None, buffer: memoryview) -> int:
    """Fill a buffer, whole but at the end: a pipe gives little at a time, and whoever takes it works in large steps."""
    count = 0
    while stream is not None and count < len(buffer) and (more := stream.readinto(buffer[count:])):
        count += more
    return count


def _only(connection: "psycopg.Connection", query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return str(row[0]) if row is not None else ""
