"""Where a server of MariaDB or MySQL is, and how this program and its children get in.

A password never stands in an argument list, in an environment or on a disk: client programs read it from a file in
memory.
"""

import contextlib
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pivori.components.base import ComponentFailed, Reveal
from pivori.translation import N_

if TYPE_CHECKING:
    from pymysql.connections import Connection

_TIMEOUT: Final = 10
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b"}


class ServerUnreachable(ComponentFailed):
    """No connection to the server comes about."""

    code = "mysql-unreachable"
    message = N_("The database server {server} cannot be reached: {reason}.")
    hint = N_("Check that it runs, and the address, the user and the password in the configuration.")


class QueryFailed(ComponentFailed):
    """The server refuses something, or the connection is lost meanwhile."""

    code = "mysql-query-failed"
    message = N_("The database server {server} refused: {reason}.")
    hint = N_("Check the rights of the user, and the server's own log.")


@dataclass(frozen=True, kw_only=True)
class Server:
    """The address of a server; nothing in it is secret. With ``unix_socket`` host and port do not matter.

    ``tls_ca`` is a file of certificates: the connection is then encrypted, and the server has to prove who it is.
    """

    host: str = "localhost"
    port: int = 3306
    unix_socket: str = ""
    user: str = "root"
    password: Reveal | None = field(default=None, repr=False)
    tls_ca: str = ""

    def __str__(self) -> str:
        """How people call it."""
        return f"{self.user}@{self.unix_socket or f'{self.host}:{self.port}'}"

    def at(self, address: str) -> "Server":
        """The server that an address names: ``mysql://USER@HOST:PORT``, ``mariadb://…``, or the path of a socket.

        It is entered with the same password. Raises ServerUnreachable for an address that is none.
        """
        if address.startswith("/"):
            return replace(self, unix_socket=address)
        try:
            parts = urlsplit(address)
            if parts.scheme not in ("mysql", "mariadb") or parts.password is not None:
                raise ValueError
            host, port = parts.hostname or "localhost", parts.port or 3306
        except ValueError:
            raise ServerUnreachable(server=address.rpartition("@")[2], reason=N_("this is no address")) from None
        return replace(self, unix_socket="", host=host, port=port, user=unquote(parts.username or self.user))

    @contextlib.contextmanager
    def connect(self) -> "Iterator[Connection[Any]]":
        """A connection in autocommit while the context lasts; what the server refuses meanwhile is QueryFailed.

        Raises ServerUnreachable, QueryFailed, and what revealing the password raises.
        """
        import pymysql

        words: dict[str, Any] = {"user": self.user, "charset": "utf8mb4", "autocommit": True}
        words |= {"unix_socket": self.unix_socket} if self.unix_socket else {"host": self.host, "port": self.port}
        if self.tls_ca:
            words |= {"ssl_ca": self.tls_ca, "ssl_verify_cert": True, "ssl_verify_identity": True}
        if self.password is not None:
            words["password"] = self.password()
        connection = pymysql.Connection(connect_timeout=_TIMEOUT, defer_connect=True, **words)
        try:
            connection.connect(self._unix_stream(connection) if self.unix_socket else None)
        except (pymysql.Error, OSError) as error:
            raise ServerUnreachable(server=str(self), reason=said(error)) from None
        with contextlib.closing(connection):
            try:
                yield connection
            except pymysql.Error as error:
                raise QueryFailed(server=str(self), reason=said(error)) from None

    def _unix_stream(self, connection: "Connection[Any]") -> socket.socket:
        """A stream to the Unix socket: the driver leaves its own open when nobody answers."""
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.settimeout(_TIMEOUT)
            stream.connect(self.unix_socket)
            stream.settimeout(None)
        except BaseException:
            stream.close()
            raise
        # As the driver has it for its own: nobody else can hear what passes.
        connection._secure = True
        return stream

    @contextlib.contextmanager
    def option_file(self, state: Path, *, mariadb: bool) -> Iterator[tuple[str, int]]:
        """A file for ``--defaults-file``, by its path and its descriptor, that is gone when the context ends.

        ``state`` is a private folder, used where the system has no files in memory.
        """
        words = {"user": self.user, "default-character-set": "utf8mb4"}
        if self.unix_socket:
            words |= {"socket": self.unix_socket, "protocol": "socket"}
        else:
            words |= {"host": self.host, "port": str(self.port), "protocol": "tcp"}
        if self.password is not None:
            words["password"] = self.password()
        if self.tls_ca:
            words |= {"ssl-ca": self.tls_ca}
            words |= {"ssl-verify-server-cert": "1"} if mariadb else {"ssl-mode": "VERIFY_IDENTITY"}
        lines = [f'{name}="{"".join(_ESCAPES.get(letter, letter) for letter in word)}"' for name, word in words.items()]
        with _file_in_memory("\n".join(["[client]", *lines, ""]).encode(), state) as found:
            yield found


@contextlib.contextmanager
def _file_in_memory(content: bytes, state: Path) -> Iterator[tuple[str, int]]:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("options", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{descriptor}"
    else:  # pragma: no cover - only where there are no files in memory
        descriptor, path = tempfile.mkstemp(prefix="options-", dir=state)
    try:
        # The clients do not read what others may write.
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, content)
        yield path, descriptor
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - beside os.open


def quoted(name: str) -> str:
    """A name as it stands in a statement."""
    return "`" + name.replace("`", "``") + "`"


def rows(connection: "Connection[Any]", statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """What a query gives."""
    with connection.cursor() as cursor:
        cursor.execute(statement, tuple(values) or None)
        return list(cursor.fetchall())


def said(error: Exception) -> str:
    """What an error of the driver says, without the statement it is about."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__
    # A syntax error quotes the statement, in which a password may stand.
    text = re.sub(r" near '.*", "", text, flags=re.DOTALL)
    return " ".join(text.split()).rstrip(".")
