"""What a server says of itself and of its databases."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from pivori.components.base import ComponentFailed
from pivori.components.mysql.programs import Version
from pivori.components.mysql.server import quoted, rows
from pivori.translation import N_

if TYPE_CHECKING:
    from pymysql.connections import Connection

_SYSTEM: Final = ("information_schema", "performance_schema", "mysql", "sys")
_OWN_ACCOUNTS: Final = ("mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC")
_NO_SUCH_GRANT: Final = 1141
_TRANSACTIONAL: Final = "SELECT engine FROM information_schema.engines WHERE transactions = 'YES'"
_TABLES: Final = (
    "SELECT table_schema, table_name, COALESCE(engine, ''), COALESCE(data_length, 0) + COALESCE(index_length, 0) "
    "FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
)


class DatabaseMissing(ComponentFailed):
    """A database that is to be captured is not there."""

    code = "mysql-database-missing"
    message = N_("The server has no database {database}.")
    hint = N_("Correct the option `databases`.")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; ``bytes`` is about how large it is."""

    database: str
    name: str
    safe: bool
    """Whether its engine knows transactions."""
    bytes: int


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """What was found on a server: its chosen databases, each with the statement that makes it, and their tables."""

    version: Version
    logs: bool
    databases: dict[str, str]
    tables: Sequence[Table]

    @property
    def unsafe(self) -> Sequence[str]:
        """Tables of engines without transactions."""
        return [f"{table.database}.{table.name}" for table in self.tables if not table.safe]


def look(connection: "Connection[Any]", wanted: Sequence[str]) -> ServerFacts:
    """What is there. Raises DatabaseMissing, and what the driver raises."""
    there = [str(name) for (name,) in rows(connection, "SHOW DATABASES")]
    for name in wanted:
        if name not in there:
            raise DatabaseMissing(database=name)
    chosen = list(wanted) or [name for name in there if name.lower() not in _SYSTEM and not name.startswith("#")]
    made = {}
    for name in chosen:
        made[name] = str(rows(connection, f"SHOW CREATE DATABASE {quoted(name)}")[0][1])
    safe = {str(engine).lower() for (engine,) in rows(connection, _TRANSACTIONAL)}
    tables = [
        Table(database=database, name=name, safe=str(engine).lower() in safe, bytes=int(size))
        for database, name, engine, size in rows(connection, _TABLES)
        if database in made
    ]
    ((version, logs),) = rows(connection, "SELECT VERSION(), @@log_bin")
    return ServerFacts(version=Version.of(str(version)), logs=bool(logs), databases=made, tables=tables)


def excluded(tables: Sequence[Table], patterns: Sequence[str]) -> list[Table]:
    """The tables that patterns like ``shop.log_*`` leave out."""
    return [
        table for table in tables if any(fnmatchcase(f"{table.database}.{table.name}", pattern) for pattern in patterns)
    ]


def accounts(connection: "Connection[Any]", version: Version) -> list[tuple[str, list[str]]]:
    """Users and roles, each with the statements that make it. Raises what the driver raises."""
    from pymysql import MySQLError

    is_role = "is_role" if version.mariadb else "'N'"
    found = rows(connection, f"SELECT User, Host, {is_role} FROM mysql.user ORDER BY 3 DESC, 1, 2")  # noqa: S608 - one of two words of ours
    if not version.mariadb:
        connection.query("SET SESSION print_identified_with_as_hex = ON")
    made, given = [], []
    for user, host, role in found:
        if user in _OWN_ACCOUNTS:
            continue
        account = quoted(user) if role == "Y" else f"{quoted(user)}@{quoted(host)}"
        try:
            grants = [str(grant) for (grant,) in rows(connection, f"SHOW GRANTS FOR {account}")]
        except MySQLError as error:
            if error.args[0] == _NO_SUCH_GRANT:
                # With skip_name_resolve the server ignores accounts on names of hosts.
                continue
            raise
        statements = [f"CREATE ROLE IF NOT EXISTS {account}"]
        if role != "Y":
            ((create,),) = rows(connection, f"SHOW CREATE USER {account}")
            rest = str(create).removeprefix("CREATE USER ")
            statements = [f"CREATE USER IF NOT EXISTS {rest}", f"ALTER USER {rest}"]
        made.append((account, statements))
        given.append((account, grants))
    # Rights refer to roles, which all have to be there.
    return [*made, *given]
