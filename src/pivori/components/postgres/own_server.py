"""A server of this program's own on a data directory: to prove a capture in, or to bring one back beside what is there.

It answers on a socket in a private folder alone. PostgreSQL refuses to run as root, so root runs it as the account
``postgres``, and in a folder that this account can reach. What a killed run leaves is recorded in the state folder.
"""

import json
import os
import pwd
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pivori.components.base import ComponentFailed
from pivori.components.postgres.programs import Programs
from pivori.components.postgres.server import Server
from pivori.host.capture import run_to_end
from pivori.translation import N_

Owner = tuple[int, int]
"""A user and a group."""

_ACCOUNT: Final = "postgres"
_RECORD: Final = "workplaces.json"
_LONGEST_SOCKET: Final = 90
"""Characters of a folder in which a socket still gets a name: the system takes 107 with it."""


class ServerNotMade(ComponentFailed):
    """A server of our own cannot be set up or started."""

    code = "postgres-server-not-made"
    message = N_("A temporary PostgreSQL server could not be started: {reason}.")
    hint = N_("Run `initdb` and `pg_ctl start` by hand as the user postgres to see what is wrong.")


class NoServerAccount(ComponentFailed):
    """Root has nobody to run a server as."""

    code = "postgres-no-server-account"
    message = N_("PostgreSQL does not run as root, and there is no account postgres on this machine.")
    hint = N_("Create the account, or run this program as another user.")


def server_owner() -> Owner | None:
    """Who a server of ours runs as; None: as we do. Raises NoServerAccount."""
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        raise NoServerAccount from None
    return account.pw_uid, account.pw_gid


@contextmanager
def workplace(near: Path, state: Path, owner: Owner | None) -> Iterator[Path]:
    """A new folder on the volume of ``near`` (which exists) that the server's user owns and can reach; gone afterwards.

    Its ``socket`` and its ``data`` are for one server, which is stopped before.
    """
    # In a short place, because of the socket.
    short = tempfile.gettempdir()
    short = short if len(short) < _LONGEST_SOCKET else "/tmp"  # noqa: S108 - mkdtemp makes a folder of ours in it
    sockets = Path(tempfile.mkdtemp(prefix="pivori-pg-", dir=short))
    try:
        place = Path(tempfile.mkdtemp(prefix=".pivori-postgres-", dir=_reachable(near, owner)))
        _record(state, add=[sockets, place])
        try:
            for folder in (sockets, place):
                _give(folder, owner)
            (place / "socket").symlink_to(sockets)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
            _record(state, remove=[place])
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
        _record(state, remove=[sockets])


def make_cluster(programs: Programs, data: Path, owner: Owner | None, superuser: str) -> None:
    """An empty data directory with a superuser of that name, whom everybody who reaches the socket may be.

    Raises ServerNotMade, CommandNotStarted.
    """
    command = [programs.path("initdb"), "--pgdata", str(data), "--username", superuser, "--no-sync"]
    _run([*command, "--auth=trust", "--encoding=UTF8", "--no-locale"], owner)


@contextmanager
def running(
    programs: Programs, place: Path, owner: Owner | None, superuser: str, settings: Mapping[str, str]
) -> Iterator[Server]:
    """The server on ``data`` of a workplace while it runs; it is stopped in good order when all went well.

    Raises ServerNotMade, CommandNotStarted.
    """
    data, sockets = place / "data", os.path.realpath(place / "socket")
    options = {"listen_addresses": "", "unix_socket_directories": sockets, "port": "5432"} | dict(settings)
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    pg_ctl = [programs.path("pg_ctl"), "--pgdata", str(data), "--silent"]
    log = str(place / "log")
    try:
        _run(
            [*pg_ctl, "start", "--wait", "--timeout=120", f"--log={log}", f"--options={shlex.join(words)}"], owner, log
        )
        yield Server(parameters={"host": sockets, "port": "5432", "user": superuser})
        _run([*pg_ctl, "stop", "--wait", "--timeout=600", "--mode=fast"], owner, log)
    finally:
        stop(programs, data, owner)


def stop(programs: Programs, data: Path, owner: Owner | None) -> None:
    """Stop a server of ours at once if it still runs."""
    if (data / "postmaster.pid").exists():
        command = [programs.path("pg_ctl"), "--pgdata", str(data), "--silent", "stop", "--mode=immediate"]
        run_to_end(command, directory=b"/", owner=owner)


def sync_cluster(programs: Programs, data: Path, owner: Owner | None) -> None:
    """See to it that a data directory survives a power cut. Raises ServerNotMade, CommandNotStarted."""
    _run([programs.path("initdb"), "--pgdata", str(data), "--sync-only"], owner)


def forsaken(state: Path) -> list[Path]:
    """The workplaces that killed runs have left."""
    with suppress(FileNotFoundError, ValueError):
        return [Path(path) for path in json.loads((state / _RECORD).read_bytes())]
    return []


def clear_away(state: Path, programs: Programs | None) -> bool:
    """Stop the servers of killed runs and remove what they have left; whether there was anything."""
    found = False
    for place in forsaken(state):
        if place.exists():
            found = True
            if programs is not None:
                stop(programs, place / "data", server_owner())
            shutil.rmtree(place, ignore_errors=True)
    with suppress(FileNotFoundError):
        (state / _RECORD).unlink()
    return found


def _run(command: list[str], owner: Owner | None, log: str | None = None) -> None:
    """Run a program of the server. What the server wrote into its log is the better reason."""
    status, said = run_to_end(command, directory=b"/", owner=owner, variables={"LC_ALL": "C"})
    if status:
        with suppress(OSError):
            said = Path(log).read_text(errors="replace") if log is not None else said
        lines = [line for line in said.splitlines() if line.strip()]
        raise ServerNotMade(reason=lines[-1].strip() if lines else f"status {status}")


def _reachable(near: Path, owner: Owner | None) -> Path:
    """The deepest folder on the way to ``near``, on its volume, that the server's user can get to."""
    near = Path(os.path.realpath(near))
    best = near
    if owner is None:
        return best
    way = [*reversed(near.parents), near]
    device = near.stat().st_dev
    for folder in way:
        if not _lets_in(folder, owner):
            break
        if folder.stat().st_dev == device:
            best = folder
    return best


def _lets_in(folder: Path, owner: Owner) -> bool:
    """Whether a user may go through a folder, as far as its mode says."""
    facts = folder.stat()
    shift = 6 if facts.st_uid == owner[0] else 3 if facts.st_gid == owner[1] else 0
    return bool(facts.st_mode >> shift & 0o1)


def _give(folder: Path, owner: Owner | None) -> None:
    if owner is not None:
        os.chown(folder, *owner)


def _record(state: Path, *, add: list[Path] | None = None, remove: list[Path] | None = None) -> None:
    """Note what a killed run would leave."""
    gone = {str(path) for path in remove or []}
    kept = [str(path) for path in [*forsaken(state), *(add or [])] if str(path) not in gone]
    file = state / _RECORD
    if kept:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w") as stream:  # noqa: PTH123 - a descriptor
            json.dump(kept, stream)
    else:
        file.unlink(missing_ok=True)
