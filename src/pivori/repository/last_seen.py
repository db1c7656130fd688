"""Which snapshots and keys a repository had when this machine last saw it: what goes without us can then be named.

Nothing in a repository says how many snapshots and keys it ought to have, so this is kept beside it, in the cache: one
small file for each place at which a repository is (copies of one share their identity, not their contents). Every
object that this program stores is added, every one that it removes is struck off *before* it is removed, and ``verify``
adds what others stored. A record that is lost costs no more than the knowledge.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pivori.host import folder_lock
from pivori.translation import N_, Phrase

_LARGEST_RECORD: Final = 64 << 20
_SHOWN_PATHS: Final = 3


class SeenSnapshot(msgspec.Struct, frozen=True):
    """What is told of a snapshot that is gone; empty when it could not be read."""

    time: str = ""
    host: str = ""
    paths: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """When, where and of what it was made."""
        if not self.time:
            return N_("it could not be read when it was last seen")
        paths = ", ".join(self.paths[:_SHOWN_PATHS]) + (", …" if len(self.paths) > _SHOWN_PATHS else "")
        return Phrase(N_("made at {time} on {host} of {paths}"), time=self.time, host=self.host, paths=paths)


class SeenKey(msgspec.Struct, frozen=True):
    """What is told of a key that is gone; empty when it could not be read."""

    created: str = ""
    host: str = ""
    user: str = ""

    @property
    def description(self) -> str:
        """When and for whom it was made."""
        if not self.created:
            return N_("it could not be read when it was last seen")
        return Phrase(N_("made at {time} for {user} on {host}"), time=self.created, user=self.user, host=self.host)


class Record(msgspec.Struct):
    """The snapshots and keys that were seen, by their names."""

    snapshots: dict[str, SeenSnapshot] = {}
    keys: dict[str, SeenKey] = {}

    def add(self, snapshots: Mapping[str, SeenSnapshot], keys: Mapping[str, SeenKey]) -> None:
        """Add what is there. What is known of an object already is not forgotten for an empty description."""
        for name, snapshot in snapshots.items():
            if snapshot.time or name not in self.snapshots:
                self.snapshots[name] = snapshot
        for name, key in keys.items():
            if key.created or name not in self.keys:
                self.keys[name] = key

    def learn(self, found: "Record", before: "Record") -> None:
        """Add what was found, but for what was in the record ``before`` and is there no more."""
        struck = (before.snapshots.keys() - self.snapshots.keys()) | (before.keys.keys() - self.keys.keys())
        self.add(
            {name: snapshot for name, snapshot in found.snapshots.items() if name not in struck},
            {name: key for name, key in found.keys.items() if name not in struck},
        )

    def strike(self, names: Iterable[str]) -> None:
        """Forget some of them."""
        for name in names:
            self.snapshots.pop(name, None)
            self.keys.pop(name, None)


class LastSeen:
    """The record of a repository at one place, in a file below ``directory``; None keeps nothing."""

    def __init__(self, directory: Path | None, location: str) -> None:
        digest = hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()
        self._file = directory / f"{digest[:32]}.json" if directory is not None else None

    def read(self) -> Record | None:
        """The record; None when there is none that can be read."""
        if self._file is None:
            return None
        try:
            with self._file.open("rb") as file:
                return msgspec.json.decode(file.read(_LARGEST_RECORD), type=Record)
        except (OSError, ValueError, RecursionError):
            return None

    def add(
        self, *, snapshots: Mapping[str, SeenSnapshot] | None = None, keys: Mapping[str, SeenKey] | None = None
    ) -> None:
        """Note what is stored."""
        self._change(lambda record: record.add(snapshots or {}, keys or {}))

    def learn(self, found: Record, *, before: Record) -> None:
        """Note what was found stored; ``before`` is what :meth:`read` gave before that was looked for.

        What was struck off since then is about to be removed: to note it again would make it missed.
        """
        self._change(lambda record: record.learn(found, before))

    def strike(self, names: Iterable[str]) -> None:
        """Strike snapshots and keys off, which are about to be removed, or whose absence is accepted."""
        doomed = list(names)
        self._change(lambda record: record.strike(doomed))

    def _change(self, change: Callable[[Record], None]) -> None:
        """Change the record, one process at a time. That it cannot be written is no reason to fail."""
        if self._file is None:
            return
        unfinished = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            with folder_lock(self._file.parent):
                record = self.read() or Record()
                change(record)
                unfinished.write_bytes(msgspec.json.encode(record))
                unfinished.replace(self._file)
        except OSError:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
