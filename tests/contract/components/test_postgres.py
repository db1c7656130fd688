"""The kind ``postgres`` under the contract of components, on PostgreSQL 15 and 18."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.components.postgres.logical import PostgresComponent
from pivori.components.postgres.server import Server
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import ComponentContract
from tests.servers.postgres import VERSIONS, PostgresServer, postgres_server

ODD = 'Kunden "Süd" / 100%'
"""A name with all that a name may have."""


class PostgresSpecimen:
    """A server with roles, two databases, and odd things in them."""

    def __init__(self, server: PostgresServer, root: Path) -> None:
        self.server = server
        self.root = root
        self.component = PostgresComponent(
            name="db",
            server=Server(url=server.url),
            databases=["shop", ODD],
            programs=server.programs,
            server_programs=server.programs,
        )
        fill(server)

    def state(self) -> list[str]:
        """All that a dump of the server says, but what was put aside."""
        return dump_of(self.server)

    def change(self) -> None:
        self.server.run(
            "UPDATE accounts SET balance = balance + 1 WHERE id = 3",
            "INSERT INTO accounts (owner) VALUES ('Zoé')",
            "DROP VIEW rich",
            "SELECT lo_unlink(4711)",
            database="shop",
        )
        self.server.run('DELETE FROM "Tab le"."Größe"', database=ODD)
        self.server.run("ALTER ROLE clerk CONNECTION LIMIT 9 PASSWORD 'other'", "REVOKE clerk FROM boss")
        self.server.run("ALTER DATABASE shop RESET work_mem", "COMMENT ON DATABASE shop IS NULL")

    def destroy(self) -> None:
        self.server.renew()

    def breaks(self) -> None:
        self.server.stop()

    def spoil(self, capture: FolderCapture) -> None:
        dump = capture.folder / "shop.dump"
        with dump.open("r+b") as file:
            file.truncate(dump.stat().st_size - 100)


def fill(server: PostgresServer) -> None:
    """What the specimen has."""
    quoted = '"' + ODD.replace('"', '""') + '"'
    server.run(
        "CREATE ROLE boss LOGIN CREATEDB PASSWORD 'secret;'';'",
        "CREATE ROLE clerk",
        'CREATE ROLE "Odd ; Role" NOLOGIN',
        "GRANT clerk TO boss WITH ADMIN OPTION",
        "ALTER ROLE boss SET search_path TO shop, public",
        "COMMENT ON ROLE clerk IS 'sells; -- buys'",
        "CREATE DATABASE shop OWNER boss",
        f"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' CONNECTION LIMIT 7",
        "ALTER DATABASE shop SET work_mem TO '7MB'",
        "ALTER ROLE boss IN DATABASE shop SET statement_timeout TO '7s'",
        "COMMENT ON DATABASE shop IS 'the DATABASE shop; of ''it'''",
        "REVOKE CONNECT ON DATABASE shop FROM PUBLIC",
        "GRANT CONNECT ON DATABASE shop TO clerk",
    )
    server.run(
        "SET ROLE boss",
        "CREATE SCHEMA stock",
        "CREATE TYPE mood AS ENUM ('fine', 'not')",
        "CREATE TABLE accounts (id serial PRIMARY KEY, owner text UNIQUE, balance int DEFAULT 100, mood mood)",
        "INSERT INTO accounts (owner, mood) SELECT 'owner ' || i, 'fine' FROM generate_series(1, 50) i",
        "CREATE TABLE payments (payer int REFERENCES accounts, payee int REFERENCES accounts, amount int)",
        "INSERT INTO payments SELECT i, i + 1, 5 FROM generate_series(1, 49) i",
        "CREATE VIEW rich AS SELECT * FROM accounts WHERE balance > 50",
        "CREATE MATERIALIZED VIEW total AS SELECT sum(balance) FROM accounts",
        "CREATE TABLE stock.parts (id int GENERATED ALWAYS AS IDENTITY, kind text, n int) PARTITION BY LIST (kind)",
        "CREATE TABLE stock.parts_a PARTITION OF stock.parts FOR VALUES IN ('a')",
        "INSERT INTO stock.parts (kind, n) SELECT 'a', i FROM generate_series(1, 20) i",
        "CREATE FUNCTION double(i int) RETURNS int LANGUAGE sql AS $$ SELECT i * 2; $$",
        "CREATE INDEX by_balance ON accounts (balance)",
        "GRANT SELECT ON accounts TO clerk",
        "ALTER TABLE payments ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON payments USING (amount < 100)",
        "SELECT lo_from_bytea(4711, 'large; object')",
        "RESET ROLE",
        'ALTER TABLE stock.parts_a OWNER TO "Odd ; Role"',
        database="shop",
    )
    server.run(
        'CREATE SCHEMA "Tab le"',
        'CREATE TABLE "Tab le"."Größe" ("a b" text, "C" bytea)',
        """INSERT INTO "Tab le"."Größe" VALUES ('é', '\\xdeadbeef'), (E'tab\\tnew\\nline', NULL)""",
        database=ODD,
    )


def dump_of(server: PostgresServer) -> list[str]:
    """The lines of a dump of everything, in an order of their own."""
    words = [server.programs / "pg_dumpall", "--host", server.folder, "--username", "postgres"]
    said = subprocess.run([*words, "--exclude-database=*_aside_*"], capture_output=True, check=True)
    lines = said.stdout.decode("latin-1").splitlines()
    return sorted(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict", "--")))


class TestPostgres(ComponentContract):
    @pytest.fixture(params=VERSIONS)
    def specimen(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PostgresSpecimen]:
        with postgres_server(request.param) as server:
            yield PostgresSpecimen(server, tmp_path)
