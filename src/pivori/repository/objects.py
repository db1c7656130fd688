"""Sealed objects that are not packs: config, indexes, snapshots, locks.

In format version 2 the plain content is ``0x02 || zstd(JSON)``, or raw JSON when it begins with ``{`` or ``[``; in
version 1 always raw JSON. An object's name is the SHA-256 of its stored bytes (``config`` has none).
"""

import hashlib
import threading
from typing import Final

from pivori.errors import PivoriError
from pivori.repository.compression import Compression, Compressor, DamagedFrame, decompress
from pivori.repository.config import ConfigDamaged
from pivori.repository.crypto import Box, MasterKey, Tampered
from pivori.storage import Kind, Storage
from pivori.translation import N_

LARGEST_OBJECT: Final = 128 << 20
"""No object but a pack decodes to more than this many bytes: ten times the largest index either program writes."""

_LARGEST_CONFIG: Final = 64 << 10
_COMPRESSED = b"\x02"
CONFIG_NAME = "config"


class ObjectDamaged(PivoriError):
    """A sealed object cannot be opened."""

    code = "object-damaged"
    message = N_("{kind}/{name} is damaged: {reason}.")
    hint = N_("Run `pivori verify` to learn what is hurt, and `pivori repair` to mend it.")


class SealedObjects:
    """Saves and loads sealed objects with one master key. Safe to use from several threads."""

    def __init__(self, storage: Storage, master: MasterKey, version: int) -> None:
        self.storage = storage
        self.version = version
        self._master = master
        self._local = threading.local()

    def save_unpacked(self, kind: Kind, plain: bytes) -> str:
        """Seal, compress and store ``plain``; returns the new object's name."""
        if self.version > 1:
            plain = _COMPRESSED + Compressor(Compression.AUTO).compress(plain)
        parts = self._box().seal(plain)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        name = digest.hexdigest()
        self.storage.put(kind, name, parts)
        return name

    def load_unpacked(self, kind: Kind, name: str) -> bytes:
        """The plain content of an object. Raises ObjectDamaged, or NotFound from the storage."""
        data = self.storage.get(kind, name)
        if hashlib.sha256(data).hexdigest() != name:
            raise ObjectDamaged(kind=kind.value, name=name, reason=N_("its content does not fit its name"))
        return self.open_bytes(kind, name, data)

    def open_bytes(self, kind: Kind, name: str, data: bytes) -> bytes:
        """The plain content of an object whose stored bytes are at hand. Raises ObjectDamaged."""
        try:
            plain = self._box().open(data)
            if plain[:1] in (b"{", b"["):
                return plain
            if self.version > 1 and plain[:1] == _COMPRESSED:
                return decompress(memoryview(plain)[1:], most=LARGEST_OBJECT)
        except (Tampered, DamagedFrame) as error:
            raise ObjectDamaged(kind=kind.value, name=name, reason=error.as_reason) from None
        raise ObjectDamaged(kind=kind.value, name=name, reason=N_("it begins with an unknown byte"))

    def _box(self) -> Box:
        box: Box | None = getattr(self._local, "box", None)
        if box is None:
            box = self._local.box = Box(self._master)
        return box


def save_config(storage: Storage, master: MasterKey, plain: bytes) -> None:
    """Store the config object: sealed, never compressed. Raises AlreadyExists."""
    storage.put(Kind.CONFIG, CONFIG_NAME, Box(master).seal(plain))


def load_config(storage: Storage, master: MasterKey) -> bytes:
    """The config object's JSON. Raises ConfigDamaged, or NotFound from the storage."""
    sealed = storage.get(Kind.CONFIG, CONFIG_NAME, 0, _LARGEST_CONFIG + 1)
    if len(sealed) > _LARGEST_CONFIG:
        raise ConfigDamaged(reason=N_("it is far too large"))
    try:
        return Box(master).open(sealed)
    except Tampered as error:
        raise ConfigDamaged(reason=error.as_reason) from None
