"""The kind ``redis`` under the contract of components, on a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.components.redis_server.component import RedisComponent
from pivori.components.redis_server.connection import RedisServer
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import ComponentContract
from tests.servers.redis import PrivateRedis, redis_server

LIBRARY = "#!lua name=lib\nredis.register_function('double', function(keys, args) return args[1] * 2 end)"


class RedisSpecimen:
    """A server with every type, several databases, times to live, and a function."""

    def __init__(self, server: PrivateRedis, root: Path) -> None:
        self.server = server
        self.root = root
        self.component = RedisComponent(name="cache", server=RedisServer(unix_socket=server.socket))
        fill(server)

    def state(self) -> dict[str, object]:
        return self.server.state()

    def change(self) -> None:
        with self.server.client() as client:
            client.set("text", "other")
            client.delete("hash")
            client.function_flush()

    def destroy(self) -> None:
        with self.server.client() as client:
            client.flushall()
            client.function_flush()

    def breaks(self) -> None:
        self.server.stop()

    def spoil(self, capture: FolderCapture) -> None:
        dump = capture.folder / "dump.rdb"
        content = bytearray(dump.read_bytes())
        content[-20] ^= 0xFF
        dump.write_bytes(content)


def fill(server: PrivateRedis) -> None:
    """What the specimen has."""
    with server.client() as client:
        client.set("text", "é")
        client.set(b"\x00\xff odd\r\nkey", b"\r\n$EOF:\x00")
        client.set("fleeting", "x", ex=100_000)
        client.rpush("list", *range(500))
        client.sadd("set", *range(600))
        client.zadd("scores", {f"m{i}": i / 7 for i in range(300)})
        client.hset("hash", mapping={f"f{i}": "v" * i for i in range(200)})
        client.xadd("stream", {"a": "1"}, id="1-1")
        client.xgroup_create("stream", "group", id="0")
        client.xreadgroup("group", "me", {"stream": ">"})
        client.pfadd("about", *range(100))
        client.function_load(LIBRARY)
    with server.client(9) as client:
        client.set("big", b"0123456789abcdef" * (1 << 17))


class TestRedis(ComponentContract):
    @pytest.fixture(params=["yes", "no"], ids=["diskless", "from disk"])
    def specimen(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisSpecimen]:
        with redis_server("--repl-diskless-sync", request.param) as server:
            yield RedisSpecimen(server, tmp_path)
