"""The PostgreSQL database of the scenario of components: a private server, what is in it, what changes.

The server is that of the tests: on a Unix socket alone, without `fsync`, gone afterwards. One row in a hundred
changes: the newest ones, as applications do, or rows all over the tables, which is the worst there is for
deduplication.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools import CHECKOUT

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer

PLACE = "/var/tmp"
"""Where the server lives: on a disk, by a short path for its socket, and where its own account may go."""
ROWS = 1_500_000
"""Rows of the smaller tables: more than 1 GB in all."""
PRISTINE = "pristine"
DATABASE = "bench"
COPY = "copy"
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "maintenance_work_mem": "256MB"}
WORDS = "(SELECT string_agg(substr(md5((i * 7 + k)::text), 1, 2 + k % 7), ' ') FROM generate_series(1, 24) k)"
STATEMENTS = (
    "CREATE TABLE customer AS SELECT i AS id, 'customer ' || i AS name, md5(i::text) AS token,"
    " now() - i * interval '1 minute' AS since, (i * 37 % 1000)::numeric / 10 AS credit"
    " FROM generate_series(1, {rows}) i",
    f"CREATE TABLE note AS SELECT i AS id, i % 1000 AS customer, {WORDS} AS text"
    " FROM generate_series(1, {rows}) i",
    "CREATE TABLE line AS SELECT i AS id, i % {rows} AS customer, (i * 31 % 977)::int AS amount,"
    " md5(i::text)::uuid AS key FROM generate_series(1, {rows} * 5) i",
    "ALTER TABLE customer ADD PRIMARY KEY (id)",
    "ALTER TABLE note ADD PRIMARY KEY (id)",
    "ALTER TABLE line ADD PRIMARY KEY (id)",
    "CREATE INDEX ON line (customer)",
    "VACUUM ANALYZE",
)  # fmt: skip
CHANGES = {
    "newest": "id > (SELECT max(id) FROM {table}) * 0.99",
    "scattered": "id % 100 = 7",
}
UPDATES = {"customer": "credit = credit + 1", "note": "text = text || '.'", "line": "amount = amount + 1"}
FINGERPRINT = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table} t"


class Missing(Exception):
    """There is no such server on this machine."""


@dataclass(frozen=True)
class Database:
    """The database, on a running server."""

    server: PostgresServer

    @property
    def programs(self) -> Path:
        """The folder of the server's client programs."""
        return self.server.programs

    def bytes(self) -> int:
        """Its size on the disk."""
        ((size,),) = self.server.rows(f"SELECT pg_database_size('{PRISTINE}')")
        return int(str(size))

    def fill(self, rows: int) -> None:
        """Makes what `renew` copies."""
        self.server.run(f"CREATE DATABASE {PRISTINE}")
        self.server.run(*(statement.format(rows=rows) for statement in STATEMENTS), database=PRISTINE)

    def renew(self) -> None:
        """The database without any change, read once, so that whoever comes first does not find it cold."""
        self.server.run(
            f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)",
            f"CREATE DATABASE {DATABASE} TEMPLATE {PRISTINE} STRATEGY file_copy",
        )
        self.fingerprint()

    def change(self, which: str) -> None:
        """Changes one row in a hundred."""
        for table, update in UPDATES.items():
            condition = CHANGES[which].format(table=table)
            self.server.run(f"UPDATE {table} SET {update} WHERE {condition}", database=DATABASE)
        self.server.run("VACUUM", database=DATABASE)

    def fingerprint(self, name: str = DATABASE) -> list[tuple[object, ...]]:
        """What all rows of a database say, whatever their order."""
        return [row for table in UPDATES for row in self.server.rows(FINGERPRINT.format(table=table), database=name)]

    def make_copy(self) -> None:
        """An empty database to restore into."""
        self.drop_restored()
        self.server.run(f"CREATE DATABASE {COPY} TEMPLATE template0")

    def drop_restored(self) -> None:
        """Drops the copy and what recoveries have put aside."""
        found = self.server.rows(
            f"SELECT datname FROM pg_database WHERE datname = '{COPY}' OR datname LIKE '{DATABASE}\\_aside\\_%'"
        )
        for (name,) in found:
            self.server.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def settle(self) -> None:
        """Has everything dirty written out."""
        self.server.run("CHECKPOINT")


@contextlib.contextmanager
def database(rows: int) -> Iterator[Database]:
    """A server with the database, gone afterwards. Raises Missing."""
    servers = servers_of_the_tests("postgres")
    servers.PLACE = PLACE
    with contextlib.ExitStack() as stack:
        major = next((each for each in servers.VERSIONS if is_there(servers.server_programs, each)), None)
        if major is None:
            raise Missing("there is no PostgreSQL on this machine")
        it = Database(stack.enter_context(servers.postgres_server(major, **SETTINGS)))
        it.fill(rows)
        yield it


def servers_of_the_tests(name: str):
    """A module of `tests/servers`. It needs what the tests need, and only this scenario does. Raises Missing."""
    if str(CHECKOUT) not in sys.path:
        sys.path.append(str(CHECKOUT))
    try:
        return __import__(f"tests.servers.{name}", fromlist=[name])
    except ImportError as error:
        raise Missing(f"{error}: run this with .venv/bin/python") from error


def is_there(look, *words: object) -> bool:
    """Whether a look for a server's programs finds them, which otherwise skips or fails a test."""
    import pytest

    try:
        look(*words)
    except (pytest.skip.Exception, pytest.fail.Exception):
        return False
    return True
