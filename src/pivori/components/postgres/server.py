"""Where a PostgreSQL server is, and how this program and its children get in. Shared by the two kinds of PostgreSQL.

A password never stands in an argument list, in an environment or on a disk: libpq reads it from a file in memory.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from pivori.components.base import ComponentFailed, Reveal
from pivori.translation import N_

if TYPE_CHECKING:
    import psycopg

_TIMEOUT: Final = 10
"""Seconds that a server has to answer in."""


class ServerUnreachable(ComponentFailed):
    """No connection to the server comes about."""

    code = "postgres-unreachable"
    message = N_("The PostgreSQL server {server} cannot be reached: {reason}.")
    hint = N_("Check that it runs, and the address, the user and the password in the configuration.")


class QueryFailed(ComponentFailed):
    """The server refuses something, or the connection is lost meanwhile."""

    code = "postgres-query-failed"
    message = N_("The PostgreSQL server {server} refused: {reason}.")
    hint = N_("Check the rights of the user, and the server's own log.")


class Access(NamedTuple):
    """What a client program needs to get in: variables of its environment, and open files that it inherits."""

    variables: Mapping[str, str]
    descriptors: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Server:
    """The address of a server, as libpq understands it; nothing in it is secret.

    ``url`` is one of ``postgresql://`` without a password; what ``parameters`` (``host``, ``port``, ``user``,
    ``dbname``, ``service``, ``sslmode`` …) say prevails. Without any of it libpq decides.
    """

    url: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    password: Reveal | None = None

    def __str__(self) -> str:
        """How people call it: user, host and port, as far as they are known."""
        known = self.words()
        place = known.get("service") or known.get("host") or known.get("hostaddr") or "localhost"
        user, port = known.get("user"), known.get("port")
        return f"{user + '@' if user else ''}{place}{':' + port if port else ''}"

    def words(self) -> dict[str, str]:
        """The parameters that are known, those of the URL among them. Raises ServerUnreachable for a wrong URL."""
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            found = conninfo_to_dict(self.url) if self.url else {}
        except ProgrammingError as error:
            raise ServerUnreachable(server=self.url, reason=first_line(error)) from None
        return {name: str(value) for name, value in (found | dict(self.parameters)).items() if value is not None}

    def at(self, **parameters: str) -> Self:
        """The same server with other parameters."""
        return replace(self, parameters=dict(self.parameters) | parameters)

    def conninfo(self, database: str | None = None) -> str:
        """What client programs are given as ``--dbname``: without the password. ``database`` may have any name."""
        from psycopg.conninfo import make_conninfo

        words = self.words()
        words.pop("password", None)
        if database is not None:
            words["dbname"] = database
        return make_conninfo("", **words)

    def connect(self, database: str | None = None, *, timeout: int = _TIMEOUT, **more: Any) -> "psycopg.Connection":
        """A new connection in autocommit, to be closed by the caller. ``more`` goes to libpq (``replication`` …).

        ``timeout`` is in seconds. Raises ServerUnreachable, and what revealing the password raises.
        """
        import psycopg

        words: dict[str, Any] = {"connect_timeout": timeout, "application_name": "pivori", "client_encoding": "UTF8"}
        words |= self.words() | ({"dbname": database} if database is not None else {}) | more
        words.setdefault("dbname", "postgres")
        if self.password is not None:
            words["password"] = self.password()
        try:
            return psycopg.connect(autocommit=True, **words)
        except psycopg.Error as error:
            # From None: what psycopg was given is in the frames of its error.
            raise ServerUnreachable(server=str(self), reason=first_line(error)) from None

    @contextlib.contextmanager
    def access(self, state: Path) -> Iterator[Access]:
        """What lets a child of ours in while the context lasts. ``state`` is a private folder, used where the system
        has no files in memory."""
        if self.password is None:
            yield Access({}, ())
            return
        with _password_file(self.password(), state) as (path, descriptor):
            yield Access({"PGPASSFILE": path}, (descriptor,))


def url_has_password(url: str) -> bool:
    """Whether somebody wrote a password into a URL."""
    parts = urlsplit(url)
    return parts.password is not None or "password" in parse_qs(parts.query)


def first_line(error: Exception) -> str:
    """What an error of psycopg says, in one line without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")


@contextlib.contextmanager
def refused(server: Server) -> Iterator[None]:
    """Turn the errors of psycopg into QueryFailed."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise QueryFailed(server=str(server), reason=first_line(error)) from None


@contextlib.contextmanager
def _password_file(password: str, state: Path) -> Iterator[tuple[str, int]]:
    """A file as PGPASSFILE names one, by its path and its descriptor, that is gone when the context ends.

    libpq demands a regular file that is closed to others; a file in memory is one.
    """
    quoted = password.replace("\\", "\\\\").replace(":", "\\:")
    content = f"*:*:*:*:{quoted}\n".encode()
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pgpass", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{descriptor}"
    else:  # pragma: no cover - only where there are no files in memory
        descriptor, path = tempfile.mkstemp(prefix="pgpass-", dir=state)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, content)
        yield path, descriptor
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if not path.startswith("/proc/"):
                os.unlink(path)  # noqa: PTH108 - beside os.open
