"""The kind ``mysql`` beyond the contract: moments under load, single databases, secrets, and what goes wrong."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.components.base import ClientMissing, ClientTooOld, ProgramFailed, RestoreRequest, Surroundings, has_failure
from pivori.components.mysql import bringing_back
from pivori.components.mysql.bringing_back import CaptureDamaged, FillingFailed, NameForNone, NotInCapture
from pivori.components.mysql.component import MysqlComponent
from pivori.components.mysql.programs import Version, programs_for
from pivori.components.mysql.server import Server, ServerUnreachable
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import in_place, move_aside, surroundings_in
from tests.contract.components.test_mysql import ODD, MysqlSpecimen
from tests.servers.mariadb import PASSWORD, PrivateMariadb, mariadb_server, program


@pytest.fixture
def specimen(tmp_path: Path) -> Iterator[MysqlSpecimen]:
    with mariadb_server("--log-bin=log", "--server-id=7", "--log-bin-trust-function-creators=1") as server:
        yield MysqlSpecimen(server, tmp_path)


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    return surroundings_in(tmp_path / "own", tmp_path)


def captured(component: MysqlComponent, folder: Path, surroundings: Surroundings) -> FolderCapture:
    sink = FolderSink(folder)
    return sink.finish(component.capture(sink, surroundings))


def test_money_that_moves_meanwhile_sums_to_the_same(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    server = specimen.server
    server.run(
        "CREATE DATABASE bank",
        "CREATE DATABASE vault",
        "CREATE TABLE bank.a (id int PRIMARY KEY, n int)",
        "CREATE TABLE vault.a (id int PRIMARY KEY, n int)",
    )
    server.run(*(f"INSERT INTO {name}.a VALUES ({i}, 100)" for name in ("bank", "vault") for i in range(20)))
    stop = threading.Event()
    moved = []

    def move() -> None:
        with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("BEGIN")
                cursor.execute("UPDATE bank.a SET n = n - 1 WHERE id = %s", (len(moved) % 20,))
                cursor.execute("UPDATE vault.a SET n = n + 1 WHERE id = %s", (len(moved) % 20,))
                cursor.execute("COMMIT")
                moved.append(1)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        while not moved:
            time.sleep(0.01)
        capture = captured(specimen.component, tmp_path / "c", surroundings)
    finally:
        stop.set()
        mover.join()
    specimen.component.restore(capture, in_place(tmp_path), surroundings)
    ((bank,),) = server.run("SELECT SUM(n) FROM bank.a")
    ((vault,),) = server.run("SELECT SUM(n) FROM vault.a")
    assert bank + vault == 4000
    assert bank < 2000
    assert capture.report.position["binlog"].startswith("log.0")
    assert capture.report.position["gtid"].startswith("0-7-")


def test_a_single_database_comes_back_alone(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    before = specimen.state()
    specimen.server.run("DELETE FROM aim.a", "DROP TABLE shop.texts")
    odd = "`" + ODD.replace("`", "``") + "`"
    specimen.server.run(f"DROP DATABASE {odd}")
    restored = specimen.component.restore(capture, in_place(tmp_path, database="aim"), surroundings)
    assert restored.counts == {"databases": 1, "tables": 1, "rows": 1}
    assert ODD not in specimen.server.databases()
    assert not specimen.server.run("SHOW TABLES FROM shop LIKE 'texts'")
    for name in ("shop", ODD):
        specimen.component.restore(capture, in_place(tmp_path, database=name), surroundings)
    assert specimen.state() == before


def test_a_database_comes_back_under_another_name(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    before = specimen.state()
    specimen.component.restore(capture, in_place(tmp_path, database="shop", **{"as": "old`shop"}), surroundings)
    assert specimen.server.run("SELECT COUNT(*) FROM `old``shop`.accounts")[0] == (90,)
    assert list(specimen.server.run("SELECT COUNT(*), MAX(b) FROM `old``shop`.rich")) == [(90, 200)]
    specimen.server.run("DROP DATABASE `old``shop`")
    assert specimen.state() == before
    with pytest.raises(NameForNone):
        specimen.component.restore(capture, in_place(tmp_path, **{"as": "other"}), surroundings)
    with pytest.raises(NotInCapture):
        specimen.component.restore(capture, in_place(tmp_path, database="none"), surroundings)


def test_it_goes_into_another_server(specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    with mariadb_server() as other:
        MysqlSpecimen.keeper(_Bare(other))
        specimen.component.restore(capture, in_place(tmp_path, server=other.socket), surroundings)
        assert other.run("SELECT COUNT(*) FROM shop.accounts")[0] == (90,)


class _Bare:
    def __init__(self, server: PrivateMariadb) -> None:
        self.server = server


def test_what_is_replaced_is_kept(specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    specimen.server.run("INSERT INTO shop.texts VALUES ('written since')")
    restored = specimen.component.restore(capture, in_place(tmp_path), surroundings)
    (kept,) = (surroundings.state / "aside").iterdir()
    assert "written since" in (kept / "data.sql").read_text()
    assert any(str(kept) in line for line in restored.remaining)
    assert all(not item.lstat().st_mode & 0o077 for item in (surroundings.state / "aside").rglob("*"))


def test_a_damaged_capture_replaces_nothing(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    before = specimen.state()
    specimen.spoil(capture)
    with pytest.raises(CaptureDamaged):
        specimen.component.restore(capture, in_place(tmp_path), surroundings)
    assert specimen.state() == before


def test_a_restore_that_breaks_off_says_where_the_old_state_is(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    whole, asked = capture.pieces, []

    def pieces(path: str) -> Iterator[bytes]:
        asked.append(path)
        content = b"".join(whole(path))
        # The first reading is the check, the second is for the server.
        yield content.replace(b"USE `shop`;", b"USE `none`;") if asked.count("data.sql") == 2 else content

    monkeypatch.setattr(capture, "pieces", pieces)
    with pytest.raises(FillingFailed) as raised:
        specimen.component.restore(capture, in_place(tmp_path), surroundings)
    assert (Path(str(raised.value.details["kept"])) / "data.sql").is_file()
    monkeypatch.undo()
    specimen.component.restore(capture, in_place(tmp_path), surroundings)
    assert specimen.server.run("SELECT COUNT(*) FROM shop.accounts")[0] == (90,)


def test_beside_without_a_servers_programs_the_dumps_are_written(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    monkeypatch.setattr(bringing_back, "server_programs", lambda: None)
    to = tmp_path / "new" / "db"
    request = RestoreRequest(to=to, root=tmp_path / "new", aside=move_aside)
    assert str(to) in specimen.component.plan(capture, request, surroundings).steps[0]
    restored = specimen.component.restore(capture, request, surroundings)
    assert restored.remaining
    names = {file.path for file in capture.files()}
    assert {path.name: path.read_bytes() for path in to.iterdir()} == {name: capture.read(name) for name in names}


def test_beside_a_server_is_stopped_that_a_killed_run_has_left(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    to = tmp_path / "new" / "db"
    code = f"""
