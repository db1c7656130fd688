"""A base backup as the server sends it: one tar per tablespace and a manifest, never on this machine's disk."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from pivori.components.base import ReadInto
from pivori.components.postgres_physical.lsn import parse_lsn
from pivori.components.postgres_physical.walsender import ReplicationFailed, Walsender, first_row
from pivori.translation import N_

MANIFEST: Final = "backup_manifest"
MAIN_ARCHIVE: Final = "base.tar"

_ARCHIVE, _MANIFEST, _CONTENT = b"nmd"
"""What the first byte of a message says of it."""

_COMMAND: Final = (
    "BASE_BACKUP (LABEL 'pivori', CHECKPOINT 'fast', WAIT false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256')"
)


class Part(NamedTuple):
    """A file of a base backup: its name, and the folder of the tablespace that it holds, empty for others."""

    name: str
    location: str
    read: ReadInto


class BaseBackup:
    """A base backup that is being received."""

    def __init__(self, sender: Walsender) -> None:
        """Ask for it: the server makes a checkpoint first. Raises ReplicationFailed."""
        self._sender = sender
        start, _tablespaces = sender.begin(_COMMAND)
        self.start = parse_lsn(start[0][0])
        """Where recovery begins to read the log."""
        self.timeline = int(start[0][1])
        self._heading: memoryview | None = None
        self._ended = False
        self._piece = memoryview(b"")

    def parts(self) -> Iterator[Part]:
        """The files, one after the other; each has to be read to its end. Raises ReplicationFailed."""
        self._next()
        while self._heading is not None:
            heading, self._heading = self._heading, None
            if heading[0] == _MANIFEST:
                yield Part(MANIFEST, "", self._read)
            else:
                name, location, *_rest = bytes(heading[1:]).split(b"\0")
                yield Part(name.decode(), location.decode(errors="surrogateescape"), self._read)

    def end(self) -> int:
        """How far the log is needed to make it whole. Raises ReplicationFailed, when the server found damage too."""
        rows = self._sender.rest()
        if not rows:
            raise ReplicationFailed(command="BASE_BACKUP", reason=N_("it did not say where the backup ends"))
        return parse_lsn(first_row(rows)[0])

    def _read(self, buffer: memoryview) -> int:
        """Fill a buffer with what is left of the present file."""
        if not self._piece and self._heading is None and not self._ended:
            self._next()
        length = min(len(buffer), len(self._piece))
        buffer[:length] = self._piece[:length]
        self._piece = self._piece[length:]
        return length

    def _next(self) -> None:
        """Take the server's next message: content, or the heading of the next file; neither at the end."""
        while (message := self._sender.message()) is not None:
            view = memoryview(message)
            if view[0] in (_ARCHIVE, _MANIFEST):
                self._heading = view
                return
            if view[0] == _CONTENT and len(view) > 1:
                self._piece = view[1:]
                return
        self._ended = True
