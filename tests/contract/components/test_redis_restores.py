"""The kind ``redis`` beyond the contract: load, passwords, files, and what goes wrong."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pivori.components.base import RestoreRequest, Surroundings, has_failure
from pivori.components.redis_server import replaying
from pivori.components.redis_server.component import RedisComponent
from pivori.components.redis_server.connection import RedisRefused, RedisServer, RedisUnreachable
from pivori.components.redis_server.rdb import CapturedDumpDamaged, DumpNotWhole
from pivori.components.redis_server.replaying import DumpNotLoaded
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import in_place, move_aside, surroundings_in
from tests.contract.components.test_redis import fill
from tests.servers.redis import PrivateRedis, redis_program, redis_server

PASSWORD = 'canary6620: "for\r\n tests'


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with redis_server() as running:
        yield running


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    return surroundings_in(tmp_path / "own", tmp_path)


def component_of(server: PrivateRedis) -> RedisComponent:
    return RedisComponent(name="cache", server=RedisServer(unix_socket=server.socket))


def captured(component: RedisComponent, folder: Path, surroundings: Surroundings) -> FolderCapture:
    sink = FolderSink(folder)
    return sink.finish(component.capture(sink, surroundings))


def role(server: PrivateRedis) -> str:
    with server.client() as client:
        return str(client.info("replication")["role"])


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_capture_under_load_shows_one_moment_and_answers_go_on(
    diskless: str, tmp_path: Path, surroundings: Surroundings
) -> None:
    with redis_server("--repl-diskless-sync", diskless) as server, redis_server() as other:
        with server.client() as client:
            for i in range(200):
                client.set(f"big{i}", os.urandom(50_000))
            client.mset({"left": 0, "right": 0})
        stop, answered = threading.Event(), []

        def write() -> None:
            with server.client() as client:
                while not stop.is_set():
                    client.eval("redis.call('INCR', 'left') redis.call('DECR', 'right')", 0)
                    answered.append(client.ping())

        writer = threading.Thread(target=write)
        writer.start()
        try:
            while not answered:
                time.sleep(0.01)
            before = len(answered)
            capture = captured(component_of(server), tmp_path / "c", surroundings)
            assert len(answered) > before
        finally:
            stop.set()
            writer.join()
        assert all(answered)
        component_of(other).restore(capture, in_place(tmp_path), surroundings)
        with other.client() as client:
            left, right = (int(value) for value in client.mget("left", "right"))
            assert left > 0
            assert left + right == 0
            assert client.dbsize() == 202
        assert len(capture.report.position["replication"]) == 40
        assert capture.report.position["offset"].isdecimal()


def test_a_user_with_a_password_gets_in_and_it_is_told_nowhere(tmp_path: Path, surroundings: Surroundings) -> None:
    with redis_server() as server:
        fill(server)
        with server.client() as client:
            words = ["on", f">{PASSWORD}", "~*", "&*", "+psync", "+replconf", "+info", "+@admin"]
            client.execute_command("ACL", "SETUSER", "keeper", *words)
            client.execute_command("ACL", "SETUSER", "default", "off", "resetpass")
        there = RedisServer(unix_socket=server.socket, user="keeper", password=lambda: PASSWORD)
        component = RedisComponent(name="cache", server=there)
        with server.client(username="keeper", password=PASSWORD) as client:
            client.execute_command("ACL", "SETUSER", "small", "on", ">small", "+psync", "+replconf", "+info")
        small = replace(there, user="small", password=lambda: "small")
        capture = captured(replace(component, server=small), tmp_path / "c", surroundings)
        restored = component.restore(capture, in_place(tmp_path), surroundings)
        assert restored.counts["keys"] == 10
        wrong = replace(component, server=replace(there, password=lambda: "wrong-canary"))
        with pytest.raises(RedisRefused, match="WRONGPASS") as raised:
            captured(wrong, tmp_path / "d", surroundings)
        assert "wrong-canary" not in str(raised.value) + repr(raised.value.details) + repr(wrong)
        nobody = replace(component, server=replace(there, password=None))
        assert has_failure(nobody.inspect(surroundings).findings)
        for item in (tmp_path / "own").rglob("*"):
            assert not item.is_file() or b"canary6620" not in item.read_bytes()


def test_a_server_that_dies_meanwhile_fails_the_capture(
    server: PrivateRedis, tmp_path: Path, surroundings: Surroundings
) -> None:
    with server.client() as client:
        for i in range(100):
            client.set(f"big{i}", os.urandom(200_000))
    sink = FolderSink(tmp_path / "c")
    stream = sink.stream

    def dying(path: str, read: object) -> object:
        def reading(buffer: memoryview) -> int:
            count: int = read(buffer[:1000])
            server.stop()
            return count

        return stream(path, reading)

    sink.stream = dying
    with pytest.raises(RedisUnreachable):
        component_of(server).capture(sink, surroundings)


@pytest.mark.parametrize("head", [b"$1000\r\n", b"$EOF:" + b"m" * 40 + b"\r\n"])
@pytest.mark.parametrize("sent", [b"REDIS0010", b"x" * 960 + b"m" * 40])
def test_half_a_transfer_fails_the_capture(
    head: bytes, sent: bytes, tmp_path: Path, surroundings: Surroundings
) -> None:
    with stand_in(tmp_path / "s", b"\n\n" + head + sent) as path:
        component = RedisComponent(name="cache", server=RedisServer(unix_socket=str(path)))
        with pytest.raises((RedisUnreachable, DumpNotWhole)):
            captured(component, tmp_path / "c", surroundings)


@pytest.mark.parametrize("marked", [True, False])
def test_a_transfer_in_small_pieces_is_taken_whole(marked: bool, tmp_path: Path, surroundings: Surroundings) -> None:
    dump = b"REDIS0010" + bytes(range(256)) * 3 + b"\xff" + b"12345678"
    head, tail = (b"$EOF:" + b"m" * 40, b"m" * 40) if marked else (b"$%d" % len(dump), b"")
    with stand_in(tmp_path / "s", b"\n" + head + b"\r\n" + dump + tail, step=13) as path:
        component = RedisComponent(name="cache", server=RedisServer(unix_socket=str(path)))
        capture = captured(component, tmp_path / "c", surroundings)
    assert capture.read("dump.rdb") == dump
    assert capture.report.versions["rdb"] == "0010"


@contextlib.contextmanager
def stand_in(path: Path, transfer: bytes, step: int = 1 << 20) -> Iterator[Path]:
    """A server that answers what a capture asks, and then sends what it is told."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            while count := lines.readline():
                words = []
                for _ in range(int(count[1:])):
                    words.append(lines.read(int(lines.readline()[1:]) + 2)[:-2])
                if words[0] == b"INFO":
                    peer.sendall(b"$20\r\nredis_version:7.0.15\r\n")
                elif words[0] == b"PSYNC":
                    content = b"+FULLRESYNC " + b"a" * 40 + b" 7\r\n" + transfer
                    for start in range(0, len(content), step):
                        peer.sendall(content[start : start + step])
                    return
                else:
                    peer.sendall(b"-ERR unknown\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        thread.join()
        listener.close()


def test_what_is_replaced_is_kept_and_comes_back(
    server: PrivateRedis, tmp_path: Path, surroundings: Surroundings
) -> None:
    fill(server)
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    with server.client() as client:
        client.set("since", "then")
    changed = server.state()
    restored = component.restore(capture, in_place(tmp_path), surroundings)
    (kept,) = (surroundings.state / "aside").iterdir()
    assert any(str(kept) in line for line in restored.remaining)
    shutil.copy(kept, capture.folder / "dump.rdb")
    component.restore(capture, in_place(tmp_path), surroundings)
    assert server.state() == changed


def test_the_server_is_its_own_master_again_when_the_dump_does_not_come(
    server: PrivateRedis, tmp_path: Path, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server)
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    before = server.state()
    whole = capture.read("dump.rdb")
    asked = []

    def pieces(path: str) -> Iterator[bytes]:
        asked.append(path)
        yield whole[:1000]
        if len(asked) > 1:
            raise KeyboardInterrupt
        yield whole[1000:]

    monkeypatch.setattr(capture, "pieces", pieces)
    with pytest.raises(KeyboardInterrupt):
        component.restore(capture, in_place(tmp_path), surroundings)
    assert len(asked) == 2
    assert role(server) == "master"
    assert server.state() == before
    with server.client() as client:
        assert client.config_get("masterauth") == {"masterauth": ""}
    assert not (surroundings.state / "replica.json").exists()


def test_a_server_that_was_left_as_a_replica_takes_orders_again(
    server: PrivateRedis, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    monkeypatch.setattr(replaying.Replay, "_undo", lambda *_args, **_more: None)
    monkeypatch.setattr(replaying.Replay, "_accept", lambda *_args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        component.restore(capture, in_place(tmp_path), surroundings)
    assert role(server) == "slave"
    assert component.resume(surroundings)
    assert role(server) == "master"
    with server.client() as client:
        assert client.config_get("masterauth") == {"masterauth": ""}
    assert not component.resume(surroundings)


def test_nobody_else_gets_the_dump(
    server: PrivateRedis, tmp_path: Path, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    accept = replaying.Replay._accept

    def usurped(self: replaying.Replay, listener: socket.socket) -> object:
        with server.client() as client:
            client.replicaof("NO", "ONE")
        with contextlib.suppress(TimeoutError):
            listener.settimeout(0.1)
            while True:
                listener.accept()[0].close()
        listener.settimeout(10)
        with socket.create_connection(listener.getsockname()) as thief:
            thief.sendall(b"*2\r\n$4\r\nAUTH\r\n$5\r\nguess\r\n*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n")
            return accept(self, listener)

    monkeypatch.setattr(replaying.Replay, "_accept", usurped)
    with pytest.raises(DumpNotLoaded):
        component.restore(capture, in_place(tmp_path), surroundings)


def test_a_masters_password_of_the_servers_own_stays(tmp_path: Path, surroundings: Surroundings) -> None:
    with redis_server("--masterauth", "its own", "--masteruser", "its") as server:
        fill(server)
        component = component_of(server)
        capture = captured(component, tmp_path / "c", surroundings)
        component.restore(capture, in_place(tmp_path), surroundings)
        with server.client() as client:
            assert client.config_get("master*")["masterauth"] == "its own"


def test_a_replica_is_not_restored_into(server: PrivateRedis, tmp_path: Path, surroundings: Surroundings) -> None:
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")
    assert has_failure(component.plan(capture, in_place(tmp_path), surroundings).findings)


def test_it_is_written_as_the_file_of_a_stopped_server(tmp_path: Path, surroundings: Surroundings) -> None:
    with redis_server() as server:
        fill(server)
        before = server.state()
        place = server.folder / "dump.rdb"
        component = replace(component_of(server), file=place)
        assert component.places() == (place,)
        capture = captured(component, tmp_path / "c", surroundings)
        assert has_failure(component.plan(capture, in_place(tmp_path), surroundings).findings)
        server.stop()
        place.write_bytes(b"what was there")
        plan = component.plan(capture, in_place(tmp_path), surroundings)
        assert not plan.findings
        assert plan.replaces
        component.restore(capture, in_place(tmp_path), surroundings)
        assert (server.folder / "dump.rdb.aside-1").read_bytes() == b"what was there"
        server.start()
        assert server.state() == before


def test_beside_it_is_a_file_that_the_servers_own_program_finds_sound(
    server: PrivateRedis, tmp_path: Path, surroundings: Surroundings
) -> None:
    fill(server)
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    to = tmp_path / "new" / "cache"
    component.restore(capture, RestoreRequest(to=to, root=tmp_path / "new", aside=move_aside), surroundings)
    checker = Path(redis_program()).with_name("redis-check-rdb")
    said = subprocess.run([checker, to / "dump.rdb"], capture_output=True, check=True).stdout
    assert b"RDB looks OK" in said
    assert b"10 keys read" in said
    assert (to / "dump.rdb").stat().st_mode & 0o077 == 0


def test_a_damaged_capture_replaces_nothing(server: PrivateRedis, tmp_path: Path, surroundings: Surroundings) -> None:
    fill(server)
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    dump = capture.folder / "dump.rdb"
    dump.write_bytes(dump.read_bytes()[:-1])
    before = server.state()
    with pytest.raises(CapturedDumpDamaged):
        component.restore(capture, in_place(tmp_path), surroundings)
    assert server.state() == before
    beside = RestoreRequest(to=tmp_path / "new", root=tmp_path / "new", aside=move_aside)
    with pytest.raises(CapturedDumpDamaged):
        component.restore(capture, beside, surroundings)
    assert not (tmp_path / "new" / "dump.rdb").exists()


def test_without_the_checking_program_the_ends_are_looked_at(
    server: PrivateRedis, tmp_path: Path, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = component_of(server)
    capture = captured(component, tmp_path / "c", surroundings)
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = component.verify(capture, surroundings)
    assert "checksum" in finding.message
    dump = capture.folder / "dump.rdb"
    dump.write_bytes(dump.read_bytes()[:-1])
    assert has_failure(component.verify(capture, surroundings))


def test_addresses() -> None:
    server = RedisServer(password=lambda: "x")
    assert server.at("rediss://me@cache:7000").tls
    assert server.at("rediss://me@cache:7000").user == "me"
    assert server.at("/run/redis.sock").unix_socket == "/run/redis.sock"
    assert server.at("unix:///run/redis.sock").unix_socket == "/run/redis.sock"
    with pytest.raises(RedisUnreachable):
        server.at("redis://:canary@cache")
