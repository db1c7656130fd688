"""Writing blobs: compress, seal, check, fill packs, store them.

A :class:`BlobWriter` belongs to one process; a backup has one in every worker and one in the parent for trees. It
does not know the index: whoever calls :meth:`BlobWriter.add` has made sure that the blob is new. Finished packs are
reported through ``on_pack`` once they are durable, never before.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pivori.errors import PivoriError
from pivori.repository.chunker import LARGEST_CHUNK, Chunker, chunker_seed
from pivori.repository.compression import Compression, Compressor, DamagedFrame, decompress
from pivori.repository.crypto import Box, MasterKey, Tampered
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.pack import PACK_SIZE, PackBuilder
from pivori.storage import Kind, Storage
from pivori.translation import N_

_OPEN_DATA_PACKS: Final = 2
_PACKS_PER_SYNC: Final = 8
_SAMPLE_ONE_IN: Final = 16
_WINDOW: Final = LARGEST_CHUNK + LARGEST_CHUNK // 2


class BlobNotReproduced(PivoriError):
    """What was compressed and sealed does not decode to what was given: the memory or a library is faulty."""

    code = "blob-not-reproduced"
    message = N_("A blob did not survive its own compression and encryption; it was not stored.")
    hint = N_("The memory of this machine is probably faulty: test it before the next backup.")


class BlobCheck(StrEnum):
    """Which blobs are decoded and compared with the original before they are stored.

    Decoding everything costs about a quarter more processor time (``benchmarks/RESULTS.md``); one blob in sixteen
    finds a codec or a memory that is at fault, not every single flipped bit.
    """

    ALL = "all"
    SAMPLE = "sample"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class WriterSettings:
    """What a writer needs to know; it travels to the worker processes."""

    master: MasterKey = field(repr=False)
    version: int
    compression: Compression = Compression.AUTO
    check: BlobCheck = BlobCheck.SAMPLE
    pack_size: int = PACK_SIZE
    """A pack is finished when its blobs reach this many bytes."""


class BlobWriter:
    """Stores new blobs. ``on_pack`` gets a pack's id and its plain header."""

    def __init__(self, storage: Storage, settings: WriterSettings, on_pack: Callable[[PackId, bytes], None]) -> None:
        self._storage = storage
        self._on_pack = on_pack
        self._box = Box(settings.master)
        self._compressor = Compressor(settings.compression)
        self._compress_data = settings.version > 1 and settings.compression is not Compression.OFF
        self._compress_trees = settings.version > 1
        self._check = settings.check
        self._dice = _dice()
        # Chunk lengths of known files must not be readable from a pack's order: blobs go at random to one of two
        # open packs.
        self._data = [PackBuilder(BlobKind.DATA, settings.pack_size) for _ in range(_OPEN_DATA_PACKS)]
        self._tree = PackBuilder(BlobKind.TREE, settings.pack_size // 2)
        self._unsynced: list[tuple[PackId, bytes]] = []
        self._cutter = Cutter(chunker_seed(settings.master))

    def add(self, kind: BlobKind, blob: BlobId, content: bytes) -> None:
        """Store a blob that the repository does not have. Raises BlobNotReproduced and storage errors."""
        tree = kind is BlobKind.TREE
        packed, plain_length = content, 0
        if (self._compress_trees if tree else self._compress_data) and content:
            frame = self._compressor.compress(content)
            if tree or len(frame) < len(content):
                packed, plain_length = frame, len(content)
        sealed = self._box.seal(packed)
        dice = next(self._dice)
        if self._is_checked(dice):
            self._check_blob(sealed, plain_length, content)
        builder = self._tree if tree else self._data[dice & 1]
        builder.add(blob, sealed, plain_length)
        if builder.is_full():
            self._store(builder)

    def add_sealed(self, kind: BlobKind, blob: BlobId, sealed: tuple[bytes, bytes, bytes], plain_length: int) -> None:
        """Store a blob that is sealed with this repository's key already (repacking)."""
        builder = self._tree if kind is BlobKind.TREE else self._data[next(self._dice) & 1]
        builder.add(blob, sealed, plain_length)
        if builder.is_full():
            self._store(builder)

    def cut(self, read_into: Callable[[memoryview], int]) -> Iterator[bytes]:
        """The chunks of a stream, in order, as they are to be stored; nothing for an empty stream."""
        return self._cutter.cut(read_into)

    def flush(self) -> None:
        """Store the packs that are not full; return when everything added is durable and reported.

        The buffers are given back: whoever makes many snapshots in one process has a writer for each.
        """
        for builder in (*self._data, self._tree):
            if len(builder):
                self._store(builder)
            builder.release()
        self._cutter.release()
        self._sync()

    def _check_blob(self, sealed: tuple[bytes, bytes, bytes], plain_length: int, content: bytes) -> None:
        try:
            opened = self._box.open_parts(*sealed)
            if plain_length:
                opened = decompress(opened, plain_length)
        except (Tampered, DamagedFrame):
            raise BlobNotReproduced from None
        if opened != content:
            raise BlobNotReproduced

    def _is_checked(self, dice: int) -> bool:
        check = self._check
        return check is BlobCheck.ALL or (check is BlobCheck.SAMPLE and dice < 256 // _SAMPLE_ONE_IN)

    def _store(self, builder: PackBuilder) -> None:
        pack = builder.finish(self._box)
        self._storage.put(Kind.PACK, pack.id.hex(), pack.parts)
        self._unsynced.append((pack.id, pack.header))
        if len(self._unsynced) >= _PACKS_PER_SYNC:
            self._sync()

    def _sync(self) -> None:
        if self._unsynced:
            self._storage.sync()
            for pack in self._unsynced:
                self._on_pack(*pack)
            self._unsynced.clear()


def _dice() -> Iterator[int]:
    """Random bytes without end."""
    while True:
        yield from os.urandom(1024)


class Cutter:
    """Cuts streams into chunks in one window that serves for every stream: one stream at a time."""

    def __init__(self, seed: int) -> None:
        self._chunker = Chunker(seed)
        self._window: memoryview | None = None

    def cut(self, read_into: Callable[[memoryview], int]) -> Iterator[bytes]:
        """The chunks of what ``read_into`` fills in, until it returns 0."""
        # Taken while a stream is being cut: should another one begin meanwhile, it gets a window of its own.
        view, self._window = self._window, None
        if view is None:
            view = memoryview(bytearray(_WINDOW))
        try:
            yield from self._cut(view, read_into)
        finally:
            self._window = view

    def release(self) -> None:
        """Give the window back; the next stream makes a new one."""
        self._window = None

    def _cut(self, view: memoryview, read_into: Callable[[memoryview], int]) -> Iterator[bytes]:
        held, ended = 0, False
        while not ended:
            while not ended and held < len(view):
                count = read_into(view[held:])
                ended = count == 0
                held += count
            position = 0
            for length in self._chunker.lengths(view[:held]):
                # What a chunk is cut after lies within it, so only one that runs to the end of what is known can
                # turn out longer, unless it has reached the greatest length.
                if position + length == held and not ended and length < LARGEST_CHUNK:
                    break
                yield bytes(view[position : position + length])
                position += length
            held -= position
            view[:held] = view[position : position + held]
