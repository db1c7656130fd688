"""Private MariaDB servers on a Unix socket alone. They are stopped by their context and die with this process."""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
import pytest

PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
PASSWORD = 'canary5183: "for\\ #tests'
"""What an option file has to quote is in it."""
SYSTEM = ("information_schema", "mysql", "sys", "performance_schema")
USER = ["--user=root"] if os.geteuid() == 0 else []


def program(name: str) -> str:
    """A program of MariaDB. Skips the test where it is missing, fails it under CI."""
    if found := shutil.which(name, path=os.pathsep.join([os.defpath, "/usr/sbin", "/usr/local/bin"])):
        return found
    if os.environ.get("CI"):
        pytest.fail(f"there is no {name} on this machine")
    pytest.skip(f"there is no {name} on this machine")


def quoted(name: str) -> str:
    """A name as it stands in a statement."""
    return "`" + name.replace("`", "``") + "`"


@functools.cache
def _template() -> Path:
    """A data directory, made once a process: copying it is faster."""
    top = Path(tempfile.mkdtemp(prefix="mariadb-", dir=PLACE))
    import atexit

    atexit.register(shutil.rmtree, top, ignore_errors=True)
    command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={top / 'data'}", *USER]
    command += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    subprocess.run(command, check=True, capture_output=True, cwd="/")
    return top / "data"


@dataclass
class PrivateMariadb:
    """A server: ``folder`` holds ``data``, the socket and the log; ``options`` go to its command line."""

    folder: Path
    options: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self.folder / "s")

    def start(self) -> None:
        """Start it on an empty data directory and wait until it answers."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        subprocess.run(["cp", "-a", _template(), self.folder / "data"], check=True)
        command = ["setpriv", "--pdeathsig", "KILL", program("mariadbd"), "--no-defaults", *USER]
        command += [f"--datadir={self.folder / 'data'}", f"--socket={self.socket}", "--skip-networking"]
        command += [f"--pid-file={self.folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"]
        command += ["--innodb-buffer-pool-size=32M", "--innodb-use-native-aio=0", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect().close()
                return
            except pymysql.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")[-4000:]) from None
                time.sleep(0.02)

    def connect(self) -> "pymysql.connections.Connection[Any]":
        """A connection as root, to be closed by the caller."""
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(self.socket)
        except OSError as error:
            stream.close()
            raise pymysql.OperationalError(2003, str(error)) from None
        connection = pymysql.connect(
            unix_socket=self.socket, user="root", autocommit=True, charset="utf8mb4", defer_connect=True
        )
        connection.connect(stream)
        return connection

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements: the rows of the last."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def databases(self) -> list[str]:
        """The databases of users."""
        return [name for (name,) in self.run("SHOW DATABASES") if name not in SYSTEM]

    def stop(self) -> None:
        """Kill it if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def state(self) -> list[str]:
        """Everything in it, comparable: the lines of a dump, and the accounts."""
        names = self.databases()
        lines: list[str] = [str(self.run(f"SHOW CREATE DATABASE {quoted(name)}")) for name in names]
        command = [program("mariadb-dump"), "--no-defaults", f"--socket={self.socket}", "--user=root", "--hex-blob"]
        command += ["--routines", "--events", "--triggers", "--single-transaction", "--skip-comments", "--databases"]
        if names:
            said = subprocess.run([*command, *names], check=True, capture_output=True).stdout
            lines += said.decode().splitlines()
        # The server ignores accounts on names of hosts, which it does not look up.
        accounts = "SELECT User, Host, is_role FROM mysql.user WHERE Host IN ('localhost', '%', '') ORDER BY 1, 2"
        for user, host, role in self.run(accounts):
            account = quoted(user) if role == "Y" else f"{quoted(user)}@{quoted(host)}"
            lines += sorted(str(row) for row in self.run(f"SHOW GRANTS FOR {account}"))
        return lines


@contextlib.contextmanager
def mariadb_server(*options: str) -> Iterator[PrivateMariadb]:
    """A running server, stopped and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mariadb-", dir=PLACE))
    server = PrivateMariadb(folder, list(options))
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
