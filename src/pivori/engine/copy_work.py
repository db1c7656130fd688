"""Who does the byte work of a copy: worker processes, or the parent alone when there is little to do.

Messages from the parent: ``("stretch", stretch)``, ``("flush",)``, ``("leave",)``. From a worker:
``("pack", id, header)``, ``("done", ids of the blobs that could not be read)``, ``("flushed",)``.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, Final

from pivori.errors import PivoriError
from pivori.host.workers import Worker, WorkerPool
from pivori.repository import (
    BlobId,
    BlobKind,
    BlobReader,
    BlobWriter,
    Intake,
    Repository,
    Stretch,
    WriterSettings,
)
from pivori.storage import Storage

_LITTLE: Final = 32 << 20
"""Up to this many bytes, starting workers costs more than they save."""

_AHEAD: Final = 2
"""Stretches given to a worker before it is done with the first: it never waits for the next."""


class Crew:
    """Copies stretches of data blobs. Workers are started when enough was given; they end with ``stack``."""

    def __init__(
        self, stack: ExitStack, source: Repository, destination: Storage, intake: Intake, workers: int
    ) -> None:
        self._stack = stack
        self._source = source
        self._destination = destination
        self._intake = intake
        self._reader = BlobReader(source.storage, source.master)
        self._count = workers if source.storage.shareable and destination.shareable else 1
        self._pool: WorkerPool | None = None
        self._out: dict[Worker, int] = {}
        self._flushing = 0
        self._unread: list[BlobId] = []
        self.bytes_given = 0
        """The bytes of the stretches given since the last :meth:`flush`."""

    def give(self, stretch: Stretch) -> None:
        """Copy a stretch, now or soon. Raises storage errors, WorkerDied, and BlobDamaged from :meth:`settle`."""
        self.bytes_given += stretch.length
        if self._pool is None and self._count > 1 and self.bytes_given > _LITTLE:
            self._hire()
        if self._pool is None:
            self._unread += copy_stretch(self._reader, self._intake.writer, stretch)
            return
        while min(self._out.values()) >= _AHEAD:
            self._attend(self._pool)
        worker = min(self._out, key=lambda candidate: self._out[candidate])
        worker.send(("stretch", stretch))
        self._out[worker] += 1

    def settle(self) -> None:
        """Wait until everything given is copied. What could not be read is taken from another pack.

        Raises BlobDamaged when no pack has it whole.
        """
        while self._pool is not None and any(self._out.values()):
            self._attend(self._pool)
        unread, self._unread = self._unread, []
        for blob in unread:
            content = self._source.read_blob(BlobKind.DATA, blob)
            self._intake.writer.add(BlobKind.DATA, blob, content)

    def flush(self) -> None:
        """Wait until everything given is durable and reported to the intake."""
        while self._pool is not None and any(self._out.values()):
            self._attend(self._pool)
        self.bytes_given = 0
        for worker in self._out:
            worker.send(("flush",))
        self._flushing = len(self._out)
        while self._pool is not None and self._flushing:
            self._attend(self._pool)

    def finish(self) -> None:
        """Let the workers go; everything was flushed."""
        if self._pool is not None:
            for worker in self._out:
                worker.send(("leave",))
            for worker in self._out:
                self._pool.release(worker)
            self._out = {}

    def _hire(self) -> None:
        settings = self._intake.settings
        pool = WorkerPool(self._count, serve, self._reader, self._destination, settings)
        self._pool = self._stack.enter_context(pool)
        self._out = dict.fromkeys(pool.workers, 0)

    def _attend(self, pool: WorkerPool) -> None:
        for worker in pool.ready(None):
            kind, *content = worker.receive()
            if kind == "pack":
                self._intake.record_pack(*content)
            elif kind == "flushed":
                self._flushing -= 1
            else:
                self._out[worker] -= 1
                self._unread += content[0]


def copy_stretch(reader: BlobReader, writer: BlobWriter, stretch: Stretch) -> list[BlobId]:
    """Copy what can be read of a stretch; returns the blobs that cannot."""
    unread = []
    contents: Iterable[bytes | PivoriError] = reader.read(stretch)
    for blob, content in zip(stretch.blobs, contents, strict=True):
        if isinstance(content, PivoriError):
            unread.append(blob.id)
        else:
            writer.add(BlobKind.DATA, blob.id, content)
    return unread


def serve(connection: "Connection[Any, Any]", reader: BlobReader, storage: Storage, settings: WriterSettings) -> None:
    """The life of a worker process."""
    writer = BlobWriter(storage, settings, lambda pack, header: connection.send(("pack", pack, header)))
    while True:
        kind, *content = connection.recv()
        if kind == "stretch":
            connection.send(("done", copy_stretch(reader, writer, content[0])))
        elif kind == "flush":
            writer.flush()
            connection.send(("flushed",))
        else:
            return
