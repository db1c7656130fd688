"""The plan of a recovery: what is brought back from where, in which order, and what keeps it from being done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pivori.components.base import Finding, Gravity, RestorePlan, RestoreRequest, has_failure
from pivori.host.space import room_at
from pivori.repository import LoadedSnapshot
from pivori.stack.choosing import Choice, NothingToRecover
from pivori.stack.model import Member, Stack
from pivori.stack.sinks import RecoverySource
from pivori.translation import N_, ByteCount, Phrase


@dataclass(frozen=True, kw_only=True)
class RecoveryRequest:
    """What to bring back. ``at_ns`` None: the latest; ``point`` is one recovery point to take everything from.

    ``to`` is a folder of its own; None: in place. ``settings`` are those of components, by their names.
    ``repository`` is the folder of the repository, where it is one of this machine: it is never moved aside.
    """

    stack: Stack
    names: Sequence[str]
    at_ns: int | None = None
    point: LoadedSnapshot | None = None
    to: Path | None = None
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    repository: Path | None = None


@dataclass(frozen=True, kw_only=True)
class RecoveryStep:
    """One component: what it is brought back from, what that does, about how long it takes (None: never measured)."""

    member: Member
    choice: Choice
    source: RecoverySource
    request: RestoreRequest
    plan: RestorePlan
    seconds: float | None
    is_done: bool
    """It is back already: an earlier run of this recovery did it."""

    @property
    def name(self) -> str:
        """The component's name."""
        return self.member.name

    @property
    def size(self) -> int:
        """The bytes of the capture."""
        return self.choice.capture.record.size


@dataclass(frozen=True, kw_only=True)
class RecoveryPlan:
    """What a recovery does. ``spread`` is how many seconds the captures are apart; ``lacking`` has no capture."""

    stack: Stack
    to: Path | None
    at_ns: int | None
    steps: Sequence[RecoveryStep]
    spread: float
    lacking: Mapping[str, NothingToRecover]
    findings: Sequence[Finding]
    is_resumed: bool

    @property
    def seconds(self) -> float | None:
        """About how long all of it takes; None when a step was never measured."""
        known = [step.seconds for step in self.steps if not step.is_done]
        return None if any(value is None for value in known) else sum(value for value in known if value is not None)

    @property
    def is_possible(self) -> bool:
        """Whether it can be applied."""
        return not has_failure(self.findings) and not any(has_failure(step.plan.findings) for step in self.steps)


def shortages(plans: Sequence[RestorePlan]) -> list[Finding]:
    """Where there is too little room for all steps together."""
    needed: dict[int, int] = {}
    rooms = {}
    for plan in plans:
        for path, size in plan.space.items():
            try:
                room = room_at(path)
            except OSError:
                continue  # the step itself finds out, and says so
            needed[room.device] = needed.get(room.device, 0) + size
            rooms[room.device] = path, room.free
    return [
        Finding(
            gravity=Gravity.FAILURE,
            message=Phrase(
                N_("There is too little room at {path}: {needed} are needed, {free} are free."),
                path=rooms[device][0],
                needed=ByteCount(size),
                free=ByteCount(rooms[device][1]),
            ),
            hint=Phrase(N_("Make room there, or recover to another place with --to.")),
        )
        for device, size in needed.items()
        if size > rooms[device][1]
    ]


def endangered(members: Sequence[Member], repository: Path | None) -> list[Finding]:
    """Which folders cannot be replaced, as the repository that they come from lies within."""
    if repository is None:
        return []
    return [
        Finding(
            gravity=Gravity.FAILURE,
            message=Phrase(
                N_("{component} would move {path} aside, and the repository with it."),
                component=member.name,
                path=place,
            ),
            hint=Phrase(N_("Recover into another folder with --to, or move the repository elsewhere.")),
        )
        for member in members
        for place in member.component.places()
        if repository.is_relative_to(place)
    ]
