"""Which secret is in which seal, as only this machine can tell.

A seal is another one each time, even of the same content. Its notes let a machine recognise a secret that has not
changed: a digest under a random key, which is kept with the notes in the component's private folder and in no backup.
Only seals of the newest capture are noted: about older secrets nobody can learn anything here.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from pivori.components.private_file import PrivateFile

_NAME: Final = "seals.json"


class _Notes(msgspec.Struct):
    key: str
    seals: dict[str, str]


class SealNotes:
    """The notes in a folder; new ones where there are none that can be read."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / _NAME
        try:
            self._notes = msgspec.json.decode(self._place.read_bytes(), type=_Notes)
            self._key = bytes.fromhex(self._notes.key)
        except (OSError, ValueError, msgspec.MsgspecError):
            self._key = secrets.token_bytes(32)
            self._notes = _Notes(self._key.hex(), {})

    def holds(self, seal: str, path: str, content: bytes) -> bool | None:
        """Whether a seal, given by its SHA-256, has this content; None when nothing is noted about it."""
        noted = self._notes.seals.get(seal)
        return None if noted is None else hmac.compare_digest(noted, self._digest(path, content))

    def add(self, seal: str, path: str, content: bytes) -> None:
        """Note what is in a seal."""
        self._notes.seals[seal] = self._digest(path, content)

    def forget_others(self, seals: Collection[str]) -> None:
        """Forget all seals but some."""
        self._notes.seals = {seal: digest for seal, digest in self._notes.seals.items() if seal in seals}

    def save(self) -> None:
        """Write the notes. Raises OSError."""
        with PrivateFile(self._place) as file:
            file.write(msgspec.json.encode(self._notes))
            file.put()

    def _digest(self, path: str, content: bytes) -> str:
        return hmac.new(self._key, path.encode() + b"\0" + content, hashlib.sha256).hexdigest()
