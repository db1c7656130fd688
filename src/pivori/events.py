"""What the engine tells while it works: typed facts, which a front end shows, serialises or ignores.

An engine verb is given a ``Callable[[Event], None]`` and calls it from its own thread; the callable returns quickly.
Specific events are defined beside the code that emits them.
"""

from dataclasses import dataclass
from enum import Enum

from pivori.errors import PivoriError


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened; the base of every event."""


class Unit(Enum):
    """What a verb counts."""

    FILES = "files"
    FOLDERS = "folders"
    PACKS = "packs"
    SNAPSHOTS = "snapshots"
    NOTHING = "nothing"
    """Only bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress(Event):
    """How far a verb has come. Totals are None while they are not known, and may be estimates; counts never go back.

    ``files_done`` and ``files_total`` count files, or what ``unit`` says instead. ``current`` is the file being worked
    on, as a local path, empty when there is none. ``errors`` counts the files that could not be worked on.
    """

    files_done: int = 0
    files_total: int | None = None
    bytes_done: int = 0
    bytes_total: int | None = None
    errors: int = 0
    current: bytes = b""
    unit: Unit = Unit.FILES


@dataclass(frozen=True, kw_only=True, slots=True)
class FileNotRead(Event):
    """A file or directory could not be read and is not in the snapshot. ``reason`` is the system's word."""

    path: bytes
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChanged(Event):
    """A file changed each time it was read; the snapshot has what was read last."""

    path: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class FileVanished(Event):
    """A file was there when its directory was listed, and gone when it was to be read."""

    path: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class DamageFound(Event):
    """Something in the repository is damaged, and the work goes on without it. ``error`` says what."""

    error: PivoriError


@dataclass(frozen=True, kw_only=True, slots=True)
class FileNotRestored(Event):
    """A file or directory could not be restored. ``path`` is relative to the target."""

    path: bytes
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MetadataNotRestored(Event):
    """A file was restored, but not its owner, an attribute, its mode or its times."""

    path: bytes
    reason: str
