"""Taking new blobs into a repository: which are new, and which index objects to write.

One :class:`Intake` belongs to the process that owns the index; the processes that do the byte work ask it with
:meth:`Intake.claim` and report their packs with :meth:`Intake.record_pack`. Index objects are written as soon as
20,000 blobs wait, so that an interrupted run leaves what it stored usable.
"""

from collections.abc import Callable

from pivori.repository.crypto import OVERHEAD
from pivori.repository.ids import ID_BYTES, BlobId, BlobKind, PackId, blob_id
from pivori.repository.index import MOST_BLOBS, PendingIndex
from pivori.repository.objects import SealedObjects
from pivori.repository.repository import Repository
from pivori.repository.writer import BlobWriter, WriterSettings
from pivori.storage import Kind, Storage


class Intake:
    """Adds blobs to an opened repository whose index is loaded.

    ``storage`` is where new objects go, when that is not the repository's own.
    ``before_write`` is called before each index object is written: the place to make sure that the lock still holds.
    """

    def __init__(
        self,
        repository: Repository,
        settings: WriterSettings,
        *,
        storage: Storage | None = None,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._index = repository.index
        storage = storage or repository.storage
        self._objects = SealedObjects(storage, repository.master, repository.version)
        self._before_write = before_write
        self._pending = PendingIndex()
        self._claimed: tuple[set[bytes], set[bytes]] = (set(), set())
        self.writer = BlobWriter(storage, settings, self.record_pack)
        self.new_data_blobs = 0
        self.new_tree_blobs = 0
        self.new_bytes = 0
        """Plain bytes of the new blobs, known when their index is written."""
        self.stored_bytes = 0
        """What the new blobs take in the storage, seals included."""

    def claim(self, ids: bytes) -> bytes:
        """For each of the joined data blob ids: 1 when the caller must store it, 0 when it is there or under way."""
        has, claimed, data = self._index.has, self._claimed[BlobKind.DATA], BlobKind.DATA
        answer = bytearray(len(ids) // ID_BYTES)
        for number in range(len(answer)):
            blob = BlobId(ids[number * ID_BYTES : (number + 1) * ID_BYTES])
            if blob not in claimed and not has(data, blob):
                claimed.add(blob)
                answer[number] = 1
        self.new_data_blobs += answer.count(1)
        return bytes(answer)

    def add_tree(self, content: bytes) -> tuple[BlobId, bool]:
        """Store a tree unless it is there; returns its id and whether it is new."""
        blob = blob_id(content)
        claimed = self._claimed[BlobKind.TREE]
        if blob in claimed or self._index.has(BlobKind.TREE, blob):
            return blob, False
        claimed.add(blob)
        self.new_tree_blobs += 1
        self.writer.add(BlobKind.TREE, blob, content)
        return blob, True

    def record_pack(self, pack: PackId, header: bytes) -> None:
        """Take note of a pack that is stored and durable."""
        self._pending.add(pack, header)
        if self._pending.blob_count >= MOST_BLOBS:
            self._write_index()

    def flush(self) -> None:
        """Store what the own writer holds and write the index of everything recorded."""
        self.writer.flush()
        self._write_index()

    def _write_index(self) -> None:
        if not self._pending:
            return
        self._before_write()
        plain, builder = self._pending.take()
        name = self._objects.save_unpacked(Kind.INDEX, plain)
        table = builder.build([bytes.fromhex(name)])
        self._index.add(table)
        for kind, blob, _, _, length, plain_length in table.rows():
            self._claimed[kind].discard(blob)
            self.new_bytes += plain_length or length - OVERHEAD
            self.stored_bytes += length
