"""A connection to a Redis server: commands with their replies, and the transfer that a replica is given."""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from pivori.components.base import ComponentFailed, Reveal
from pivori.translation import N_

_PIECE: Final = 1 << 20
_LINE_LIMIT: Final = 64 << 10
_MARK: Final = 40
"""Bytes of the mark that ends a transfer whose length nobody knew."""

_RECEIVED: Final = 256 << 10

STALL: Final = 120.0
"""Seconds without a byte after which a transfer is given up; a server sends line ends while it prepares one."""

_TIMEOUT: Final = 10.0


class RedisUnreachable(ComponentFailed):
    """No connection to the server comes about, or it is lost."""

    code = "redis-unreachable"
    message = N_("The Redis server {server} cannot be reached: {reason}.")
    hint = N_("Check that it runs, and the address, the user and the password in the configuration.")


class RedisRefused(ComponentFailed):
    """The server refuses a command."""

    code = "redis-refused"
    message = N_("The Redis server {server} refused {command}: {reason}.")
    hint = N_("Check the user's rights (+psync +replconf +info, and +@admin to restore), and the server's own log.")


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """Where a server is; nothing in it is secret. With ``unix_socket`` the host and the port do not matter."""

    host: str = "localhost"
    port: int = 6379
    unix_socket: str = ""
    user: str = ""
    password: Reveal | None = field(default=None, repr=False)
    tls: bool = False
    tls_ca: str = ""

    def __str__(self) -> str:
        """How people call it."""
        return self.unix_socket or f"{self.host}:{self.port}"

    @contextlib.contextmanager
    def connect(self, *, timeout: float = _TIMEOUT) -> Iterator["Connection"]:
        """A connection that is logged in, while the context lasts.

        ``timeout`` is in seconds, for every wait. Raises RedisUnreachable, RedisRefused, and what revealing the
        password raises.
        """
        password = None if self.password is None else self.password()
        try:
            stream = self._open(timeout)
        except OSError as error:
            raise RedisUnreachable(server=str(self), reason=error.strerror or str(error)) from None
        with stream:
            connection = Connection(stream, str(self))
            if password is not None:
                connection.call("AUTH", *([self.user] if self.user else []), password)
            yield connection

    def at(self, address: str) -> "RedisServer":
        """The server that an address names: ``redis://USER@HOST:PORT``, ``rediss://…``, or the path of a socket.

        It is entered with the same password. Raises RedisUnreachable for an address that is none.
        """
        if address.startswith("/"):
            return replace(self, unix_socket=address)
        try:
            parts = urlsplit(address)
            if parts.scheme not in ("redis", "rediss", "unix") or parts.password is not None:
                raise ValueError
            user = unquote(parts.username or "")
            if parts.scheme == "unix":
                return replace(self, unix_socket=parts.path, user=user)
            tls = parts.scheme == "rediss"
            return replace(
                self, unix_socket="", host=parts.hostname or "localhost", port=parts.port or 6379, user=user, tls=tls
            )
        except ValueError:
            raise RedisUnreachable(server=address.rpartition("@")[2], reason=N_("this is no address")) from None

    def _open(self, timeout: float) -> socket.socket:
        if self.unix_socket:
            stream = socket.socket(socket.AF_UNIX)
            try:
                stream.settimeout(timeout)
                stream.connect(self.unix_socket)
            except BaseException:
                stream.close()
                raise
            return stream
        plain = socket.create_connection((self.host, self.port), timeout)
        if not self.tls:
            return plain
        with contextlib.ExitStack() as stack:
            stack.callback(plain.close)
            context = ssl.create_default_context(cafile=self.tls_ca or None)
            wrapped = context.wrap_socket(plain, server_hostname=self.host)
            stack.pop_all()
            return wrapped