import os
from pathlib import Path
from pivori.clock import SystemClock
from pivori.components.mysql.private_server import own_server, server_programs
with own_server(server_programs(), Path({str(to / "data")!r}), SystemClock(), Path({str(surroundings.state)!r})):
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    place = Path((surroundings.state / "own-server").read_text())
    left = Server(unix_socket=f"{place}/s")
    with left.connect():
        pass
    assert specimen.component.resume(surroundings)
    assert not place.exists()
    with pytest.raises(ServerUnreachable), left.connect():
        pass
    assert not specimen.component.resume(surroundings)
    shutil.rmtree(to)
    request = RestoreRequest(to=to, root=tmp_path / "new", aside=move_aside)
    assert specimen.component.restore(capture, request, surroundings).counts["rows"] == 188


def test_a_wrong_password_is_told_without_it(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    server = Server(unix_socket=specimen.server.socket, user="keeper", password=lambda: "wrong-canary")
    component = MysqlComponent(name="db", server=server)
    with pytest.raises(ServerUnreachable, match="Access denied") as raised:
        captured(component, tmp_path / "c", surroundings)
    assert "wrong-canary" not in str(raised.value) + repr(raised.value.details) + repr(component)
    assert has_failure(component.inspect(surroundings).findings)


def test_the_password_is_in_no_argument_environment_or_file(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    seen: list[bytes] = []
    sink = FolderSink(tmp_path / "c")
    stream = sink.stream

    def spying(path: str, read: object) -> object:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes()
                if b"--defaults-file=" in words and specimen.server.socket.encode() not in words:
                    seen.append(words + (process / "environ").read_bytes())
        return stream(path, read)

    sink.stream = spying
    specimen.component.capture(sink, surroundings)
    assert any(b"dump" in words for words in seen)
    assert not any(PASSWORD.encode() in words or b"canary5183" in words for words in seen)
    for item in (tmp_path / "own").rglob("*"):
        assert not item.is_file() or b"canary5183" not in item.read_bytes()


def test_a_server_that_dies_meanwhile_fails_the_capture(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    specimen.server.run(
        "CREATE TABLE shop.zz (b longtext)",
        *["INSERT INTO shop.zz VALUES (repeat('0123456789', 200000))"] * 8,
    )
    sink = FolderSink(tmp_path / "c")
    stream = sink.stream

    def dying(path: str, read: object) -> object:
        def reading(buffer: memoryview) -> int:
            count: int = read(buffer[:4096])
            specimen.server.stop()
            return count

        return stream(path, reading if path == "data.sql" else read)

    sink.stream = dying
    with pytest.raises(ProgramFailed, match="dump ended with status"):
        specimen.component.capture(sink, surroundings)


def test_tables_are_left_out(specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings) -> None:
    component = MysqlComponent(
        name="db", server=specimen.component.server, databases=["shop"], exclude_tables=["shop.te*"]
    )
    capture = captured(component, tmp_path / "c", surroundings)
    assert capture.report.facts["databases"].keys() == {"shop"}
    assert capture.report.facts["databases"]["shop"].keys() >= {"accounts", "aa_payments"}
    assert "texts" not in capture.report.facts["databases"]["shop"]


def test_clients_have_to_fit_the_server(tmp_path: Path) -> None:
    def install(name: str, said: str) -> None:
        place = tmp_path / name
        place.write_text(f"#!/bin/sh\necho '{said}'\n")
        place.chmod(0o755)

    mariadb, mysql = Version.of("11.4.2-MariaDB-log"), Version.of("8.4.1")
    with pytest.raises(ClientMissing):
        programs_for(mariadb, tmp_path)
    for name in ("mysqldump", "mysql"):
        install(name, "mysqldump  Ver 8.0.36-0ubuntu0.22.04.1 for Linux on x86_64 ((Ubuntu))")
    with pytest.raises(ClientMissing):
        programs_for(mariadb, tmp_path)
    with pytest.raises(ClientTooOld):
        programs_for(mysql, tmp_path)
    for name in ("mariadb-dump", "mariadb"):
        install(name, "mariadb-dump from 11.4.3-MariaDB, client 10.19 for Linux (x86_64)")
    assert programs_for(mariadb, tmp_path).version.text == "11.4.3"
    assert programs_for(Version.of("8.0.30"), tmp_path).dump == str(tmp_path / "mysqldump")


def test_the_way_back_by_hand_works(specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings) -> None:
    capture = captured(specimen.component, tmp_path / "c", surroundings)
    before = specimen.state()
    specimen.destroy()
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    wrapper = bin_folder / "mariadb"
    wrapper.write_text(
        f'#!/bin/sh\nexec {program("mariadb")} --no-defaults --socket={specimen.server.socket} --user=root "$@"\n'
    )
    wrapper.chmod(0o755)
    lines = "\n".join(specimen.component.manual(capture.report))
    done = subprocess.run(
        ["bash", "-ec", lines],
        cwd=capture.folder,
        env=os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The server gives its own root the same right twice when it is asked to.
    assert set(specimen.state()) == set(before)


def test_an_address_has_no_password() -> None:
    server = Server(user="me")
    assert str(server.at("mysql://you@db:3307/")) == "you@db:3307"
    with pytest.raises(ServerUnreachable):
        server.at("mysql://you:canary@db/")


def test_the_rights_of_the_guide_are_enough(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    specimen.server.run(
        "CREATE USER small@localhost",
        "GRANT SELECT, EXECUTE, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, PROCESS, RELOAD, REPLICATION CLIENT"
        " ON *.* TO small@localhost",
    )
    server = Server(unix_socket=specimen.server.socket, user="small")
    capture = captured(MysqlComponent(name="db", server=server), tmp_path / "c", surroundings)
    whole = captured(specimen.component, tmp_path / "d", surroundings)
    files, others = (found.report.facts["files"] for found in (capture, whole))
    assert files["shop.routines.sql"] == others["shop.routines.sql"]
    assert files["shop.triggers.sql"] == others["shop.triggers.sql"]
    assert capture.report.counts == whole.report.counts


def test_without_rights_on_accounts_they_are_missed_and_that_is_told(
    specimen: MysqlSpecimen, tmp_path: Path, surroundings: Surroundings
) -> None:
    specimen.server.run("CREATE USER small@localhost", "GRANT ALL ON shop.* TO small@localhost")
    specimen.server.run("GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO small@localhost")
    specimen.server.run("GRANT SELECT ON mysql.proc TO small@localhost")
    server = Server(unix_socket=specimen.server.socket, user="small")
    component = MysqlComponent(name="db", server=server, databases=["shop"])
    capture = captured(component, tmp_path / "c", surroundings)
    assert any("Users and rights" in warning for warning in capture.report.warnings)
    assert not (capture.folder / "users.sql").exists()
