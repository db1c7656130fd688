"""A cluster back at a moment: to the minute before the disaster, under load, over captures that were lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pivori.clock import SystemClock
from pivori.components.base import Finding, PivoriError, ReadInto, Report, Restored, RestoreRequest, Stored, has_failure
from pivori.components.postgres.server import Server
from pivori.components.postgres_physical import recovering
from pivori.components.postgres_physical.capturing import CannotCapture
from pivori.components.postgres_physical.component import PostgresPhysical
from pivori.components.postgres_physical.facts import Facts
from pivori.components.postgres_physical.lsn import parse_lsn
from pivori.components.postgres_physical.private_server import PrivateServerFailed
from pivori.components.postgres_physical.recovering import CannotRestore
from pivori.components.postgres_physical.target import TargetOutOfReach
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import move_aside, surroundings_in
from tests.servers.postgres import PASSWORD, PLACE, VERSIONS, PostgresServer, as_server_user, postgres_server

SLOT = "pivori_bank"


@dataclass
class Later(SystemClock):
    """A clock that is ahead."""

    by: timedelta = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


class PowerCut(Exception):
    """What ends a capture in these tests."""


class BrokenSink(FolderSink):
    """A sink whose power is cut at the first segment of the log."""

    def stream(self, path: str, read: ReadInto) -> Stored:
        if path.startswith("wal/"):
            raise PowerCut
        return super().stream(path, read)


class Bank:
    """A server with a bank in it, and its captures."""

    def __init__(self, server: PostgresServer, top: Path) -> None:
        self.server = server
        self.top = top
        self.last: FolderCapture | None = None
        self.number = 0
        self.surroundings = surroundings_in(top / "own", top)
        self.component = PostgresPhysical(
            name="bank", server=Server(url=server.url), slot=SLOT, data_directory=server.data, programs=server.programs
        )
        server.run(
            "create table accounts (id int primary key, money int not null check (money >= 0))",
            "insert into accounts select n, 100 from generate_series(1, 500) n",
        )

    def sink(self, kind: type[FolderSink] = FolderSink) -> FolderSink:
        self.number += 1
        return kind(self.top / "captures" / str(self.number) / "bank", self.last)

    def capture(self) -> FolderCapture:
        sink = self.sink()
        report = self.component.capture(sink, self.surroundings)
        self.last = sink.finish(report)
        self.component.stored(report, self.surroundings)
        return self.last

    def verify(self, capture: FolderCapture) -> list[Finding]:
        return list(self.component.verify(capture, self.surroundings))

    def to(self, name: str = "back", **settings: str) -> RestoreRequest:
        settings = {name.replace("_", "-"): value for name, value in settings.items()}
        return RestoreRequest(to=self.top / name / "bank", root=self.top / name, aside=move_aside, settings=settings)

    def in_place(self, **settings: str) -> RestoreRequest:
        return replace(self.to(**settings), to=None)

    def restore(self, capture: FolderCapture, request: RestoreRequest) -> Restored:
        plan = self.component.plan(capture, request, self.surroundings)
        assert not has_failure(plan.findings), plan.findings
        return self.component.restore(capture, request, self.surroundings)

    def failures(self, capture: FolderCapture, request: RestoreRequest) -> str:
        findings = self.component.plan(capture, request, self.surroundings).findings
        with pytest.raises(PivoriError):
            self.component.restore(capture, request, self.surroundings)
        return " ".join(f"{finding.message} {finding.hint}" for finding in findings)

    def now(self) -> str:
        return str(self.server.rows("select clock_timestamp()::text")[0][0])

    def position(self) -> str:
        return str(self.server.rows("select pg_current_wal_lsn()::text")[0][0])

    def confirmed(self) -> int:
        rows = self.server.rows(f"select restart_lsn::text from pg_replication_slots where slot_name = '{SLOT}'")
        return parse_lsn(str(rows[0][0]))

    @contextmanager
    def beside(self, name: str = "back") -> Iterator[PostgresServer]:
        """The cluster that was restored beside, running."""
        other = PostgresServer(self.server.major, self.top / name / "bank", port=5433)
        other.start()
        try:
            yield other
        finally:
            other.stop()


@contextmanager
def a_bank(major: int, **settings: str) -> Iterator[Bank]:
    top = Path(tempfile.mkdtemp(prefix="moments-", dir=PLACE))
    top.chmod(0o755)
    try:
        with postgres_server(major, **settings) as server:
            yield Bank(server, top)
    finally:
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def bank() -> Iterator[Bank]:
    with a_bank(15) as made:
        yield made


ALL = "select count(*), sum(money) from accounts"


@pytest.mark.parametrize("major", VERSIONS)
def test_corrupted_data_come_back_as_of_the_minute_before(major: int) -> None:
    with a_bank(major) as bank:
        bank.capture()
        bank.server.run("insert into accounts select n, 100 from generate_series(501, 700) n")
        before = bank.now()
        bank.server.run("delete from accounts where id % 2 = 0", "drop database if exists nothing")
        bank.server.run("update accounts set money = 0")
        captured = bank.capture()
        assert not bank.verify(captured)
        bank.server.stop()
        restored = bank.restore(captured, bank.in_place(target_time=before))
        assert restored.checked
        bank.server.start()
        assert bank.server.rows(ALL) == [(700, 70000)]
        # The server goes on with a history of its own, and is captured from a new base.
        following = bank.capture()
        assert Facts.of(following.report).timeline == 2
        assert (following.folder / "wal" / "00000002.history").is_file()
        assert [str(text) for text in following.report.warnings] == [
            "A new base was taken: the server is on timeline 2 now."
        ]
        assert not bank.verify(following)


def test_to_a_position_in_the_log_and_to_a_transaction(bank: Bank) -> None:
    bank.capture()
    bank.server.run("insert into accounts values (1001, 1)")
    position = bank.position()
    with bank.server.connect() as connection, connection.transaction():
        xid = str(connection.execute("select pg_current_xact_id()::text").fetchone()[0])
        connection.execute("insert into accounts values (1002, 1)")
    bank.server.run("insert into accounts values (1003, 1)")
    captured = bank.capture()
    expected = {
        "lsn": (bank.to("lsn", target_lsn=position), [1001]),
        "xid": (bank.to("xid", target_xid=xid), [1001, 1002]),
        "before": (bank.to("before", target_xid=xid, target_inclusive="false"), [1001]),
        "end": (bank.to("end"), [1001, 1002, 1003]),
    }
    for name, (request, accounts) in expected.items():
        bank.restore(captured, request)
        with bank.beside(name) as other:
            assert [row[0] for row in other.rows("select id from accounts where id > 1000 order by 1")] == accounts


def test_under_load_money_is_neither_made_nor_lost(bank: Bank) -> None:
    stop = threading.Event()
    done = [0]

    def transfer(seed: int) -> None:
        with bank.server.connect() as connection:
            while not stop.is_set():
                one, other = (done[0] * 7 + seed) % 500 + 1, (done[0] * 13 + seed * 3) % 500 + 1
                with connection.transaction():
                    ids = sorted({one, other})
                    connection.execute("select 1 from accounts where id = any(%s) order by id for update", [ids])
                    connection.execute("update accounts set money = money - 1 where id = %s and money > 0", [one])
                    connection.execute(
                        "insert into journal values (%s, %s) on conflict do nothing", [done[0], "x" * 400]
                    )
                    connection.execute("update accounts set money = money + 1 where id = %s", [other])
                done[0] += 1

    bank.server.run("create table journal (n int, text text)", "update accounts set money = 1000000")
    threads = [threading.Thread(target=transfer, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    try:
        bank.capture()
        while done[0] < 100:
            time.sleep(0.01)
        moment = bank.now()
        while done[0] < 300:
            time.sleep(0.01)
        captured = bank.capture()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not bank.verify(captured)
    for name, request in (("then", bank.to("then", target_time=moment)), ("end", bank.to("end"))):
        bank.restore(captured, request)
        with bank.beside(name) as other:
            assert other.rows(ALL) == [(500, 500_000_000)]
            assert other.rows("select count(*) > 50 from journal") == [(True,)]


def test_what_a_lost_capture_had_is_in_the_next_one(bank: Bank) -> None:
    first = bank.capture()
    confirmed = bank.confirmed()
    bank.server.run("insert into accounts values (1001, 1)", "select pg_switch_wal()")
    # One that is whole, but whose recovery point never became durable.
    bank.component.capture(bank.sink(), bank.surroundings)
    bank.server.run("insert into accounts values (1002, 1)", "select pg_switch_wal()", "checkpoint")
    with pytest.raises(PowerCut):
        bank.component.capture(bank.sink(BrokenSink), bank.surroundings)
    bank.server.run("insert into accounts values (1003, 1)", "select pg_switch_wal()", "checkpoint")
    assert bank.confirmed() == confirmed == parse_lsn(first.report.position["lsn"])
    captured = bank.capture()
    assert captured.report.counts["bases"] == 1
    assert not captured.report.warnings
    assert bank.confirmed() == parse_lsn(captured.report.position["lsn"]) > confirmed
    assert not bank.verify(captured)
    bank.restore(captured, bank.to())
    with bank.beside() as other:
        assert other.rows("select count(*) from accounts where id > 1000") == [(3,)]


KILLED = """
import os, signal, sys
from pathlib import Path
from pivori.components.postgres.server import Server
from pivori.components.postgres_physical.component import PostgresPhysical
from pivori.testing.capture_folder import FolderSink
from pivori.testing.component_contract import surroundings_in

