"""A server that nobody else can reach: it runs while a cluster is brought back, on a socket in a private folder.

All its settings come with its command line, which prevails over every file of the data directory: nothing has to be
written there, and nothing of what the original server did (archiving, listening, loading libraries) is done again.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pivori.clock import Clock
from pivori.components.base import ComponentFailed
from pivori.components.postgres.programs import Programs
from pivori.components.postgres.server import first_line
from pivori.components.postgres_physical.account import Account
from pivori.host.capture import run_to_end
from pivori.host.durable import write_durably
from pivori.host.filter import Filter, start_filter
from pivori.host.process import is_alive
from pivori.translation import N_, Phrase

if TYPE_CHECKING:
    from psycopg import Connection

_NOTE: Final = "private-server.json"
_PAUSE: Final = 0.1
"""Seconds between two attempts to connect."""

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "ssl": "off",
    "hot_standby": "off",
    "wal_level": "replica",
    "archive_mode": "off",
    "archive_command": "",
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "synchronous_standby_names": "",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "external_pid_file": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_statement": "none",
    "lc_messages": "C",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "mmap",
    "autovacuum": "off",
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
}


class PrivateServerFailed(ComponentFailed):
    """The server that brings a cluster back did not start, or ended."""

    code = "postgres-recovery-failed"
    message = N_("PostgreSQL could not bring the cluster back: {reason}.")
    hint = N_("Choose another moment or another recovery point, and verify the repository with `pivori verify`.")


class PrivateServer:
    """A running server over a data directory."""

    def __init__(self, process: Filter, room: Path, superuser: str, databases: Sequence[str]) -> None:
        self._process = process
        self._room = room
        self._superuser = superuser
        self._databases = databases

    def wait(self, clock: Clock) -> None:
        """Wait until it has brought the cluster back and takes connections. Raises PrivateServerFailed."""
        import psycopg
        from psycopg.conninfo import make_conninfo
        from psycopg.pq import Ping

        room = make_conninfo(host=str(self._room), port=5432).encode()
        while psycopg.pq.PGconn.ping(room) != Ping.OK:
            if not self._process.is_running():
                raise PrivateServerFailed(reason=_last_word(self._process.finish()[1]))
            clock.sleep(_PAUSE)
        try:
            self.connect().close()
        except psycopg.OperationalError as error:
            raise PrivateServerFailed(reason=first_line(error)) from None

    def connect(self, database: str = "") -> "Connection[Any]":
        """A connection of the superuser, to any database when none is named. Raises psycopg.OperationalError."""
        import psycopg

        options = "-c statement_timeout=0 -c default_transaction_read_only=off"
        for name in [database] if database else self._databases:
            try:
                return psycopg.connect(
                    host=str(self._room), port=5432, user=self._superuser, dbname=name, autocommit=True, options=options
                )
            except psycopg.OperationalError:
                if name == self._databases[-1] or database:
                    raise
        raise AssertionError


@contextlib.contextmanager
def private_server(
    programs: Programs,
    data: Path,
    account: Account,
    state: Path,
    *,
    settings: Mapping[str, str],
    superuser: str,
    database: str,
) -> Iterator[PrivateServer]:
    """Start a server over a data directory; it is stopped in good order at the end, at once after an error.

    Raises CommandNotStarted and PrivateServerFailed.
    """
    room = Path(tempfile.mkdtemp(prefix="pivori-pg-"))
    note = state / _NOTE
    try:
        account.own(room)
        for name, content in {"postgresql.conf": "", "hba.conf": "local all all trust\n", "ident.conf": ""}.items():
            file = room / name
            file.write_text(content)
            file.chmod(0o600)
            account.own(file)
        _write_note(note, programs, data, room, account)
        with (
            Path(os.devnull).open("r+b", buffering=0) as nothing,
            start_filter(
                _command(programs, data, room, settings),
                stdin=nothing,
                stdout=nothing,
                directory=os.fsencode(room),
                owner=account.owner,
                with_children=True,
            ) as process,
        ):
            try:
                yield PrivateServer(process, room, superuser, list(dict.fromkeys([database, "postgres", "template1"])))
                _stop(programs, data, account, "fast")
                status, said = process.finish()
                if status:
                    raise PrivateServerFailed(reason=_last_word(said))
            finally:
                if process.is_running():
                    _stop(programs, data, account, "immediate")
    finally:
        shutil.rmtree(room, ignore_errors=True)
        note.unlink(missing_ok=True)


def stop_left_behind(state: Path) -> Sequence[Phrase]:
    """Stop a server that a run which was killed has left: what was done, as sentences."""
    note = state / _NOTE
    try:
        left = json.loads(note.read_bytes())
        programs = Programs(folder=Path(left["programs"]), version="")
        account = Account(name="", uid=left["uid"], gid=left["gid"])
        data, room = Path(left["data"]), Path(left["room"])
    except (FileNotFoundError, ValueError, KeyError):
        note.unlink(missing_ok=True)
        return ()
    if is_left := _is_left(data):
        _stop(programs, data, account, "immediate")
    shutil.rmtree(room, ignore_errors=True)
    note.unlink(missing_ok=True)
    return (Phrase(N_("The private PostgreSQL server over {path} was stopped."), path=str(data)),) if is_left else ()


def postmaster(data: Path) -> int | None:
    """The process that a data directory's ``postmaster.pid`` names; None when it names none."""
    try:
        return int((data / "postmaster.pid").read_text(errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_left(data: Path) -> bool:
    """Whether a server still runs over a data directory.

    Since the machine was started again, say, its number may be that of another process, which ``pg_ctl`` would stop.
    """
    process = postmaster(data)
    if process is None:
        return False
    try:
        return Path(f"/proc/{process}/cwd").samefile(data)
    except OSError:
        return is_alive(process)


def _command(programs: Programs, data: Path, room: Path, settings: Mapping[str, str]) -> list[str]:
    """The command line of the server."""
    own = {
        "config_file": str(room / "postgresql.conf"),
        "hba_file": str(room / "hba.conf"),
        "ident_file": str(room / "ident.conf"),
        "unix_socket_directories": str(room),
    }
    every = {**_SETTINGS, **own, **settings}
    if programs.major >= 17:
        every["event_triggers"] = "off"
    return [programs.path("postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in every.items())]


def _stop(programs: Programs, data: Path, account: Account, mode: str) -> None:
    """Stop it and wait for its end, however long its last checkpoint takes."""
    command = [programs.path("pg_ctl"), "stop", "-D", str(data), "-m", mode, "-w", "-t", "86400", "-s"]
    run_to_end(command, directory=b"/", owner=account.owner)


def _write_note(note: Path, programs: Programs, data: Path, room: Path, account: Account) -> None:
    """Write down what has to be stopped when this program cannot do it any more."""
    content = {"programs": str(programs.folder), "data": str(data), "room": str(room)}
    write_durably(note, json.dumps({**content, "uid": account.uid, "gid": account.gid}).encode())


def _last_word(said: str) -> str:
    """The last thing a server complained of, without the heading of the line."""
    lines = [line for line in said.splitlines() if line.strip()]
    for word in ("FATAL:", "PANIC:", "ERROR:"):
        for line in reversed(lines):
            if word in line:
                return line.partition(word)[2].strip()
    return lines[-1].strip() if lines else "postgres"
