"""What recoveries on this machine did: so that an interrupted one goes on, and the next one knows how long it takes."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from pivori.host.durable import remove_durably, write_durably

_T = TypeVar("_T")
_HISTORY: Final = "history.json"
_MOST_REMEMBERED: Final = 200
_FRESH_NS: Final = 24 * 3600 * 1_000_000_000


class Move(msgspec.Struct, frozen=True):
    """Something that was moved out of the way, from where to where, by which component."""

    path: str
    aside: str
    component: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """How long it took to bring a component back: bytes, seconds, and when it ended (RFC 3339)."""

    component: str
    kind: str
    bytes: int
    seconds: float
    ended: str


class _Progress(msgspec.Struct, kw_only=True):
    done: list[str] = []
    moves: list[Move] = []
    noted_ns: int = 0
    """When a step was done last, or the recovery begun."""


class RecoveryLog:
    """One recovery that is under way. ``key`` tells it from others: the same one, begun again, has the same key.

    One that was left alone for more than a day is not gone on with: what it brought back may have been lost since.
    """

    def __init__(self, folder: Path, key: str, *, now_ns: int) -> None:
        self._path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        found = _read(self._path, _Progress)
        self.is_resumed = found is not None and now_ns - found.noted_ns <= _FRESH_NS
        self._progress = found if found is not None and self.is_resumed else _Progress()

    @property
    def done(self) -> Sequence[str]:
        """The components that are back."""
        return self._progress.done

    @property
    def moves(self) -> Sequence[Move]:
        """What was moved out of the way, in order."""
        return self._progress.moves

    def begin(self, now_ns: int) -> None:
        """Note that the recovery has begun. Raises OSError."""
        self._progress.noted_ns = now_ns
        self._write()

    def note_move(self, path: Path, aside: Path, component: str) -> None:
        """Note a move that is about to be made. Raises OSError."""
        self._progress.moves.append(Move(str(path), str(aside), component))
        self._write()

    def note_done(self, component: str, now_ns: int) -> None:
        """Note that a component is back. Raises OSError."""
        self._progress.done.append(component)
        self._progress.noted_ns = now_ns
        self._write()

    def close(self) -> None:
        """The recovery is complete: the next one with the same key begins anew. Raises OSError."""
        remove_durably(self._path)

    def _write(self) -> None:
        write_durably(self._path, msgspec.json.encode(self._progress))


class RecoveryHistory:
    """How long recoveries took on this machine."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _HISTORY
        self._measured = _read(self._path, list[Measured]) or []

    def expected_seconds(self, component: str, kind: str, size: int) -> float | None:
        """How long ``size`` bytes will take, as the last time for this component, else for its kind; None: unknown."""
        for wanted in (component, None):
            for measured in reversed(self._measured):
                if measured.component == wanted or (wanted is None and measured.kind == kind):
                    return measured.seconds * max(size, 1) / max(measured.bytes, 1)
        return None

    def last_seconds(self, component: str) -> float | None:
        """How long it took the last time, whatever its size was; None when that was never measured."""
        return next((each.seconds for each in reversed(self._measured) if each.component == component), None)

    def add(self, measured: Measured) -> None:
        """Keep a measurement. That it cannot be written costs an estimate, no more."""
        self._measured = [*self._measured, measured][-_MOST_REMEMBERED:]
        with suppress(OSError):
            write_durably(self._path, msgspec.json.encode(self._measured))


def _read(path: Path, kind: type[_T]) -> _T | None:
    """What a file of this module says; None when it is not there, or torn."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
