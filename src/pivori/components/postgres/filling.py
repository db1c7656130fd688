"""Making a database of a dump, and putting it in the place of another one."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pivori.components.base import ComponentFailed, Source
from pivori.components.postgres.archive import Archive, run_client
from pivori.components.postgres.catalogue import RESTORING, connect_anywhere, count_all_rows
from pivori.components.postgres.dumping import failure_of
from pivori.components.postgres.facts import CapturedDatabase
from pivori.components.postgres.loading import load_rows
from pivori.components.postgres.programs import Programs
from pivori.components.postgres.server import Access, Server, refused
from pivori.components.postgres.statements import for_database, quoted, statements
from pivori.errors import PivoriError
from pivori.translation import N_

if TYPE_CHECKING:
    import psycopg

_LONGEST: Final = 63
"""Bytes of a name."""

_ENCODING: Final = "SET client_encoding "
"""How the statement begins that says in which encoding the others are: we send all in that of our connection."""

_STREAMED: Final = 2
"""Jobs up to which the dump streams through; more of them read it from a file."""


class RowsDiffer(ComponentFailed):
    """A restored database does not have the rows that were counted when it was captured."""

    code = "postgres-rows-differ"
    message = N_("The table {table} of the database {database} has {found} rows instead of {expected}.")
    hint = N_("What was there before is untouched. Choose an earlier recovery point with --at.")


@dataclass(frozen=True, kw_only=True)
class Filling:
    """How databases are made of dumps, on a server, in a private ``folder``. ``jobs`` work at the same time."""

    server: Server
    programs: Programs
    access: Access
    folder: Path
    jobs: int
    tablespaces: bool

    def make(self, source: Source, captured: CapturedDatabase, name: str) -> int:
        """A new database of that name with what was captured, its rows counted again; bytes read.

        Raises RowsDiffer, ProgramFailed, DumpUnreadable, QueryFailed, ServerUnreachable, CommandNotStarted.
        """
        archive = open_archive(source, captured, self.folder, self.programs)
        script = [line for line in statements(archive.database_script()) if not line.startswith(_ENCODING)]
        with closing(connect_anywhere(self.server, avoid=name)) as connection, refused(self.server):
            connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)".encode())
            for statement in script:
                if statement.startswith("CREATE DATABASE "):
                    connection.execute(for_database(statement, name, tablespaces=self.tablespaces).encode())
        self._load(source, captured, archive, name)
        self._analyze(name)
        check_rows(self.server, captured, name)
        with closing(connect_anywhere(self.server, avoid=name)) as connection, refused(self.server):
            for statement in script:
                if not statement.startswith("CREATE DATABASE "):
                    connection.execute(for_database(statement, name, tablespaces=self.tablespaces).encode())
        archive.path.unlink()
        return captured.size

    def _load(self, source: Source, captured: CapturedDatabase, archive: Archive, name: str) -> None:
        options = ["--exit-on-error", "--no-password", f"--dbname={self.server.conninfo(name)}"]
        options += [] if self.tablespaces else ["--no-tablespaces"]
        if needs_file(self.jobs):
            archive.spool()
        if archive.is_whole:
            self._run([*options, f"--jobs={self.jobs}", str(archive.path)])
            return
        # What is not rows needs the list of the dump alone, which the beginning in the file has.
        self._run([*options, "--section=pre-data", str(archive.path)])
        again = source.pieces(captured.file) if self.jobs > 1 else None
        load_rows(self.programs, self.access, archive, captured, options, again)
        self._run([*options, "--section=post-data", f"--jobs={self.jobs}", str(archive.path)])

    def _run(self, options: Sequence[str]) -> None:
        status, _output, said = run_client(self.programs, self.access, "pg_restore", options)
        if status:
            raise failure_of("pg_restore", status, said)

    def _analyze(self, name: str) -> None:
        """Without statistics the first queries would be slow."""
        with closing(self.server.connect(name)) as connection, refused(self.server):
            connection.execute("SET statement_timeout = 0")
            connection.execute("ANALYZE")


def open_archive(source: Source, captured: CapturedDatabase, folder: Path, programs: Programs) -> Archive:
    """The dump of a database. Raises DumpUnreadable, NotCaptured, CommandNotStarted."""
    return Archive(captured.file, source.pieces(captured.file), folder, programs, captured.encoding)


def needs_file(jobs: int) -> bool:
    """Whether a restore with so many jobs puts the dump into a file first."""
    return jobs > _STREAMED


def check_rows(server: Server, captured: CapturedDatabase, name: str) -> None:
    """Compare a database with what was counted. Raises RowsDiffer, ServerUnreachable, QueryFailed."""
    tables = [table for table, rows in captured.tables if rows is not None]
    found = count_all_rows(server, name, tables)
    for (schema, table), expected in captured.rows.items():
        if found.get((schema, table), 0) != expected:
            raise RowsDiffer(
                database=captured.name,
                table=f"{schema}.{table}",
                found=found.get((schema, table), 0),
                expected=expected,
            )


def temporary_name(name: str) -> str:
    """What a database is called until it is whole."""
    return cut_name(name, RESTORING)


def aside_name(name: str, moment: str, taken: Sequence[str]) -> str:
    """What a database is called that was replaced at a moment."""
    wanted = cut_name(name, f"_aside_{moment}")
    number = 1
    while wanted in taken:
        number += 1
        wanted = cut_name(name, f"_aside_{moment}_{number}")
    return wanted


def swap(server: Server, temporary: str, name: str, aside: str | None) -> None:
    """Give a database the name of another, which gets the name ``aside``; in one step. Its sessions end.

    Raises ServerUnreachable, QueryFailed.
    """
    with (
        closing(connect_anywhere(server, avoid=name)) as connection,
        _sessions_end(server, [name, temporary]),
        refused(server),
        connection.transaction(),
    ):
        if aside is not None:
            connection.execute(f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(aside)}".encode())
        connection.execute(f"ALTER DATABASE {quoted(temporary)} RENAME TO {quoted(name)}".encode())


def drop(server: Server, names: Sequence[str]) -> None:
    """Drop databases of ours, as far as that is possible now."""
    import psycopg

    with suppress(PivoriError), closing(connect_anywhere(server, avoid="")) as connection:
        for name in names:
            with suppress(psycopg.Error):
                connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)".encode())


@contextmanager
def _sessions_end(server: Server, names: Sequence[str]) -> Iterator[None]:
    """See to it, while the context lasts, that nobody stays in some databases.

    A rename keeps newcomers out, but waits for who is in; and who is thrown out comes back until it has begun.
    """
    import psycopg

    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> pg_backend_pid()"
    done = threading.Event()

    def work(connection: "psycopg.Connection") -> None:
        with suppress(psycopg.Error):
            while not done.is_set():
                connection.execute(query, [list(names)])
                done.wait(0.05)

    with closing(connect_anywhere(server, avoid=names[0])) as connection:
        thread = threading.Thread(target=work, args=(connection,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def cut_name(name: str, ending: str) -> str:
    """A name with an ending, not longer than the server takes; names that have to be cut stay different."""
    if len(name.encode()) + len(ending) > _LONGEST:
        ending = f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}{ending}"
        name = name.encode()[: _LONGEST - len(ending)].decode(errors="ignore")
    return name + ending
