"""Bringing a capture back into a running server."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pivori.components.base import ComponentFailed, Json, Report, Source
from pivori.components.mysql.catalogue import ServerFacts
from pivori.components.mysql.dumping import ACCOUNT, DATA, USERS, client, end, routines_file, triggers_file
from pivori.components.mysql.programs import Programs
from pivori.components.mysql.scanning import part_of
from pivori.components.mysql.server import Server, quoted, rows
from pivori.host.filter import NOWHERE
from pivori.translation import N_, Phrase

if TYPE_CHECKING:
    from pymysql.connections import Connection

_OPTIONS: Final = ("--binary-mode", "--max-allowed-packet=1G")
_USERS_LIMIT: Final = 256 << 20


class RestoreIncomplete(ComponentFailed):
    """What came back is not what was captured."""

    code = "mysql-restore-incomplete"
    message = N_("The table {table} of the database {database} has {found} rows, and the capture has {wanted}.")
    hint = N_("See that nobody writes into the database meanwhile, then run the command again.")


class TableMissing(ComponentFailed):
    """A table did not come back."""

    code = "mysql-table-missing"
    message = N_("The table {table} of the database {database} has not come back.")
    hint = N_("Look at the server's own log, then run the command again.")


@dataclass(frozen=True, kw_only=True)
class Captured:
    """What a report says: per database its tables with their rows, and the files."""

    databases: Mapping[str, Mapping[str, int | None]]
    made: Mapping[str, str]
    files: Mapping[str, Mapping[str, Json]]

    @classmethod
    def of(cls, report: Report) -> "Captured":
        """What is in a report."""
        facts = report.facts
        return cls(databases=facts.get("databases", {}), made=facts.get("made", {}), files=facts.get("files", {}))


@dataclass(frozen=True, kw_only=True)
class Filling:
    """How databases are brought into a server. ``names`` says how each is called there."""

    server: Server
    programs: Programs
    facts: ServerFacts
    state: Path
    captured: Captured
    names: Mapping[str, str]

    def fill(self, source: Source) -> int:
        """Replace the databases by those of the capture: the bytes that were read.

        Raises ProgramFailed, QueryFailed, ServerUnreachable, CommandNotStarted, and what reading raises.
        """
        with self.server.connect() as connection:
            connection.query("SET FOREIGN_KEY_CHECKS = 0")
            for database, name in self.names.items():
                connection.query(f"DROP DATABASE IF EXISTS {quoted(name)}")
                connection.query(_made_as(self.captured.made[database], database, name))
        read = 0
        # Views may call functions, and triggers must not see the rows come.
        for database, name in self.names.items():
            read += self._run(source.pieces(routines_file(database)), name)
        if set(self.names) == set(self.captured.databases) and all(old == new for old, new in self.names.items()):
            read += self._run(source.pieces(DATA), None) if self.names else 0
        else:
            for database, name in self.names.items():
                read += self._run(part_of(source.pieces(DATA), database, name), None)
        for database, name in self.names.items():
            read += self._run(source.pieces(triggers_file(database)), name)
        return read

    def check(self) -> tuple[int, int]:
        """Compare with the capture: how many tables, and how many rows were counted.

        Raises TableMissing, RestoreIncomplete, QueryFailed, ServerUnreachable.
        """
        tables = counted = 0
        with self.server.connect() as connection:
            for database, name in self.names.items():
                there = _tables(connection, name)
                for table, wanted in self.captured.databases[database].items():
                    if table not in there:
                        raise TableMissing(table=table, database=name)
                    tables += 1
                    if wanted is None:
                        continue
                    ((found,),) = rows(connection, f"SELECT COUNT(*) FROM {quoted(name)}.{quoted(table)}")  # noqa: S608 - names are quoted
                    if found != wanted:
                        raise RestoreIncomplete(table=table, database=name, found=found, wanted=wanted)
                    counted += found
        return tables, counted

    def accounts(self, source: Source) -> list[Phrase]:
        """Bring users, roles and rights back, but not the one who restores: what the server refused."""
        import pymysql

        if USERS not in self.captured.files:
            return []
        refused: dict[str, str] = {}
        statements = list(_statements(source.read(USERS, _USERS_LIMIT)))
        with self.server.connect() as connection:
            ((own,),) = rows(connection, "SELECT CURRENT_USER()")
            before = _roles(connection) if self.facts.version.mariadb else set()
            for account, statement in statements:
                if _bare(account) == own or statement in _granted(connection, account):
                    continue
                try:
                    connection.query(statement)
                except pymysql.Error as error:
                    # The number alone: the text may quote a password. Rights of the server's own root stay its own.
                    if not account.startswith("`root`@"):
                        refused.setdefault(account, str(error.args[0]))
            if self.facts.version.mariadb:
                _give_up(connection, _roles(connection) - before, [line for _account, line in statements])
        return [
            Phrase(N_("The server refused a part of the account {account}: error {number}."), account=name, number=code)
            for name, code in refused.items()
        ]

    def _run(self, pieces: Iterable[bytes], database: str | None) -> int:
        """Give a file to the client program: its bytes."""
        options = [*_OPTIONS, *([f"--database={database}"] if database is not None else [])]
        read = 0
        with client(self.server, self.programs.client, options, self.state, self.facts, stdout=NOWHERE) as running:
            try:
                for piece in pieces:
                    view = memoryview(piece)
                    read += len(view)
                    while view and running.stdin is not None:
                        view = view[running.stdin.write(view) :]
            except BrokenPipeError:
                # It has ended, and says why.
                pass
            end(running, self.programs.client)
        return read


def present(server: Server, names: Sequence[str]) -> dict[str, int]:
    """Those of the databases that are there and hold anything, with the number of their tables.

    Raises QueryFailed, ServerUnreachable.
    """
    found = {}
    with server.connect() as connection:
        there = {str(name) for (name,) in rows(connection, "SHOW DATABASES")}
        for name in names:
            if name in there and (tables := len(_tables(connection, name))):
                found[name] = tables
    return found


def _tables(connection: "Connection[Any]", database: str) -> set[str]:
    statement = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
    return {str(name) for (name,) in rows(connection, statement, [database])}


def _made_as(statement: str, database: str, name: str) -> str:
    return statement.replace(quoted(database), quoted(name), 1)


def _roles(connection: "Connection[Any]") -> set[str]:
    return {str(name) for (name,) in rows(connection, "SELECT User FROM mysql.user WHERE is_role = 'Y'")}


def _granted(connection: "Connection[Any]", account: str) -> list[str]:
    """The rights that an account has, as statements; none for one that is not there."""
    import pymysql

    try:
        return [str(grant) for (grant,) in rows(connection, f"SHOW GRANTS FOR {account}")]
    except pymysql.Error:
        return []


def _give_up(connection: "Connection[Any]", made: set[str], statements: Sequence[str]) -> None:
    """Who makes a role becomes its administrator: not so who only brings it back."""
    ((own,),) = rows(connection, "SELECT CURRENT_USER()")
    user, _, host = str(own).rpartition("@")
    account = f"{quoted(user)}@{quoted(host)}"
    for role in made:
        if not any(line.startswith(f"GRANT {quoted(role)} TO {account}") for line in statements):
            connection.query(f"REVOKE {quoted(role)} FROM {account}")


def _statements(content: bytes) -> Iterable[tuple[str, str]]:
    """The statements of a file of accounts, each with whose it is."""
    account = ""
    for line in content.decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith(ACCOUNT):
            account = line.removeprefix(ACCOUNT)
        elif line:
            yield account, line.removesuffix(";")


def _bare(account: str) -> str:
    """``user@host`` as the server says it, of a quoted account."""
    parts = re.findall(r"`((?:[^`]|``)*)`", account)
    return "@".join(part.replace("``", "`") for part in parts)
