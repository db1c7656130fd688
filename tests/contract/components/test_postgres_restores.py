"""The kind ``postgres`` on real servers: what can go wrong in a capture, and every way to bring one back."""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pivori.components.base import (
    ClientMissing,
    ClientTooOld,
    Gravity,
    ProgramFailed,
    ReadInto,
    RestoreRequest,
    Stored,
    Surroundings,
    has_failure,
)
from pivori.components.postgres.catalogue import Excluded
from pivori.components.postgres.choosing import NotInCapture, SettingsClash, TableNotInCapture
from pivori.components.postgres.filling import RowsDiffer
from pivori.components.postgres.logical import DatabaseMissing, PostgresComponent
from pivori.components.postgres.server import Server, ServerUnreachable
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import in_place, move_aside, surroundings_in
from tests.servers.postgres import PASSWORD, SUPERUSER, VERSIONS, PostgresServer, postgres_server, server_programs

ROWS = 40_000
"""Rows of a table whose dump is longer than what is read of it before its list is known."""


@pytest.fixture(scope="module", params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with postgres_server(request.param) as running:
        yield running


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    return surroundings_in(tmp_path / "own", tmp_path)


@pytest.fixture
def shop(server: PostgresServer) -> Iterator[str]:
    """A database with a few tables that refer to each other."""
    server.run("CREATE DATABASE shop")
    server.run(
        "CREATE SCHEMA odd",
        "CREATE TABLE account (id serial PRIMARY KEY, name text UNIQUE, balance int CHECK (balance > -1000))",
        "INSERT INTO account (name, balance) SELECT 'n' || i, 100 FROM generate_series(1, 100) i",
        "CREATE INDEX by_balance ON account (balance)",
        "CREATE TABLE transfer (id bigint GENERATED ALWAYS AS IDENTITY, payer int REFERENCES account, amount int)",
        "INSERT INTO transfer (payer, amount) SELECT i, 1 FROM generate_series(1, 50) i",
        "CREATE VIEW poor AS SELECT * FROM account WHERE balance < 10",
        'CREATE TABLE odd."A b""c" (x text)',
        """INSERT INTO odd."A b""c" VALUES ('1'), ('2')""",
        "GRANT SELECT ON account TO pg_monitor",
        database="shop",
    )
    yield "shop"
    left = [row[0] for row in server.rows("SELECT datname FROM pg_database WHERE datname ~ '^(shop|copy|large)'")]
    for name in left:
        server.run(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def large(server: PostgresServer) -> Iterator[str]:
    """A database whose dump does not come in one piece."""
    server.run("CREATE DATABASE large")
    server.run(
        f"CREATE TABLE a AS SELECT i, repeat(md5(i::text), 8) t FROM generate_series(1, {ROWS}) i",
        "ALTER TABLE a ADD PRIMARY KEY (i)",
        "CREATE TABLE b AS SELECT i FROM generate_series(1, 500) i",
        "CREATE TABLE c AS SELECT * FROM a",
        "SELECT lo_from_bytea(815, 'large')",
        "ALTER TABLE b ADD FOREIGN KEY (i) REFERENCES a",
        database="large",
    )
    yield "large"
    for (name,) in server.rows("SELECT datname FROM pg_database WHERE datname ~ '^(large|copy)'"):
        server.run(f'DROP DATABASE "{name}" WITH (FORCE)')


def component_of(server: PostgresServer, /, *databases: str, **more: Any) -> PostgresComponent:
    words = {"server": Server(url=server.url), "programs": server.programs, "server_programs": server.programs}
    return PostgresComponent(name="db", databases=databases, **(words | more))


def taken(component: PostgresComponent, surroundings: Surroundings, folder: Path) -> FolderCapture:
    sink = FolderSink(folder / "capture")
    return sink.finish(component.capture(sink, surroundings))


def names_of(server: PostgresServer) -> set[str]:
    return {str(name) for (name,) in server.rows("SELECT datname FROM pg_database WHERE NOT datistemplate")}


class TamperingSink(FolderSink):
    """Does something when the first piece of the first dump has come."""

    def __init__(self, folder: Path, action: Callable[[], object]) -> None:
        super().__init__(folder)
        self._action = action

    def stream(self, path: str, read: ReadInto) -> Stored:
        began = False

        def tampered(buffer: memoryview) -> int:
            nonlocal began
            count = read(buffer[:4096])
            if not began:
                began = True
                self._action()
            return count

        return super().stream(path, tampered)


def children(program: str) -> list[Path]:
    """The processes of a program that this one has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and (place / "cmdline").read_bytes().split(b"\0")[0].endswith(program.encode()):
                found.append(place)
    return found


# ------------------------------------------------------------------------------------------------- captures


def test_a_dump_program_that_is_killed_fails_the_capture(
    server: PostgresServer, large: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    def kill() -> None:
        (process,) = children("pg_dump")
        os.kill(int(process.name), signal.SIGKILL)

    sink = TamperingSink(tmp_path / "capture", kill)
    with pytest.raises(ProgramFailed) as failed:
        component_of(server, large).capture(sink, surroundings)
    assert failed.value.details["status"] == 137


def test_a_lost_connection_fails_the_capture(
    server: PostgresServer, large: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    def cut() -> None:
        server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'")

    sink = TamperingSink(tmp_path / "capture", cut)
    with pytest.raises(ProgramFailed) as failed:
        component_of(server, large).capture(sink, surroundings)
    assert failed.value.details["status"] == 1
    assert "pg_dump" in str(failed.value)


def test_an_interrupted_capture_leaves_no_program_and_no_session(
    server: PostgresServer, large: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        component_of(server, large).capture(TamperingSink(tmp_path / "capture", interrupt), surroundings)
    assert not children("pg_dump")
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pivori'"
    deadline = time.monotonic() + 20
    while server.rows(query) != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_database_that_is_not_there_fails_the_capture(
    server: PostgresServer, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, "nowhere")
    assert has_failure(component.inspect(surroundings).findings)
    with pytest.raises(DatabaseMissing):
        component.capture(FolderSink(tmp_path / "capture"), surroundings)


def test_all_databases_are_captured_but_what_restores_have_left(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    server.run("CREATE DATABASE shop_aside_20260101t000000z", "CREATE DATABASE shop_pivori_restoring")
    component = component_of(server)
    report = taken(component, surroundings, tmp_path).report
    assert [database["name"] for database in report.facts["databases"]] == ["postgres", "shop"]
    warned = [finding.message for finding in component.inspect(surroundings).findings]
    assert any("shop_aside_20260101t000000z" in message for message in warned)


def test_tables_are_left_out_as_pg_dump_understands_it(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, shop, excluded=Excluded(tables=["Odd.*"], rows=["trans?er"]))
    capture = taken(component, surroundings, tmp_path)
    assert not component.verify(capture, surroundings)
    assert capture.report.counts["tables"] == 1
    component.restore(capture, in_place(tmp_path, **{"as": "copy"}), surroundings)
    assert server.rows("SELECT count(*) FROM transfer", database="copy") == [(0,)]
    assert server.rows("SELECT to_regnamespace('odd') IS NULL OR to_regclass('odd.\"A b\"\"c\"') IS NULL", "copy") == [
        (True,)
    ]


def test_a_capture_under_load_is_of_one_moment(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    stop = threading.Event()
    done = threading.Event()

    def transfer() -> None:
        with server.connect(shop) as connection:
            number = 0
            while not stop.is_set():
                number += 1
                with connection.transaction():
                    payer, payee = number % 100 + 1, number * 7 % 100 + 1
                    connection.execute("UPDATE account SET balance = balance - 1 WHERE id = %s", [payer])
                    connection.execute("UPDATE account SET balance = balance + 1 WHERE id = %s", [payee])
                    connection.execute("INSERT INTO transfer (payer, amount) VALUES (%s, 1)", [payer])
                if number > 20:
                    done.set()

    writer = threading.Thread(target=transfer)
    writer.start()
    try:
        assert done.wait(30)
        component = component_of(server, shop)
        capture = taken(component, surroundings, tmp_path)
    finally:
        stop.set()
        writer.join()
    component.restore(capture, in_place(tmp_path, **{"as": "copy"}), surroundings)
    (rows,) = server.rows("SELECT count(*) FROM transfer", database="copy")[0]
    assert server.rows("SELECT sum(balance) FROM account", database="copy") == [(10000,)]
    tables = {table[1]: table[3] for table in capture.report.facts["databases"][0]["tables"]}
    assert tables["transfer"] == rows
    assert server.rows("SELECT count(*) FROM transfer", database=shop)[0][0] > rows


# ------------------------------------------------------------------------------------------------- passwords


@pytest.fixture
def guarded(server: PostgresServer) -> Iterator[PostgresServer]:
    before = (server.data / "pg_hba.conf").read_text()
    server.demand_password()
    yield server
    (server.data / "pg_hba.conf").write_text(before)
    with server.connect(password=PASSWORD) as connection:
        connection.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 20
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_password_is_nowhere_while_it_is_used(
    large: str, guarded: PostgresServer, surroundings: Surroundings, tmp_path: Path
) -> None:
    seen: list[bytes] = []

    def look() -> None:
        for process in children("pg_dump"):
            seen.append((process / "cmdline").read_bytes())
            seen.append((process / "environ").read_bytes())
        seen.extend(item.read_bytes() for item in tmp_path.rglob("*") if item.is_file())

    component = component_of(guarded, large, server=Server(url=guarded.url, password=lambda: PASSWORD))
    sink = TamperingSink(tmp_path / "capture", look)
    capture = sink.finish(component.capture(sink, surroundings))
    assert any(b"PGPASSFILE=" in text for text in seen)
    canary = PASSWORD.partition(":")[0].encode()  # however the rest is quoted
    assert not [text for text in seen if canary in text]
    component.restore(capture, in_place(tmp_path, **{"as": "copy"}), surroundings)
    with guarded.connect(password=PASSWORD) as connection:
        connection.execute("DROP DATABASE copy")


def test_a_wrong_password_is_told_without_the_password(
    guarded: PostgresServer, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(guarded, server=Server(url=guarded.url, password=lambda: "mistaken"))
    assert has_failure(component.inspect(surroundings).findings)
    with pytest.raises(ServerUnreachable) as failed:
        component.capture(FolderSink(tmp_path / "capture"), surroundings)
    assert "mistaken" not in str(failed.value) + repr(failed.value.details)


# ------------------------------------------------------------------------------------------------- programs


def pretended(folder: Path, version: str) -> Path:
    """Client programs of a version, which cannot do anything but say so."""
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_client_programs_older_than_the_server_are_refused(
    server: PostgresServer, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, programs=pretended(tmp_path / "old", "14.2"))
    (found,) = [item for item in component.inspect(surroundings).findings if item.gravity is Gravity.FAILURE]
    assert f"postgresql-client-{server.major}" in str(found.hint)
    with pytest.raises(ClientTooOld):
        component.capture(FolderSink(tmp_path / "capture"), surroundings)


def test_a_machine_without_client_programs_is_told_what_to_install(
    server: PostgresServer, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, programs=tmp_path)
    with pytest.raises(ClientMissing) as failed:
        component.capture(FolderSink(tmp_path / "capture"), surroundings)
    assert f"postgresql-client-{server.major}" in str(failed.value.details["package"])


# ------------------------------------------------------------------------------------------------- restores


@pytest.mark.parametrize("jobs", ["2", "3"])
def test_a_large_database_comes_back_streamed_and_from_a_file(
    server: PostgresServer, large: str, surroundings: Surroundings, tmp_path: Path, jobs: str
) -> None:
    component = component_of(server, large)
    capture = taken(component, surroundings, tmp_path)
    assert capture.report.facts["databases"][0]["size"] > 16 << 20
    request = in_place(tmp_path, **{"as": "copy", "jobs": jobs})
    restored = component.restore(capture, request, surroundings)
    assert restored.counts == {"databases": 1, "tables": 3, "rows": 2 * ROWS + 500}
    for query in (
        "SELECT md5(string_agg(t, ',' ORDER BY i)) FROM a",
        "SELECT md5(string_agg(t, ',' ORDER BY i)) FROM c",
        "SELECT lo_get(815)",
    ):
        assert server.rows(query, database="copy") == server.rows(query, database=large)
    query = "SELECT conname, contype, convalidated FROM pg_constraint ORDER BY 1"
    assert server.rows(query, database="copy") == server.rows(query, database=large)
    assert list(surroundings.state.iterdir()) == []


def test_an_interrupted_restore_changes_nothing_and_the_next_completes_it(
    server: PostgresServer, large: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, large)
    capture = taken(component, surroundings, tmp_path)
    server.run("DELETE FROM b", database=large)

    class Interrupting(FolderCapture):
        def pieces(self, path: str) -> Iterator[bytes]:
            for number, piece in enumerate(super().pieces(path)):
                if number == 6:
                    raise KeyboardInterrupt
                yield piece

    before = names_of(server)
    with pytest.raises(KeyboardInterrupt):
        component.restore(Interrupting(capture.folder, capture.report), in_place(tmp_path), surroundings)
    assert names_of(server) == before
    assert server.rows("SELECT count(*) FROM b", database=large) == [(0,)]
    assert list(surroundings.state.iterdir()) == []
    server.run("CREATE DATABASE large_pivori_restoring")  # as a killed run leaves it
    component.restore(capture, in_place(tmp_path), surroundings)
    assert server.rows("SELECT count(*) FROM b", database=large) == [(500,)]
    assert "large_pivori_restoring" not in names_of(server)


def test_a_damaged_dump_changes_nothing(
    server: PostgresServer, large: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, large)
    capture = taken(component, surroundings, tmp_path)
    with (capture.folder / "large.dump").open("r+b") as file:
        file.truncate(6 << 20)
    before = names_of(server)
    with pytest.raises(ProgramFailed):
        component.restore(capture, in_place(tmp_path), surroundings)
    assert names_of(server) == before
    assert server.rows("SELECT count(*) FROM a", database=large) == [(ROWS,)]


def test_missing_rows_are_found_before_anything_is_replaced(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, shop)
    capture = taken(component, surroundings, tmp_path)
    capture.report.facts["databases"][0]["tables"][0][3] += 1
    before = names_of(server)
    with pytest.raises(RowsDiffer):
        component.restore(capture, in_place(tmp_path), surroundings)
    assert names_of(server) == before


def test_sessions_that_come_back_at_once_do_not_keep_a_database_from_being_replaced(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, shop)
    capture = taken(component, surroundings, tmp_path)
    stop = threading.Event()

    def insist() -> None:
        while not stop.is_set():
            with contextlib.suppress(psycopg.Error), server.connect(shop, connect_timeout=20) as connection:
                while not stop.is_set():
                    connection.execute("SELECT 1")

    clients = [threading.Thread(target=insist) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        component.restore(capture, in_place(tmp_path), surroundings)
    finally:
        stop.set()
        for client in clients:
            client.join()
    aside = [name for name in names_of(server) if name.startswith("shop_aside_")]
    assert len(aside) == 1
    assert server.rows("SELECT count(*) FROM account", database=aside[0]) == [(100,)]


def test_one_database_goes_into_another_server(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    server.run("CREATE ROLE seller LOGIN PASSWORD 'x'")
    try:
        server.run("ALTER TABLE account OWNER TO seller", database=shop)
        component = component_of(server, shop, "postgres")
        capture = taken(component, surroundings, tmp_path)
        server.run("ALTER TABLE account OWNER TO postgres", database=shop)
    finally:
        server.run("DROP ROLE seller")
    with postgres_server(18) as other:
        component = dataclasses.replace(component, programs=other.programs)
        request = in_place(tmp_path, database=shop, server=other.url, **{"as": "copy"})
        plan = component.plan(capture, request, surroundings)
        assert not has_failure(plan.findings)
        component.restore(capture, request, surroundings)
        assert names_of(other) == {"postgres", "copy"}
        query = "SELECT tableowner FROM pg_tables WHERE tablename = 'account'"
        assert other.rows(query, database="copy") == [("seller",)]
        assert other.rows("SELECT count(*) FROM account", database="copy") == [(100,)]


def test_one_table_takes_the_place_of_the_one_that_is_there(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, shop)
    capture = taken(component, surroundings, tmp_path)
    server.run("UPDATE account SET balance = 0", database=shop)
    request = in_place(tmp_path, table="account")
    plan = component.plan(capture, request, surroundings)
    assert plan.replaces
    assert any("poor" in str(finding.message) for finding in plan.findings)
    restored = component.restore(capture, request, surroundings)
    assert server.rows("SELECT DISTINCT balance FROM account", database=shop) == [(100,)]
    ((aside,),) = server.rows("SELECT relname FROM pg_class WHERE relname ~ '^account_aside_'", database=shop)
    assert server.rows(f'SELECT DISTINCT balance FROM "{aside}"', database=shop) == [(0,)]
    assert any(str(aside) in line for line in restored.remaining)
    indexes = server.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'account' ORDER BY 1", database=shop)
    assert indexes == [("account_name_key",), ("account_pkey",), ("by_balance",)]
    server.run("INSERT INTO account (name, balance) VALUES ('new', 1)", database=shop)
    assert server.rows("SELECT id FROM account WHERE name = 'new'", database=shop) == [(101,)]
    grants = "SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'account' ORDER BY 1"
    assert ("pg_monitor",) in server.rows(grants, database=shop)


@pytest.mark.parametrize(
    ("named", "drop", "query", "expected"),
    [
        ("transfer", "DROP TABLE transfer", "SELECT count(*), max(id) FROM transfer", (50, 50)),
        ('odd.A b"c', 'DROP TABLE odd."A b""c"', 'SELECT count(*), max(x) FROM odd."A b""c"', (2, "2")),
    ],
)
def test_a_table_that_was_dropped_comes_back(
    server: PostgresServer,
    shop: str,
    surroundings: Surroundings,
    tmp_path: Path,
    named: str,
    drop: str,
    query: str,
    expected: tuple[object, ...],
) -> None:
    component = component_of(server, shop)
    capture = taken(component, surroundings, tmp_path)
    server.run(drop, database=shop)
    component.restore(capture, in_place(tmp_path, table=named), surroundings)
    assert server.rows(query, database=shop) == [expected]


def test_a_table_that_cannot_be_restored_stays_as_it_was(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, shop)
    capture = taken(component, surroundings, tmp_path)
    server.run("DROP TABLE account CASCADE", database=shop)
    before = server.rows("SELECT relname FROM pg_class ORDER BY 1", database=shop)
    with pytest.raises(ProgramFailed):  # it refers to a table that is gone
        component.restore(capture, in_place(tmp_path, table="transfer"), surroundings)
    assert server.rows("SELECT relname FROM pg_class ORDER BY 1", database=shop) == before
    assert server.rows("SELECT count(*) FROM transfer", database=shop) == [(50,)]


def test_what_was_not_captured_is_told(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, shop)
    capture = taken(component, surroundings, tmp_path)
    for settings, error in (
        ({"database": "nowhere"}, NotInCapture),
        ({"table": "nothing"}, TableNotInCapture),
        ({"table": "account", "as": "other"}, SettingsClash),
        ({"server": "postgresql://me:secret@host/db"}, SettingsClash),
    ):
        request = in_place(tmp_path, **settings)
        (finding,) = component.plan(capture, request, surroundings).findings
        assert has_failure([finding])
        assert finding.hint
        with pytest.raises(error) as failed:
            component.restore(capture, request, surroundings)
        assert "secret" not in str(failed.value)


def test_somebody_without_all_rights_captures_what_can_be_read(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    server.run("CREATE ROLE keeper LOGIN", "CREATE ROLE app LOGIN PASSWORD 'kept'")
    try:
        server.run(
            "DROP SCHEMA odd CASCADE",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO keeper",
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO keeper",
            database=shop,
        )
        url = server.url.replace(f"{SUPERUSER}@", "keeper@")
        component = component_of(server, shop, server=Server(url=url))
        inspection = component.inspect(surroundings)
        assert not has_failure(inspection.findings)
        assert any("passwords" in str(finding.message) for finding in inspection.findings)
        capture = taken(component, surroundings, tmp_path)
        assert capture.report.warnings
        assert b"SCRAM" not in capture.read("globals.sql")
        hints = [str(finding.hint) for finding in component.plan(capture, in_place(tmp_path), surroundings).findings]
        assert any("--set db.as=NAME" in hint for hint in hints)
        component_of(server).restore(capture, in_place(tmp_path), surroundings)
        assert server.rows("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'app'") == [(False,)]
    finally:
        for name in names_of(server) - {"postgres"}:
            server.run("DROP OWNED BY keeper", database=name)
        server.run("DROP ROLE keeper", "DROP ROLE app")


# ------------------------------------------------------------------------------------------------- own servers


def test_a_server_made_beside_can_be_started(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = component_of(server, shop)
    capture = taken(component, surroundings, tmp_path)
    request = RestoreRequest(to=tmp_path / "new" / "db", root=tmp_path / "new", aside=move_aside)
    restored = component.restore(capture, request, surroundings)
    assert any("pg_ctl" in line for line in restored.remaining)
    with postgres_server(server.major, started=False) as other:
        shutil.copytree(tmp_path / "new/db/data", other.data)
        subprocess.run(["chown", "-R", f"--reference={other.folder}", other.data], check=True)
        (other.data / "pg_hba.conf").write_text("local all all trust\n")
        other.start()
        assert names_of(other) == {"postgres", shop}
        assert other.rows("SELECT count(*) FROM account", database=shop) == [(100,)]
    assert list(surroundings.state.iterdir()) == []


def test_without_programs_of_a_server_the_dumps_are_written(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = dataclasses.replace(component_of(server, shop), server_programs=tmp_path)
    capture = taken(component, surroundings, tmp_path)
    request = RestoreRequest(to=tmp_path / "new", root=tmp_path / "new", aside=move_aside)
    plan = component.plan(capture, request, surroundings)
    assert plan.findings
    assert not has_failure(plan.findings)
    assert component.restore(capture, request, surroundings).remaining
    assert (tmp_path / "new/shop.dump").read_bytes() == capture.read("shop.dump")


def test_a_capture_is_proven_in_a_server_of_its_own(
    server: PostgresServer, shop: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = dataclasses.replace(component_of(server, shop), scratch=True)
    capture = taken(component, surroundings, tmp_path)
    assert not has_failure(component.verify(capture, surroundings))
    capture.report.facts["databases"][0]["tables"][0][3] += 1
    assert has_failure(component.verify(capture, surroundings))
    assert list(surroundings.state.iterdir()) == []


def test_a_server_that_a_killed_run_has_left_is_stopped(surroundings: Surroundings, tmp_path: Path) -> None:
    programs = server_programs(18)
    work = f"""
import sys, time
from pathlib import Path
from pivori.components.postgres.own_server import make_cluster, running, server_owner, workplace
from pivori.components.postgres.programs import server_programs
state, programs, owner = Path({str(surroundings.state)!r}), server_programs(18, Path({str(programs)!r})), server_owner()
with workplace(state, state, owner) as place:
    make_cluster(programs, place / "data", owner, "me")
    with running(programs, place, owner, "me", {{"fsync": "off"}}) as server:
        print(place, server.words()["host"], (place / "data/postmaster.pid").read_text().split()[0], flush=True)
        time.sleep(600)
"""
    run = subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run, run.stdout:
        place, sockets, pid = run.stdout.readline().split()
        run.kill()
    assert Path(f"/proc/{pid}").exists()
    component = PostgresComponent(name="db", server=Server(), server_programs=programs)
    assert component.resume(surroundings)
    assert not Path(place).exists()
    assert not Path(sockets).exists()
    with contextlib.suppress(FileNotFoundError):  # gone, or dead and not yet buried
        assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    assert not component.resume(surroundings)
