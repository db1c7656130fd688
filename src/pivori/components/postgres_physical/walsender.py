"""A connection that speaks the replication protocol: commands, base backups and the stream of the log.

Everything waits on the socket, so that an interruption is noticed at once, and reads as fast as the
server sends.
"""

import contextlib
import select
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pivori.components.base import ComponentFailed
from pivori.components.postgres.server import Server, first_line
from pivori.translation import N_

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.abc import Buffer

_OPTIONS: Final = "-c wal_sender_timeout=30min -c tcp_keepalives_idle=60 -c tcp_keepalives_interval=30"
"""A repository may take its time; a machine that is gone is noticed by the keepalives."""

_WAIT: Final = 10.0
"""Seconds a wait for the socket lasts at most; then it waits again."""


class ReplicationFailed(ComponentFailed):
    """The server refused or broke off something that was asked for over the replication protocol."""

    code = "postgres-replication-failed"
    message = N_("The server ended {command}: {reason}.")
    hint = N_("See what the server's own log says of it; the next capture goes on from where the last one ended.")

    @property
    def sqlstate(self) -> str:
        """The server's code of the error, empty when it sent none."""
        return str(self.details.get("sqlstate", ""))


class Walsender:
    """A replication connection. A context manager."""

    def __init__(self, connection: "Connection[Any]") -> None:
        """Take charge of a connection with ``replication=true``."""
        self._connection = connection
        self._pg = connection.pgconn
        self._command = ""

    @classmethod
    def connect(cls, server: Server) -> Self:
        """Connect. Raises ServerUnreachable, and what revealing the password raises."""
        return cls(server.connect(replication="true", options=_OPTIONS))

    def rows(self, command: str) -> list[tuple[str, ...]]:
        """Run a command and take the rows it gives, all as texts. Raises ReplicationFailed."""
        self._send(command)
        return self.rest()

    def begin(self, command: str) -> list[list[tuple[str, ...]]]:
        """Start a command that sends a stream: the tables that come before it. Raises ReplicationFailed."""
        from psycopg import pq

        self._send(command)
        tables: list[list[tuple[str, ...]]] = []
        while (result := self._result()) is not None:
            if result.status in (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH):
                return tables
            tables.append(_rows(result))
        raise ReplicationFailed(command=self._command, reason=N_("it sent no stream"))

    def message(self) -> "Buffer | None":
        """The next message of the stream; None at its end. Raises ReplicationFailed."""
        while True:
            with self._told():
                length, content = self._pg.get_copy_data(1)
            if length > 0:
                return content
            if length < 0:
                return None
            self._wait()

    def rest(self) -> list[tuple[str, ...]]:
        """What the server sends behind a stream: rows, as texts. Raises ReplicationFailed."""
        found: list[tuple[str, ...]] = []
        while (result := self._result()) is not None:
            found += _rows(result)
        return found

    def tell(self, written: int) -> None:
        """Answer the server with how far the log was received. That nothing of it is durable yet is the 0 in it."""
        with self._told():
            self._pg.put_copy_data(b"r" + struct.pack(">QQQqB", written, 0, 0, 0, 0))
            self._pg.flush()

    def end_stream(self) -> None:
        """Say that no more of the stream is wanted, and throw away what is on its way. Raises ReplicationFailed."""
        with self._told():
            self._pg.put_copy_end()
            self._pg.flush()
        while self.message() is not None:
            pass
        self.rest()

    def close(self) -> None:
        """End the connection, whatever it is doing."""
        self._connection.close()

    def _send(self, command: str) -> None:
        self._command = command.split(" ", 1)[0]
        with self._told():
            self._pg.send_query(command.encode())
            self._pg.flush()

    def _result(self) -> Any:
        """The next result; None behind the last one."""
        from psycopg import pq

        while self._pg.is_busy():
            self._wait()
        result = self._pg.get_result()
        if result is not None and result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE):
            state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
            reason = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message).decode()
            with contextlib.suppress(ReplicationFailed):
                self._finish_command()
            raise ReplicationFailed(command=self._command, reason=reason.strip(), sqlstate=state.decode())
        return result

    def _finish_command(self) -> None:
        """Take what a command that failed has left, so that another can follow."""
        while True:
            while self._pg.is_busy():
                self._wait()
            if self._pg.get_result() is None:
                return

    def _wait(self) -> None:
        """Wait for the server to send something, and take it. Raises ReplicationFailed."""
        waiting = select.poll()
        waiting.register(self._pg.socket, select.POLLIN)
        waiting.poll(_WAIT * 1000)
        with self._told():
            self._pg.consume_input()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what libpq says into ReplicationFailed."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise ReplicationFailed(command=self._command, reason=first_line(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rows(result: Any) -> list[tuple[str, ...]]:
    """A table of an answer, as texts; what is no UTF-8 comes as surrogates."""
    columns = range(result.nfields)
    return [
        tuple((result.get_value(row, column) or b"").decode(errors="surrogateescape") for column in columns)
        for row in range(result.ntuples)
    ]


def first_row(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The only row of an answer."""
    return rows[0]