class Dying(FolderSink):
    def stream(self, path, read):
        def until(buffer):
            count = read(buffer)
            if path.startswith("wal/") and not count:
                # All of the log was received, and the server knows that.
                os.kill(os.getpid(), signal.SIGKILL)
            return count
        return super().stream(path, until)

url, top = sys.argv[1], Path(sys.argv[2])
component = PostgresPhysical(name="bank", server=Server(url=url), slot="pivori_bank")
component.capture(Dying(top / "killed"), surroundings_in(top / "own", top))
"""


def test_a_capture_that_is_killed_confirms_nothing(bank: Bank) -> None:
    command = [sys.executable, "-c", KILLED, bank.server.url, str(bank.top)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    held = bank.confirmed()
    base = next((bank.top / "killed" / "base").iterdir()).name
    assert held < int(base.rpartition("-")[2], 16)
    bank.server.run("insert into accounts values (1001, 1)", "select pg_switch_wal()", "checkpoint")
    assert bank.confirmed() == held
    captured = bank.capture()
    bank.restore(captured, bank.to())
    with bank.beside() as other:
        assert other.rows("select count(*) from accounts") == [(501,)]


def test_nothing_is_read_again_while_nothing_happens(bank: Bank) -> None:
    bank.capture()
    bank.server.run("insert into accounts values (1001, 1)")
    first = bank.capture()
    sink = bank.sink()
    report = bank.component.capture(sink, bank.surroundings)
    assert report.position["lsn"] == first.report.position["lsn"]
    assert sorted(sink.kept) == [file.path for file in first.files()]


def test_an_old_base_is_followed_by_a_new_one_and_every_moment_between_can_be_reached(bank: Bank) -> None:
    bank.capture()
    bank.server.run("insert into accounts values (1001, 1)")
    between = bank.now()
    bank.server.run("insert into accounts values (1002, 1)")
    bank.surroundings = replace(bank.surroundings, clock=Later(by=timedelta(days=1, minutes=1)))
    both = bank.capture()
    assert both.report.counts["bases"] == 2
    assert not both.report.warnings
    bank.server.run("insert into accounts values (1003, 1)")
    newer = bank.capture()
    assert newer.report.counts["bases"] == 1
    assert newer.report.replay_from > both.report.replay_from
    assert not bank.verify(both)
    assert not bank.verify(newer)
    bank.restore(both, bank.to("between", target_time=between))
    with bank.beside("between") as other:
        assert other.rows("select count(*) from accounts where id > 1000") == [(1,)]
    assert "reaches from" in bank.failures(newer, bank.to("between", target_time=between))
    bank.restore(newer, bank.to("end"))
    with bank.beside("end") as other:
        assert other.rows("select count(*) from accounts where id > 1000") == [(3,)]


def test_a_base_that_is_far_smaller_than_the_last_one_is_told(bank: Bank) -> None:
    bank.server.run("create table t as select generate_series(1, 1000000) n")
    bank.capture()
    bank.server.run("drop table t", "checkpoint")
    bank.surroundings = replace(bank.surroundings, clock=Later(by=timedelta(days=2)))
    assert ["the one before it had" in text for text in bank.capture().report.warnings] == [True]
    bank.surroundings = replace(bank.surroundings, clock=Later(by=timedelta(days=4)))
    assert not bank.capture().report.warnings


@pytest.mark.parametrize("reason", ["gone", "lost", "other cluster", "further on", "file missing"])
def test_a_gap_in_the_log_makes_a_new_base(reason: str) -> None:
    with a_bank(15, max_slot_wal_keep_size="48MB", min_wal_size="32MB", max_wal_size="32MB") as bank:
        first = bank.capture()
        gap(bank, first, reason)
        captured = bank.capture()
        assert captured.report.counts["bases"] == 1
        assert Facts.of(captured.report).bases != Facts.of(first.report).bases
        assert [str(text).startswith("A new base was taken: ") for text in captured.report.warnings] == [True]
        assert not bank.verify(captured)
        assert not bank.capture().report.warnings
        bank.restore(captured, bank.to())


def gap(bank: Bank, first: FolderCapture, reason: str) -> None:
    """Make the log discontinuous."""
    if reason == "gone":
        bank.server.run(f"select pg_drop_replication_slot('{SLOT}')")
    elif reason == "lost":
        for _ in range(7):
            bank.server.run(
                "create table if not exists t (n int)", "insert into t values (1)", "select pg_switch_wal()"
            )
        bank.server.run("checkpoint")
        assert bank.server.rows("select wal_status from pg_replication_slots") == [("lost",)]
    elif reason == "other cluster":
        bank.server.renew()
    elif reason == "further on":
        bank.server.run("create table t (n int)", "select pg_switch_wal()", "insert into t values (1)", "checkpoint")
        bank.server.run(f"select pg_replication_slot_advance('{SLOT}', pg_current_wal_lsn())")
    else:
        next((first.folder / "wal").iterdir()).unlink()


def test_targets_out_of_reach_are_refused_with_what_is_possible(bank: Bank) -> None:
    early = bank.now()
    captured = bank.capture()
    facts = Facts.of(captured.report)
    assert facts is not None
    said = bank.failures(captured, bank.to(target_time=early))
    assert facts.bases[0].ended.isoformat(sep=" ") in said
    assert facts.position in said
    for settings in ({"target_time": bank.now()}, {"target_lsn": "FF/0"}, {"target_lsn": "0/1"}):
        assert "cannot be replayed to" in bank.failures(captured, bank.to(**settings))
    for settings in (
        {"target_time": "yesterday"},
        {"target_lsn": "12"},
        {"target_xid": "x"},
        {"target_xid": "3", "target_lsn": "0/1"},
        {"target_inclusive": "perhaps"},
    ):
        assert "cannot be" in bank.failures(captured, bank.to(**settings))
    for setting in ("database", "table"):
        assert "pg_dump" in bank.failures(captured, bank.to(**{setting: "accounts"}))
    with pytest.raises(TargetOutOfReach):
        bank.component.restore(captured, bank.to(target_xid="4000000"), bank.surroundings)
    assert not (bank.top / "back" / "bank" / "data").exists()


def test_a_moment_after_the_last_transaction_is_the_end(bank: Bank) -> None:
    bank.server.run("insert into accounts values (1001, 1)")
    bank.capture()
    moment = datetime.fromisoformat(bank.now()).isoformat()
    captured = bank.capture()
    bank.restore(captured, bank.to(target_time=moment))
    with bank.beside() as other:
        assert other.rows("select count(*) from accounts") == [(501,)]


def test_a_running_server_and_a_closed_folder_are_in_the_way(bank: Bank) -> None:
    captured = bank.capture()
    assert "A server runs over" in bank.failures(captured, bank.in_place())
    assert "not one table of it" in bank.failures(captured, bank.in_place(table="account"))
    assert "not one database of it" in bank.failures(captured, bank.in_place(database="bank"))
    unplaced = replace(bank.component, data_directory=None)
    plan = unplaced.plan(captured, bank.in_place(), bank.surroundings)
    assert "data-directory" in str(plan.findings[-1].hint)
    if os.geteuid() == 0:
        bank.component = replace(
            bank.component, data_directory=bank.top / "closed" / "data", account=bank.server.data.owner()
        )
        (bank.top / "closed").mkdir(mode=0o700)
        assert f"may not enter {bank.top / 'closed'}" in bank.failures(captured, bank.in_place())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that the server's user may not enter")
def test_a_folder_that_the_server_may_not_enter_is_filled_all_the_same(bank: Bank) -> None:
    captured = bank.capture()
    closed = bank.top / "back"
    closed.mkdir(mode=0o700)
    restored = bank.restore(captured, bank.to())
    assert f"The user {bank.server.data.owner()} may not enter {closed}." in restored.remaining
    assert {item.name for item in bank.top.iterdir()} == {"own", "captures", "back"}
    closed.chmod(0o711)
    with bank.beside() as other:
        assert other.rows(ALL) == [(500, 50000)]


def test_a_hole_in_the_log_is_found(bank: Bank) -> None:
    bank.capture()
    for _ in range(4):
        bank.server.run("insert into accounts values (1001, 1) on conflict do nothing", "select pg_switch_wal()")
    captured = bank.capture()
    names = sorted((captured.folder / "wal").iterdir())
    names[1].write_bytes(bytes(names[1].stat().st_size))
    assert has_failure(bank.verify(captured))
    with pytest.raises(PrivateServerFailed):
        bank.component.restore(captured, bank.to(), bank.surroundings)
    assert not (bank.top / "back" / "bank" / "data").exists()
    names[1].unlink()
    assert "wal/" in str(bank.verify(captured)[0].message)


def test_a_verification_in_a_scratch_folder_brings_it_back(bank: Bank) -> None:
    captured = bank.capture()
    thorough = replace(bank.component, scratch=True)
    assert not thorough.verify(captured, bank.surroundings)
    # Damage that only the server itself sees, in a place that no digest of this kind covers.
    segment = next((captured.folder / "wal").iterdir())
    content = bytearray(segment.read_bytes())
    content[40:200] = bytes(160)
    segment.write_bytes(content)
    assert not bank.verify(captured)
    assert has_failure(thorough.verify(captured, bank.surroundings))
    assert not list(Path(tempfile.gettempdir()).glob("pivori-recovering-*"))
    assert not list(Path(tempfile.gettempdir()).glob("pivori-pg-*"))


def test_a_base_that_is_not_what_the_server_sent_is_found(bank: Bank) -> None:
    captured = bank.capture()
    facts = Facts.of(captured.report)
    assert facts is not None
    archive = captured.folder / facts.bases[0].folder / "base.tar"
    content = bytearray(archive.read_bytes())
    place = content.index(b"PG_VERSION") + 512
    content[place] ^= 1
    archive.write_bytes(content)
    assert "PG_VERSION" in str(bank.verify(captured)[0].message)
    content[place] ^= 1
    archive.write_bytes(content[: len(content) // 2 // 512 * 512])
    assert has_failure(bank.verify(captured))


def test_tablespaces_come_back_beside_the_data_directory(bank: Bank) -> None:
    bank.capture()
    place = bank.server.folder / "fast disk"
    place.mkdir()
    shutil.chown(place, bank.server.data.owner(), bank.server.data.group())
    bank.server.run(f"create tablespace fast location '{place}'", "create table quick (n int) tablespace fast")
    bank.server.run("insert into quick select generate_series(1, 1000)")
    captured = bank.capture()
    assert captured.report.counts["bases"] == 2
    assert not bank.verify(captured)
    bank.restore(captured, bank.to())
    bank.server.stop()
    shutil.rmtree(place)
    with bank.beside() as other:
        assert other.rows("select count(*) from quick") == [(1000,)]
        assert other.rows("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'") == [
            (str(next((bank.top / "back" / "bank" / "data.tablespaces").iterdir())),)
        ]


def test_a_restore_that_fails_leaves_the_tablespaces_of_what_is_there(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bank.server.folder / "fast"
    place.mkdir()
    shutil.chown(place, bank.server.data.owner(), bank.server.data.group())
    bank.server.run(f"create tablespace fast location '{place}'", "create table quick (n int) tablespace fast")
    captured = bank.capture()
    bank.restore(captured, bank.to())
    with bank.beside() as other:
        other.run("insert into quick values (7)")

    def fail(server: object) -> None:
        raise PrivateServerFailed(reason="no more")

    with monkeypatch.context() as patched:
        patched.setattr(recovering, "read_all", fail)
        with pytest.raises(PrivateServerFailed):
            bank.component.restore(captured, bank.to(), bank.surroundings)
    assert {item.name for item in (bank.top / "back" / "bank").iterdir()} - {"log"} == {"data", "data.tablespaces"}
    with bank.beside() as other:
        assert other.rows("select n from quick") == [(7,)]
    bank.restore(captured, bank.to())
    with bank.beside() as other:
        assert other.rows("select n from quick") == []


def test_a_superuser_who_may_not_log_in_is_told(bank: Bank) -> None:
    bank.server.run("create role copier login superuser", "alter role postgres nologin")
    bank.component = replace(bank.component, server=Server(url=bank.server.url).at(user="copier"))
    captured = bank.capture()
    with pytest.raises(PrivateServerFailed, match="not permitted to log in"):
        bank.component.restore(captured, bank.to(), bank.surroundings)
    assert not list((bank.top / "back" / "bank").iterdir())


def test_what_has_the_number_of_a_server_that_is_gone_is_not_stopped(bank: Bank) -> None:
    data = bank.top / "data"
    data.mkdir()
    owner = bank.server.data.stat()
    number = (bank.server.data / "postmaster.pid").read_text().split("\n", 1)[0]
    (data / "postmaster.pid").write_text(f"{number}\n{data}\n")
    content = {"programs": str(bank.server.programs), "data": str(data), "room": str(bank.top / "room")}
    bank.surroundings.state.mkdir(parents=True, exist_ok=True)
    note = bank.surroundings.state / "private-server.json"
    note.write_text(json.dumps({**content, "uid": owner.st_uid, "gid": owner.st_gid}))
    assert not bank.component.resume(bank.surroundings)
    assert not note.exists()
    assert bank.server.rows(ALL) == [(500, 50000)]


def test_rights_and_settings_that_keep_it_from_working_are_told(bank: Bank) -> None:
    bank.server.run("create role plain login", "create role copier login replication")
    plain = replace(bank.component, server=Server(url=bank.server.url).at(user="plain"))
    findings = plain.inspect(bank.surroundings).findings
    assert "may not replicate" in " ".join(finding.message for finding in findings)
    with pytest.raises(CannotCapture):
        plain.capture(bank.sink(), bank.surroundings)
    copier = replace(bank.component, server=Server(url=bank.server.url).at(user="copier"))
    assert not has_failure(copier.inspect(bank.surroundings).findings)
    sink = bank.sink()
    report = copier.capture(sink, bank.surroundings)
    copier.stored(report, bank.surroundings)
    assert bank.confirmed() == parse_lsn(report.position["lsn"])
    hba = bank.server.data / "pg_hba.conf"
    hba.write_text("local all all trust\n")
    bank.server.run("select pg_reload_conf()")
    wait_until(lambda: has_failure(bank.component.inspect(bank.surroundings).findings))
    assert any("pg_hba" in finding.message for finding in bank.component.inspect(bank.surroundings).findings)


def wait_until(is_so: "object") -> None:
    """Wait for something that is on its way."""
    assert callable(is_so)
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_without_slots_or_with_too_little_log_is_told() -> None:
    with a_bank(15, wal_level="minimal", max_wal_senders="0", max_replication_slots="0") as bank:
        said = " ".join(finding.message for finding in bank.component.inspect(bank.surroundings).findings)
        for word in ("wal_level", "max_wal_senders", "replication slots"):
            assert word in said


def test_what_the_slot_holds_back_is_watched(bank: Bank) -> None:
    said = [finding.message for finding in bank.component.inspect(bank.surroundings).findings]
    assert said == [
        "Nothing limits the transaction log that a replication slot holds back: it can fill the server's disk."
    ]
    bank.capture()
    bank.server.run("create table t as select generate_series(1, 10000)")
    strict = replace(bank.component, lag_warning=1000)
    found = strict.inspect(bank.surroundings)
    assert found.counts["bytes held back"] > 1000
    assert any("holds back" in finding.message for finding in found.findings)
    assert not has_failure(found.findings)


def test_a_password_opens_both_connections_and_is_nowhere_in_what_is_kept(bank: Bank) -> None:
    bank.server.demand_password()
    with pytest.raises(PivoriError):
        bank.capture()
    with_password = replace(bank.component, server=replace(bank.component.server, password=lambda: PASSWORD))
    bank.component = with_password
    captured = bank.capture()
    assert not has_failure(with_password.inspect(bank.surroundings).findings)
    assert bank.restore(captured, bank.to()).checked
    kept = [str(captured.report), *(path.read_text() for path in (bank.top / "own").rglob("*") if path.is_file())]
    assert not any(PASSWORD in text for text in kept)


def test_segments_of_another_size(bank: Bank) -> None:
    bank.server.stop()
    shutil.rmtree(bank.server.data)
    initdb = [*as_server_user(), bank.server.programs / "initdb", "-D", bank.server.data, "-U", "postgres"]
    options = ["--wal-segsize=1", "--auth=trust", "--no-sync", "--data-checksums", "--locale=C.UTF-8"]
    subprocess.run([*initdb, *options], check=True, capture_output=True, cwd="/")
    bank.server.start()
    bank.server.run("create table accounts (id int primary key, money int)", "insert into accounts values (1, 100)")
    bank.capture()
    bank.server.run("insert into accounts select n, 100 from generate_series(2, 50000) n")
    captured = bank.capture()
    assert captured.report.counts["segments"] > 3
    assert not bank.verify(captured)
    bank.restore(captured, bank.to())
    with bank.beside() as other:
        assert other.rows(ALL) == [(50000, 5000000)]


def test_a_restore_that_is_interrupted_leaves_nothing(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    captured = bank.capture()
    pids: list[int] = []

    def interrupt(server: object) -> None:
        pid = next((bank.top / "back" / "bank").glob("*/data/postmaster.pid"))
        pids.append(int(pid.read_text().split("\n", 1)[0]))
        raise KeyboardInterrupt

    monkeypatch.setattr(recovering, "read_all", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bank.component.restore(captured, bank.to(), bank.surroundings)
    assert not Path(f"/proc/{pids[0]}").exists()
    assert not list((bank.top / "back" / "bank").iterdir())
    assert not list(bank.surroundings.state.iterdir())


RESTORED = """
import os, signal, sys
from pathlib import Path
from pivori.components.base import Report, RestoreRequest
from pivori.components.postgres_physical import checking, recovering
from pivori.components.postgres.server import Server
from pivori.components.postgres_physical.component import PostgresPhysical
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import move_aside, surroundings_in
import msgspec

