"""A server of MariaDB on a private socket, for a restore beside what is in use."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pivori.clock import Clock
from pivori.components.base import ComponentFailed
from pivori.components.mysql.server import Server, ServerUnreachable
from pivori.host.capture import run_to_end
from pivori.host.durable import remove_durably, write_durably
from pivori.host.filter import NOWHERE, Filter, start_filter
from pivori.translation import N_

_FOLDERS: Final = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/libexec")
_RECORD: Final = "own-server"
_PATIENCE: Final = 120.0
_POLL: Final = 0.05


class ServerNotMade(ComponentFailed):
    """A server of our own could not be made or started."""

    code = "mysql-own-server-failed"
    message = N_("A temporary MariaDB server could not be started: {reason}.")
    hint = N_("See that mariadb-server is installed whole, and that there is space.")


def server_programs() -> tuple[str, str] | None:
    """``mariadb-install-db`` and ``mariadbd``; None when they are not on this machine."""
    path = os.pathsep.join([os.defpath, *_FOLDERS])
    make, run = shutil.which("mariadb-install-db", path=path), shutil.which("mariadbd", path=path)
    return (make, run) if make is not None and run is not None else None


def account() -> str:
    """Who such a server runs as: root does not run one where there is somebody else for it."""
    if os.geteuid() != 0:
        return ""
    with suppress(KeyError):
        return pwd.getpwnam("mysql").pw_name
    return "root"


@contextmanager
def own_server(programs: tuple[str, str], data: Path, clock: Clock, state: Path) -> Iterator[Server]:
    """An empty server on the new folder ``data`` while the context lasts; then it is stopped, and the folder stays.

    What a run that is killed would leave is noted in ``state``, for :func:`clear_away`.

    Raises ServerNotMade, CommandNotStarted.
    """
    make, run = programs
    user = account()
    words = [f"--user={user}"] if user else []
    data.mkdir(mode=0o700, parents=True)
    sockets = Path(tempfile.mkdtemp(prefix="pivori-my-"))
    try:
        write_durably(state / _RECORD, os.fsencode(sockets))
        if user:
            for folder in (data, sockets):
                shutil.chown(folder, user)
        options = ["--no-defaults", f"--datadir={data}", *words]
        making = [make, *options, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        status, errors = run_to_end(making, directory=b"/")
        if status:
            raise ServerNotMade(reason=_last(errors) or f"status {status}")
        serving = [
            run,
            *options,
            f"--socket={sockets}/s",
            "--skip-networking",
            "--skip-log-bin",
            "--event-scheduler=OFF",
        ]
        serving += [
            "--event-scheduler=OFF",
            f"--pid-file={sockets}/pid",
            "--max-allowed-packet=1G",
            f"--secure-file-priv={sockets}",
        ]
        # It is killed only when it was not asked to stop.
        with start_filter(serving, stdin=NOWHERE, stdout=NOWHERE, with_children=True) as running:
            server = Server(unix_socket=f"{sockets}/s", user="root")
            _wait(running, server, clock)
            yield server
            with server.connect() as connection:
                connection.query("SHUTDOWN")
            running.finish()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
        remove_durably(state / _RECORD)


def clear_away(state: Path, clock: Clock) -> bool:
    """Stop the server of a killed run, if it still runs, and remove its socket: whether there was anything."""
    try:
        sockets = Path(os.fsdecode((state / _RECORD).read_bytes()))
    except FileNotFoundError:
        return False
    stopping = False
    with suppress(ServerUnreachable), Server(unix_socket=f"{sockets}/s", user="root").connect() as connection:
        connection.query("SHUTDOWN")
        stopping = True
    until = clock.monotonic() + _PATIENCE
    # It removes this file last.
    while (sockets / "pid").exists() and stopping and clock.monotonic() < until:
        clock.sleep(_POLL)
    shutil.rmtree(sockets, ignore_errors=True)
    remove_durably(state / _RECORD)
    return True


def _wait(running: Filter, server: Server, clock: Clock) -> None:
    until = clock.monotonic() + _PATIENCE
    while True:
        try:
            with server.connect():
                return
        except ServerUnreachable:
            if not running.is_running():
                raise ServerNotMade(reason=_last(running.finish()[1])) from None
            if clock.monotonic() > until:
                raise ServerNotMade(reason=N_("it does not answer")) from None
            clock.sleep(_POLL)


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    return (errors or lines or [""])[-1].rstrip(".")
