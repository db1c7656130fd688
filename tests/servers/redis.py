"""Private Redis servers on a Unix socket alone. They are stopped by their context and die with this process."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis


def redis_program() -> str:
    """The server's program; ``redis-check-rdb`` is one, started under that name. Skips; fails in CI."""
    for name in ("redis-server", "redis-check-rdb"):
        if found := shutil.which(name):
            return found
    if os.environ.get("CI"):
        pytest.fail("there is no Redis on this machine")
    pytest.skip("there is no Redis on this machine")


@dataclass
class PrivateRedis:
    """A server: ``folder`` holds its socket, its data and its log; ``options`` go to its command line."""

    folder: Path
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self.folder / "s")

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = ["setpriv", "--pdeathsig", "KILL", "bash", "-c", 'exec -a redis-server "$0" "$@"', redis_program()]
        words += ["--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", str(self.folder)]
        words += ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except (redis.AuthenticationError, redis.ResponseError):
                return
            except redis.ConnectionError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")[-4000:]) from None
                time.sleep(0.02)

    def client(self, database: int = 0, **more: object) -> redis.Redis:
        """A client, to be closed by its context."""
        return redis.Redis(unix_socket_path=self.socket, db=database, **more)

    def stop(self) -> None:
        """Kill it if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def state(self) -> dict[str, object]:
        """Everything in it, comparable."""
        found: dict[str, object] = {}
        for database in range(16):
            with self.client(database) as client:
                for key in sorted(client.keys("*")):
                    payload = client.execute_command("DEBUG", "DIGEST-VALUE", key)
                    found[f"{database}/{key!r}"] = (payload, client.pexpiretime(key))
        with self.client() as client:
            found["functions"] = client.execute_command("FUNCTION", "DUMP")
        return found


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[PrivateRedis]:
    """A running server, stopped and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    server = PrivateRedis(folder, list(options))
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