def die(server):
    os.kill(os.getpid(), signal.SIGKILL)

recovering.read_all = die
folder, top, programs = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
report = msgspec.json.decode(sys.stdin.buffer.read(), type=Report)
component = PostgresPhysical(name="bank", server=Server(), slot="x", programs=programs)
request = RestoreRequest(to=top / "back" / "bank", root=top / "back", aside=move_aside)
component.restore(FolderCapture(folder, report), request, surroundings_in(top / "own", top))
"""


def test_a_restore_that_is_killed_leaves_a_server_that_resume_stops_and_is_completed_by_another(bank: Bank) -> None:
    import msgspec

    from pivori.components.base import plain_text

    captured = bank.capture()
    command = [sys.executable, "-c", RESTORED, str(captured.folder), str(bank.top), str(bank.server.programs)]
    killed = subprocess.run(command, input=msgspec.json.encode(captured.report, enc_hook=plain_text), check=False)
    assert killed.returncode == -signal.SIGKILL
    pid = next((bank.top / "back" / "bank").glob("pivori-recovering-*/data/postmaster.pid"))
    number = int(pid.read_text().split("\n", 1)[0])
    assert Path(f"/proc/{number}").exists()
    assert len(bank.component.resume(bank.surroundings)) == 2
    assert not list((bank.top / "back" / "bank").iterdir())
    wait_until(lambda: not Path(f"/proc/{number}").exists())
    assert not bank.component.resume(bank.surroundings)
    bank.restore(captured, bank.to())
    assert [item.name for item in (bank.top / "back" / "bank").iterdir()] == ["data"]
    with bank.beside() as other:
        assert other.rows(ALL) == [(500, 50000)]


@pytest.mark.parametrize("major", VERSIONS)
def test_the_way_back_by_hand_works(major: int) -> None:
    with a_bank(major) as bank:
        bank.capture()
        bank.server.run("insert into accounts values (1001, 1)")
        moment = bank.now()
        bank.server.run("delete from accounts")
        captured = bank.capture()
        hand = bank.top / "hand"
        hand.mkdir()
        shutil.chown(hand, bank.server.data.owner(), bank.server.data.group())
        script = "\n".join(["set -eu", *bank.component.manual(captured.report)])
        variables = {**os.environ, "DATA": str(hand / "data"), "TIME": moment}
        subprocess.run(["sh", "-c", script], check=True, cwd=captured.folder, env=variables)
        other = PostgresServer(major, hand, port=5434)
        try:
            other.start()
            wait_until(lambda: other.rows("select pg_is_in_recovery()") == [(False,)])
            assert other.rows("select count(*) from accounts") == [(501,)]
        finally:
            other.stop()


def test_nothing_of_the_recovery_is_left_in_the_directory(bank: Bank) -> None:
    captured = bank.capture()
    bank.server.run("select pg_switch_wal()")
    original = (bank.server.data / "postgresql.auto.conf").read_bytes()
    bank.restore(captured, bank.to())
    data = bank.top / "back" / "bank" / "data"
    assert (data / "postgresql.auto.conf").read_bytes() == original
    assert not {"recovery.signal", "standby.signal", "pivori_wal", "postmaster.pid", "postmaster.opts"} & {
        item.name for item in data.iterdir()
    }
    assert data.stat().st_mode & 0o777 == 0o700
    assert data.owner() == bank.server.data.owner()
    control = [*as_server_user(), bank.server.programs / "pg_controldata", data]
    said = subprocess.run(control, check=True, capture_output=True, text=True, cwd="/").stdout
    assert "shut down" in said


def test_a_report_of_a_version_to_come_is_no_reason_to_fail(bank: Bank) -> None:
    first = bank.capture()
    bank.last = FolderCapture(first.folder, replace(first.report, facts={"version": 99}))
    assert has_failure(bank.verify(bank.last))
    with pytest.raises(CannotRestore):
        bank.component.restore(bank.last, bank.to(), bank.surroundings)
    captured = bank.capture()
    assert isinstance(captured.report, Report)
    assert captured.report.warnings
    with pytest.raises(psycopg.OperationalError):
        bank.server.connect(database="nothing")
