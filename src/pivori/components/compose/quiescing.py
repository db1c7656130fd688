"""Letting services stand still while their files are read, and never longer: not even when this program is killed.

What is about to stand still is written down durably before the engine is asked for it. The note goes when everything
runs again; a note that a killed run has left is undone by :func:`release_left`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from pivori.clock import Clock
from pivori.components.base import ComponentFailed
from pivori.components.compose.engine_api import Engine
from pivori.components.compose.running import Container, state_of
from pivori.errors import PivoriError
from pivori.host.durable import remove_durably, write_durably
from pivori.translation import N_, Phrase

NOTE_NAME: Final = "standing-still.json"

_ATTEMPTS: Final = 5
_BREATH: Final = 1.0
"""Seconds between two attempts to let a service go on."""
_START_SECONDS: Final = 30.0

Result = TypeVar("Result")


class Quiesce(StrEnum):
    """How services are kept from writing."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"


class ServicesStandStill(ComponentFailed):
    """Services that were paused or stopped could not be made to go on."""

    code = "services-stand-still"
    message = N_("The services {services} could not be made to go on: {reason}.")
    hint = N_("Run `pivori resume`, or `docker compose unpause` and `docker compose start`, at once.")


class NoteUnusable(ComponentFailed):
    """What is about to stand still could not be written down or looked up, so nothing was touched."""

    code = "quiesce-note-unusable"
    message = N_("The note {path} about services that stand still cannot be used: {reason}.")
    hint = N_("Check the permissions and the free space of the folder, then run the command again.")


@dataclass(frozen=True, kw_only=True)
class Still:
    """A container that may stand still: its id, its name, its service."""

    id: str
    name: str
    service: str


def run_quiesced(
    work: Callable[[], Result],
    *,
    engine: Engine,
    how: Quiesce,
    containers: Sequence[Container],
    stop_timeout: float,
    state: Path,
    clock: Clock,
) -> Result:
    """Do ``work`` while ``containers``, given dependants first, stand still; they go on whatever happens.

    Raises what the engine says, what the work raises, and ServicesStandStill.
    """
    if how is Quiesce.NONE or not containers:
        return work()
    note = state / NOTE_NAME
    # An interruption comes once at most: should it come where the inner clean-up is, the outer one does it.
    try:
        try:
            _write_note(note, how, [Still(id=item.id, name=item.name, service=item.service) for item in containers])
            for container in containers:
                _halt(engine, how, container, stop_timeout)
            return work()
        finally:
            release_left(engine, state, clock)
    finally:
        release_left(engine, state, clock)


def release_left(engine: Engine, state: Path, clock: Clock) -> Sequence[Phrase]:
    """Let go on what the note says stands still; what was done, as sentences. Without a note nothing is asked.

    Raises ServicesStandStill; the note then stays.
    """
    note = state / NOTE_NAME
    read = _read_note(note)
    if read is None:
        return []
    how, standing = read
    done: list[Phrase] = []
    failed: list[Still] = []
    reason = ""
    for still in reversed(standing):
        try:
            if _let_go_on(engine, how, still, clock):
                done.append(Phrase(N_("The service {service} goes on."), service=still.service or still.name))
        except PivoriError as error:
            failed.append(still)
            reason = str(error.as_reason)
    if failed:
        raise ServicesStandStill(services=", ".join(still.service or still.name for still in failed), reason=reason)
    remove_durably(note)
    return done


def left_standing(state: Path) -> Sequence[str]:
    """The services that a note of an earlier run names."""
    read = _read_note(state / NOTE_NAME)
    return [] if read is None else [still.service or still.name for still in read[1]]


def _halt(engine: Engine, how: Quiesce, container: Container, stop_timeout: float) -> None:
    if how is Quiesce.PAUSE:
        engine.post("containers", container.id, "pause")
    else:
        engine.post("containers", container.id, "stop", t=round(stop_timeout), patience=stop_timeout)


def _let_go_on(engine: Engine, how: Quiesce, still: Still, clock: Clock) -> bool:
    """Unpause or start a container that stands still; whether there was anything to do. Tried several times."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            state, _health, _status = state_of(engine, still.id)
            if how is Quiesce.PAUSE and state == "paused":
                engine.post("containers", still.id, "unpause")
            elif how is Quiesce.STOP and state not in ("running", "restarting", "gone"):
                engine.post("containers", still.id, "start", patience=_START_SECONDS)
            else:
                return False
        except PivoriError:
            if attempt == _ATTEMPTS:
                raise
            clock.sleep(_BREATH)
        else:
            return True
    return False


def _write_note(note: Path, how: Quiesce, standing: Sequence[Still]) -> None:
    """Make it durable before anything is touched. Raises NoteUnusable."""
    content = {"how": how.value, "containers": [vars(still) for still in standing]}
    try:
        write_durably(note, json.dumps(content).encode())
    except OSError as error:
        raise NoteUnusable(path=note, reason=error.strerror or str(error)) from None


def _read_note(note: Path) -> tuple[Quiesce, list[Still]] | None:
    """What a note says; None when there is none, or nothing of ours in it. Raises NoteUnusable."""
    try:
        said = json.loads(note.read_bytes())
        return Quiesce(said["how"]), [Still(**facts) for facts in said["containers"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    except OSError as error:
        raise NoteUnusable(path=note, reason=error.strerror or str(error)) from None
