"""What a server says of itself: its databases, their tables, and what the user we are may do."""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from pivori.components.postgres.programs import version_text
from pivori.components.postgres.server import Server, ServerUnreachable, refused

if TYPE_CHECKING:
    import psycopg

_ASIDE: Final = re.compile(r".*_aside_\d{8}t\d{6}z(_\d+)?")
RESTORING: Final = "_pivori_restoring"
"""How the names of databases end that a restore has not finished."""

_SERVER: Final = """
    SELECT current_setting('server_version_num')::int, session_user::text, r.rolsuper, r.rolsuper OR r.rolcreatedb,
           r.rolsuper OR coalesce(pg_has_role(to_regrole('pg_read_all_data'), 'USAGE'), false),
           has_table_privilege('pg_catalog.pg_authid', 'SELECT'), pg_is_in_recovery(),
           (SELECT rolname::text FROM pg_roles WHERE oid = 10),
           (SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_'),
           (SELECT default_version FROM pg_available_extensions WHERE name = 'amcheck')
      FROM pg_roles r WHERE r.rolname = session_user
"""

_DATABASES: Final = """
    SELECT datname::text, pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding), datallowconn
      FROM pg_database WHERE NOT datistemplate ORDER BY datname
"""

_TABLES: Final = """
    SELECT n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text, coalesce(pg_table_size(c.oid), 0)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
     ORDER BY 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """A server, and the rights of the user we are on it.

    ``bootstrap`` is the superuser it was made with, ``amcheck`` the version of that extension, None without it.
    """

    number: int
    user: str
    is_superuser: bool
    may_create: bool
    reads_all: bool
    reads_passwords: bool
    is_standby: bool
    bootstrap: str
    roles: int
    amcheck: str | None

    @property
    def version(self) -> str:
        """Its version: ``15.14``."""
        return version_text(self.number)


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database that is no template."""

    name: str
    owner: str
    encoding: str
    lets_in: bool

    @property
    def is_ours(self) -> bool:
        """Whether a restore left it: what was replaced, or what was not finished."""
        return _ASIDE.fullmatch(self.name) is not None or self.name.endswith(RESTORING)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with rows of its own, and the bytes it takes on the server as far as they are known."""

    schema: str
    name: str
    owner: str
    bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """Patterns of tables that are left out, as ``pg_dump`` understands them: wholly, or only their rows."""

    tables: Sequence[str] = ()
    rows: Sequence[str] = field(default=())

    def keeps_rows_of(self, table: Table) -> bool:
        """Whether a table's rows are captured."""
        return not any(matches(pattern, table) for pattern in (*self.tables, *self.rows))


def connect_anywhere(server: Server, *, avoid: str = "", timeout: int = 10) -> "psycopg.Connection":
    """A connection to whatever database there is: the configured one, ``postgres``, ``template1``, but not ``avoid``.

    ``timeout`` is in seconds. Raises ServerUnreachable.
    """
    from psycopg import pq

    first: ServerUnreachable | None = None
    choices = [server.words().get("dbname", "postgres"), "postgres", "template1"]
    for name in dict.fromkeys(choice for choice in choices if choice != avoid):
        try:
            return server.connect(name, timeout=timeout)
        except ServerUnreachable as error:
            first = first or error
            conninfo = f"{server.conninfo(name)} connect_timeout={timeout}"
            if pq.PGconn.ping(conninfo.encode()) != pq.Ping.OK:
                break
    assert first is not None  # noqa: S101 - two of the choices at least are tried
    raise first


def look_at_server(connection: "psycopg.Connection") -> ServerFacts:
    """What a server is. Raises psycopg.Error."""
    row = connection.execute(_SERVER).fetchone()
    assert row is not None  # noqa: S101 - every session has a user
    names = [field.name for field in fields(ServerFacts)]
    return ServerFacts(**dict(zip(names, row, strict=True)))


def databases_of(connection: "psycopg.Connection") -> list[Database]:
    """The databases of a server, without templates. Raises psycopg.Error."""
    names = ("name", "owner", "encoding", "lets_in")
    return [Database(**dict(zip(names, row, strict=True))) for row in connection.execute(_DATABASES)]


def sizes_of(connection: "psycopg.Connection", names: Sequence[str], *, milliseconds: int) -> Mapping[str, int]:
    """The bytes that databases take on the server; empty when that takes longer than it may, or is not ours to know."""
    import psycopg

    query = "SELECT datname::text, pg_database_size(oid)::bigint FROM pg_database WHERE datname = ANY(%s)"
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            return {str(name): int(size) for name, size in connection.execute(query, [list(names)])}
    except psycopg.Error:
        return {}


def tables_of(connection: "psycopg.Connection") -> list[Table]:
    """The tables of a database that hold rows, without those of the system and of extensions. Raises psycopg.Error."""
    names = ("schema", "name", "owner", "bytes")
    return [Table(**dict(zip(names, row, strict=True))) for row in connection.execute(_TABLES)]


def count_rows(connection: "psycopg.Connection", table: Table) -> int:
    """How many rows a table has, those of its descendants not among them. Raises psycopg.Error."""
    from psycopg import sql

    query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(table.schema, table.name))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row is not None else 0


def count_all_rows(server: Server, database: str, tables: Sequence[Table]) -> dict[tuple[str, str], int]:
    """How many rows the tables have that are there. Raises ServerUnreachable, QueryFailed."""
    with closing(server.connect(database)) as connection, refused(server):
        connection.execute("SET row_security = off")
        present = {(table.schema, table.name) for table in tables_of(connection)}
        return {
            (table.schema, table.name): count_rows(connection, table)
            for table in tables
            if (table.schema, table.name) in present
        }


def tablespaces_of(connection: "psycopg.Connection") -> list[str]:
    """The tablespaces that somebody made. Raises psycopg.Error."""
    query = "SELECT spcname::text FROM pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1"
    return [str(name) for (name,) in connection.execute(query)]


def optional(connection: "psycopg.Connection", query: str) -> str:
    """A single value as text; empty when the server refuses to tell."""
    import psycopg

    try:
        row = connection.execute(query.encode()).fetchone()
    except psycopg.Error:
        return ""
    return str(row[0]) if row is not None and row[0] is not None else ""


def matches(pattern: str, table: Table) -> bool:
    """Whether a pattern of ``pg_dump`` means a table: ``*`` and ``?``, ``schema.table``, quotes for what is meant as
    it stands, else lower case."""
    parts = _pattern_parts(pattern)
    if not re.fullmatch(parts[-1], table.name, re.DOTALL):
        return False
    return len(parts) < 2 or re.fullmatch(parts[-2], table.schema, re.DOTALL) is not None


def _pattern_parts(pattern: str) -> list[str]:
    """The parts of a pattern between dots, as regular expressions."""
    parts = [""]
    in_quotes = False
    position = 0
    while position < len(pattern):
        letter = pattern[position]
        position += 1
        if letter == '"':
            if in_quotes and pattern[position : position + 1] == '"':
                parts[-1] += '"'
                position += 1
            else:
                in_quotes = not in_quotes
        elif in_quotes:
            parts[-1] += re.escape(letter)
        elif letter == ".":
            parts.append("")
        else:
            parts[-1] += {"*": ".*", "?": ".", "$": r"\$"}.get(letter, letter.lower())
    return parts
