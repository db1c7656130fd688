"""Reading a cluster that was brought back, all of it: what the server cannot read is found now and not in a year.

Where the extension ``amcheck`` is at hand, it looks at every page of every table and index; it is made for that
in a transaction that is rolled back, so that the databases stay as they were.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pivori.components.postgres.server import first_line
from pivori.components.postgres_physical.private_server import PrivateServer
from pivori.translation import N_, Phrase

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

_DATABASES: Final = "select datname from pg_database where datallowconn order by 1"

_TABLES: Final = """
    select c.oid, n.nspname, c.relname, c.relkind = 't' from pg_class c join pg_am a on a.oid = c.relam
    join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 't', 'm') and a.amname = 'heap'
      and c.relpersistence <> 't' order by 1
"""
_INDEXES: Final = """
    select c.oid, n.nspname, c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
    join pg_am a on a.oid = c.relam join pg_namespace n on n.oid = c.relnamespace
    where a.amname = 'btree' and i.indisvalid and i.indisready and c.relkind = 'i' and c.relpersistence <> 't'
    order by 1
"""


@dataclass
class Reading:
    """What was read, and what could not be: ``damage`` as sentences."""

    databases: int = 0
    tables: int = 0
    with_amcheck: bool = True
    damage: list[Phrase] = field(default_factory=list)

    @property
    def summary(self) -> Phrase:
        """What was read, as a sentence."""
        if self.with_amcheck:
            return Phrase(
                N_("amcheck read {tables} tables and their indexes in {databases} databases."),
                tables=self.tables,
                databases=self.databases,
            )
        return Phrase(
            N_("{tables} tables in {databases} databases were read; the extension amcheck is not on this machine."),
            tables=self.tables,
            databases=self.databases,
        )


def read_all(server: PrivateServer) -> Reading:
    """Read every table and index of every database. Raises psycopg.Error when the server is lost."""
    reading = Reading()
    with server.connect() as connection:
        names = [row[0] for row in connection.execute(_DATABASES).fetchall()]
    for name in names:
        with server.connect(name) as connection, connection.transaction(force_rollback=True):
            _read_database(connection, name, reading)
    return reading


def _read_database(connection: "Connection[Any]", database: str, reading: Reading) -> None:
    """Read one database, within a transaction."""
    from psycopg.sql import SQL, Identifier, Literal

    reading.databases += 1
    amcheck = _amcheck(connection)
    reading.with_amcheck = reading.with_amcheck and amcheck is not None
    for oid, schema, name, is_toast in connection.execute(_TABLES).fetchall():
        if amcheck is not None:
            pattern = SQL("select msg from {}.verify_heapam({}::regclass, on_error_stop => true) limit 1")
            query = pattern.format(Identifier(amcheck), Literal(oid))
        elif is_toast:
            continue
        else:
            query = SQL("select null from {} having count(*) < 0").format(Identifier(schema, name))
        reading.tables += 1
        _look(connection, query, database, name, reading)
    if amcheck is not None:
        for oid, _schema, name in connection.execute(_INDEXES).fetchall():
            query = SQL("select {}.bt_index_check({}::regclass)").format(Identifier(amcheck), Literal(oid))
            _look(connection, query, database, name, reading)


def _look(connection: "Connection[Any]", query: "Composed", database: str, name: str, reading: Reading) -> None:
    """Ask one thing; what the server says against it is damage."""
    import psycopg

    try:
        with connection.transaction():
            row = connection.execute(query).fetchone()
        reason = row[0] if row is not None and isinstance(row[0], str) else ""
    except psycopg.Error as error:
        if connection.closed:
            raise
        reason = first_line(error)
    if reason:
        reading.damage.append(
            Phrase(
                N_("{name} in the database {database} is damaged: {reason}."),
                name=name,
                database=database,
                reason=reason,
            )
        )


def _amcheck(connection: "Connection[Any]") -> str | None:
    """The schema in which amcheck is; None when this machine does not have it."""
    import psycopg

    try:
        with connection.transaction():
            connection.execute("create extension if not exists amcheck")
    except psycopg.Error:
        return None
    query = "select nspname from pg_extension join pg_namespace n on n.oid = extnamespace where extname = 'amcheck'"
    row = connection.execute(query).fetchone()
    return None if row is None else str(row[0])
