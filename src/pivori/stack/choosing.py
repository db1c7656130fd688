"""Which capture of each component a recovery takes, and in which order they are brought back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pivori.errors import PivoriError
from pivori.repository import format_time, parse_time
from pivori.stack.model import Member, Stack
from pivori.stack.points import Capture
from pivori.translation import N_


class NothingToRecover(PivoriError):
    """There is no recovery point to take a component from."""

    code = "nothing-to-recover"
    message = N_("There is no capture of the component {component} at or before {moment}.")
    hint = N_("List the recovery points with `pivori snapshots --tag stack={stack}`, or choose a later moment.")


class NeverCaptured(NothingToRecover):
    """A component was never captured."""

    code = "never-captured"
    message = N_("There is no capture of the component {component} in the repository.")
    hint = N_("List the recovery points with `pivori snapshots --tag stack={stack}`; name what they have.")


@dataclass(frozen=True)
class Choice:
    """A capture to take. ``settings`` are what the choice asks of the component: the moment to replay to."""

    capture: Capture
    settings: Mapping[str, str] = field(default_factory=dict)
    moment_ns: int = 0
    """Which moment it brings back, in nanoseconds since the epoch."""


def choose_capture(captures: Iterable[Capture], at_ns: int | None) -> Choice | None:
    """The capture for a moment (None: the latest); ``captures`` come newest first. None when there is none.

    The moment of a capture is that of its recovery point. One that can be replayed is taken from after the moment.
    """
    after: Choice | None = None
    for capture in captures:
        moment_ns = capture.point.time_ns
        if at_ns is None or moment_ns == at_ns:
            return Choice(capture, moment_ns=moment_ns)
        if moment_ns < at_ns:
            return after or Choice(capture, moment_ns=moment_ns)
        replay_from = capture.report.replay_from
        if replay_from and parse_time(replay_from) <= at_ns:
            after = Choice(capture, {"target-time": format_time(at_ns)}, at_ns)
    return after


def spread_seconds(choices: Iterable[Choice]) -> float:
    """How far the moments of captures are apart."""
    moments = [choice.moment_ns for choice in choices]
    return (max(moments) - min(moments)) / 1e9 if moments else 0.0


def recovery_order(stack: Stack) -> list[Member]:
    """The members in the order in which they are brought back.

    As the stack says, those it does not name last. But what lies within a folder of another component comes after
    that one, which replaces the folder as a whole.
    """
    ranks = {name: rank for rank, name in enumerate(stack.recovery_order)}
    waiting = sorted(stack.members, key=lambda member: ranks.get(member.name, len(ranks)))
    ordered = []
    while waiting:
        free = next(
            (member for member in waiting if not any(_contains(other, member) for other in waiting)), waiting[0]
        )
        waiting.remove(free)
        ordered.append(free)
    return ordered


def has_place_in(members: Sequence[Member], folder: Path) -> bool:
    """Whether a place of any of the members is a folder, or lies within it."""
    return any(place.is_relative_to(folder) for member in members for place in member.component.places())


def _contains(outer: Member, inner: Member) -> bool:
    """Whether a place of ``inner`` lies within one of ``outer``."""
    return outer is not inner and any(
        _is_below(place, above) for above in outer.component.places() for place in inner.component.places()
    )


def _is_below(place: Path, above: Path) -> bool:
    return place != above and place.is_relative_to(above)
