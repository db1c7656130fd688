"""Bringing a dump into a running server: this program is its master for as long as that takes.

The server receives the whole file before it gives up what it holds, checks it, and is its own master again.
"""

import hmac
import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.clock import Clock
from pivori.components.base import ComponentFailed, Source
from pivori.components.redis_server.connection import STALL, Connection, RedisServer
from pivori.components.redis_server.rdb import FILENAME
from pivori.host.durable import remove_durably, write_durably
from pivori.translation import N_

_RECORD: Final = "replica.json"
_PATIENCE: Final = 60.0
"""Seconds that the server gets to come for the dump."""
_POLL: Final = 0.05


class DumpNotLoaded(ComponentFailed):
    """A running server did not take the dump."""

    code = "redis-dump-not-loaded"
    message = N_("The Redis server {server} did not load the dump: {reason}.")
    hint = N_(
        "Look at the server's own log. The server fetches the dump from this machine: say with the setting `address`"
        " where it reaches it."
    )


@dataclass(frozen=True, kw_only=True)
class Replay:
    """How a server gets a dump. ``address`` is where it reaches this machine; empty: where this machine reaches it."""

    server: RedisServer
    state: Path
    clock: Clock
    address: str = ""

    def load(self, source: Source) -> int:
        """Have the server take the dump in place of all it holds: the bytes of the dump.

        Raises DumpNotLoaded, RedisUnreachable, RedisRefused, and what reading the dump raises.
        """
        size = next((file.size for file in source.files() if file.path == FILENAME), 0)
        with self.server.connect() as control, self._as_replica(control) as (listener, login):
            master, peer = self._accept(listener)
            with peer:
                master.wait_for_replica(login)
                peer.sendall(b"+FULLRESYNC %s 0\r\n$%d\r\n" % (secrets.token_hex(20).encode(), size))
                self._send(peer, source)
                self._wait(control)
        return size

    @contextmanager
    def _as_replica(self, control: Connection) -> Iterator[tuple[socket.socket, list[bytes]]]:
        """While the context lasts, the server looks for its master here. Afterwards it is its own, whatever happens."""
        if _setting(control, "tls-replication") == "yes":
            raise DumpNotLoaded(server=str(self.server), reason=N_("it takes dumps over TLS alone"))
        user, password = (_setting(control, name) for name in ("masteruser", "masterauth"))
        own = "" if password else secrets.token_hex(32)
        login = [word.encode() for word in (user, own or password) if word]
        with socket.create_server((self._here(control), 0), family=_family(self._here(control))) as listener:
            listener.settimeout(_PATIENCE)
            host, port = listener.getsockname()[:2]
            record = {"master_host": host, "master_port": str(port), "password": bool(own), **_words(self.server)}
            write_durably(self.state / _RECORD, json.dumps(record).encode())
            try:
                if own:
                    control.call("CONFIG", "SET", "masterauth", own)
                control.call("REPLICAOF", host, str(port))
                yield listener, login
            finally:
                self._undo(own=bool(own))

    def _undo(self, *, own: bool) -> None:
        """Make the server its own master again, over a connection of its own: the other may be lost."""
        with self.server.connect(timeout=STALL) as control:
            control.call("REPLICAOF", "NO", "ONE")
            if own:
                control.call("CONFIG", "SET", "masterauth", "")
        remove_durably(self.state / _RECORD)

    def _accept(self, listener: socket.socket) -> tuple["_Master", socket.socket]:
        try:
            peer, _address = listener.accept()
        except TimeoutError:
            raise DumpNotLoaded(server=str(self.server), reason=N_("it did not come to fetch it")) from None
        peer.settimeout(STALL)
        return _Master(Connection(peer, str(self.server))), peer

    def _send(self, peer: socket.socket, source: Source) -> None:
        try:
            for piece in source.pieces(FILENAME):
                peer.sendall(piece)
        except OSError as error:
            raise DumpNotLoaded(server=str(self.server), reason=error.strerror or str(error)) from None

    def _wait(self, control: Connection) -> None:
        """Until it has loaded all of it."""
        control.stream.settimeout(STALL)
        while True:
            # All at once: between two questions it may have ended to load.
            facts = control.info("default")
            if facts.get("master_link_status") == "up":
                return
            if facts.get("master_sync_in_progress") != "1" and facts.get("loading") != "1":
                # It gives up the link when it refuses the file.
                raise DumpNotLoaded(server=str(self.server), reason=N_("it refused the file"))
            self.clock.sleep(_POLL)

    def _here(self, control: Connection) -> str:
        if self.address:
            return self.address
        name = control.stream.getsockname()
        return str(name[0]) if isinstance(name, tuple) else "127.0.0.1"


class _Master:
    """The master's side of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def wait_for_replica(self, login: list[bytes]) -> None:
        """Answer until the other side asks for the file. Raises DumpNotLoaded for one that may not have it."""
        trusted = False
        while True:
            words = self._command()
            name = words[0].upper() if words else b""
            if name == b"AUTH":
                trusted = hmac.compare_digest(b"\0".join(words[1:]), b"\0".join(login))
            if name in (b"PSYNC", b"SYNC"):
                if trusted:
                    return
                raise DumpNotLoaded(server=self._connection.server, reason=N_("somebody else came to fetch it"))
            self._connection.stream.sendall(b"+PONG\r\n" if name == b"PING" else b"+OK\r\n")

    def _command(self) -> list[bytes]:
        head = self._connection.line()
        if not head.startswith(b"*"):
            return head.split()
        words = []
        for _ in range(int(head[1:])):
            self._connection.line()
            words.append(self._connection.line())
        return words


def release(state: Path, server: RedisServer) -> bool:
    """Make a server its own master again that a killed run has left as our replica: whether there was one.

    Raises RedisUnreachable, RedisRefused, and what revealing the password raises.
    """
    try:
        record = json.loads((state / _RECORD).read_bytes())
    except (OSError, ValueError):
        return False
    there = RedisServer(
        **{name: record[name] for name in _words(server)}, password=server.password, tls_ca=server.tls_ca
    )
    with there.connect() as control:
        facts = control.info("replication")
        ours: bool = all(facts.get(name) == record[name] for name in ("master_host", "master_port"))
        if ours:
            control.call("REPLICAOF", "NO", "ONE")
        if record["password"]:
            control.call("CONFIG", "SET", "masterauth", "")
    remove_durably(state / _RECORD)
    return ours


def _words(server: RedisServer) -> dict[str, object]:
    return {
        "host": server.host,
        "port": server.port,
        "unix_socket": server.unix_socket,
        "user": server.user,
        "tls": server.tls,
    }


def _setting(control: Connection, name: str) -> str:
    found = control.call("CONFIG", "GET", name)
    return found[1].decode(errors="replace") if found else ""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