class Connection:
    """A connection that speaks the protocol of Redis, version 2. Others use :meth:`RedisServer.connect`."""

    def __init__(self, stream: socket.socket, server: str) -> None:
        """Take a connected stream; ``server`` is its name in errors."""
        self.stream = stream
        self.server = server
        self._buffer = bytearray()

    def call(self, *words: str | bytes) -> Any:
        """A command's reply: text, a number, bytes, a list, or None. Raises RedisUnreachable, RedisRefused."""
        self.send(*words)
        try:
            return self._reply()
        except _Refusal as refusal:
            # The first word alone: others may be a password.
            raise RedisRefused(server=self.server, command=_text(words[0]), reason=refusal.args[0]) from None

    def send(self, *words: str | bytes) -> None:
        """Send a command. Raises RedisUnreachable."""
        parts = [word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape") for word in words]
        message = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        with self._reached():
            self.stream.sendall(message)

    def optional(self, *words: str) -> Any:
        """A command's reply, None when the server does not know or allow it. Raises RedisUnreachable."""
        try:
            return self.call(*words)
        except RedisRefused:
            return None

    def info(self, section: str) -> dict[str, str]:
        """What the server says of itself. Raises RedisUnreachable, RedisRefused."""
        lines = _text(self.call("INFO", section)).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def line(self) -> bytes:
        """The next line, without its end. Raises RedisUnreachable."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE_LIMIT:
                raise RedisUnreachable(server=self.server, reason=N_("it does not speak the protocol of Redis"))
            self._more()
        found = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return found

    def readinto(self, buffer: memoryview) -> int:
        """Some of what comes next; never 0. Raises RedisUnreachable, also when there is an end."""
        if self._buffer:
            count = min(len(buffer), len(self._buffer))
            buffer[:count] = self._buffer[:count]
            del self._buffer[:count]
            return count
        with self._reached():
            count = self.stream.recv_into(buffer)
        if not count:
            raise RedisUnreachable(server=self.server, reason=N_("it closed the connection before the end"))
        return count

    def _more(self) -> None:
        with self._reached():
            piece = self.stream.recv(_PIECE)
        if not piece:
            raise RedisUnreachable(server=self.server, reason=N_("it closed the connection before the end"))
        self._buffer += piece

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RedisUnreachable(server=self.server, reason=error.strerror or str(error)) from None

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    def _reply(self) -> Any:
        head = self.line()
        kind, rest = head[:1], head[1:]
        if kind == b"+":
            return rest.decode(errors="replace")
        if kind == b"-":
            raise _Refusal(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._exactly(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise RedisUnreachable(server=self.server, reason=N_("it does not speak the protocol of Redis"))


class _Refusal(Exception):
    """What a server says against a command."""


@dataclass
class Transfer:
    """The RDB file of one moment, as a server gives it to a replica.

    ``replication`` and ``offset`` say of what moment. :meth:`readinto` is read to its end.
    """

    connection: Connection
    replication: str
    offset: str
    _left: int
    """Bytes to come; with a mark, not known."""
    _mark: bytes
    _held: bytearray = field(default_factory=bytearray)
    _over: bool = False

    @classmethod
    def begin(cls, connection: Connection) -> Self:
        """Ask for it, and wait until it starts. Raises RedisUnreachable, RedisRefused."""
        connection.stream.settimeout(STALL)
        # Redis 7 then sends nothing after the file; older servers do not know the second.
        for words in (("capa", "eof"), ("rdb-only", "1")):
            connection.optional("REPLCONF", *words)
        connection.send("PSYNC", "?", "-1")
        head = _after_line_ends(connection)
        found = re.match(rb"\+FULLRESYNC (\S+) (-?[0-9]+)", head)
        if found is None:
            raise RedisRefused(server=connection.server, command="PSYNC", reason=_text(head.lstrip(b"-+")))
        head = _after_line_ends(connection)
        if head.startswith(b"$EOF:") and len(head) == len(b"$EOF:") + _MARK:
            left, mark = 0, head[-_MARK:]
        elif re.fullmatch(rb"\$[0-9]+", head):
            left, mark = int(head[1:]), b""
        else:
            raise RedisRefused(server=connection.server, command="PSYNC", reason=_text(head.lstrip(b"-$")))
        return cls(connection, _text(found[1]), _text(found[2]), left, mark)

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes of the file, 0 at its end. Raises RedisUnreachable when the server stops before."""
        if self._mark:
            return self._up_to_mark(buffer)
        if not self._left:
            return 0
        count = self.connection.readinto(buffer[: self._left])
        self._left -= count
        return count

    def _up_to_mark(self, buffer: memoryview) -> int:
        """As many bytes are held back as the mark has: the last that come are the mark."""
        piece = memoryview(bytearray(_RECEIVED))
        while not self._over and len(self._held) <= _MARK:
            self._held += piece[: self.connection.readinto(piece)]
            self._over = self._held.endswith(self._mark)
        count = min(len(buffer), max(0, len(self._held) - _MARK))
        buffer[:count] = self._held[:count]
        del self._held[:count]
        return count


def _after_line_ends(connection: Connection) -> bytes:
    """The next line that is not empty: empty ones say that the server is still there."""
    while not (line := connection.line()):
        pass
    return line


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
