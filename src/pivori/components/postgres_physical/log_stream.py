"""The log as the server sends it, handed out piece by piece to whoever stores it."""

import contextlib
import struct
from typing import Final

from pivori.components.base import ReadInto
from pivori.components.postgres_physical.lsn import format_lsn
from pivori.components.postgres_physical.walsender import ReplicationFailed, Walsender
from pivori.translation import N_, Phrase

_LOG, _ASKING = b"wk"
"""What the first byte of a message says of it."""

_DATA: Final = struct.Struct(">xQQq")
_KEEPALIVE: Final = struct.Struct(">xQqB")


class LogStream:
    """The log from a position on, in order and without a gap. One piece of the server's is held at a time."""

    def __init__(self, sender: Walsender, *, slot: str, timeline: int, start: int) -> None:
        """Begin to receive. Raises ReplicationFailed."""
        self._sender = sender
        self._position = start
        self._piece = memoryview(b"")
        sender.begin(f'START_REPLICATION SLOT "{slot}" PHYSICAL {format_lsn(start)} TIMELINE {timeline}')

    def reader(self, end: int) -> ReadInto:
        """What gives the log up to a position. It raises ReplicationFailed."""

        def read(buffer: memoryview) -> int:
            wanted = min(len(buffer), end - self._position)
            if wanted <= 0:
                self._sender.tell(self._position)
                return 0
            if not self._piece:
                self._piece = self._receive()
            length = min(wanted, len(self._piece))
            buffer[:length] = self._piece[:length]
            self._piece = self._piece[length:]
            self._position += length
            return length

        return read

    def close(self) -> None:
        """Tell the server that it is enough, so that it does not take this for a lost connection."""
        with contextlib.suppress(ReplicationFailed):
            self._sender.end_stream()

    def _receive(self) -> memoryview:
        """The next piece of the log."""
        while (message := self._sender.message()) is not None:
            view = memoryview(message)
            if view[0] == _LOG:
                start = _DATA.unpack_from(view)[0]
                if start != self._position:
                    reason = Phrase(
                        N_("it sent {got} where {wanted} was due"),
                        got=format_lsn(start),
                        wanted=format_lsn(self._position),
                    )
                    raise ReplicationFailed(command="START_REPLICATION", reason=reason)
                return view[_DATA.size :]
            if view[0] == _ASKING and _KEEPALIVE.unpack_from(view)[2]:
                self._sender.tell(self._position)
        self._sender.rest()
        raise ReplicationFailed(
            command="START_REPLICATION", reason=Phrase(N_("its timeline ends at {lsn}"), lsn=format_lsn(self._position))
        )
