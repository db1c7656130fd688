"""To which moment a cluster is to be brought back, and whether a capture reaches it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from pivori.clock import Clock
from pivori.components.base import ComponentFailed
from pivori.components.postgres_physical.facts import BaseFacts, Facts
from pivori.components.postgres_physical.lsn import format_lsn, parse_lsn
from pivori.translation import N_

_SETTINGS: Final = ("target-time", "target-lsn", "target-xid")


class TargetNotUnderstood(ComponentFailed):
    """What is written as the moment to go back to is no moment."""

    code = "postgres-target-not-understood"
    message = N_("{setting} cannot be {value}.")
    hint = N_(
        "Write target-time as 2026-01-31T09:59:00+01:00, target-lsn as 16/B374D848, target-xid as a number,"
        " target-inclusive as true or false; and one target at most."
    )


class TargetOutOfReach(ComponentFailed):
    """A capture does not hold the moment that is asked for."""

    code = "postgres-target-out-of-reach"
    message = N_("This recovery point cannot be replayed to {value}.")
    hint = N_(
        "It reaches from {earliest} ({earliest_lsn}) to {latest} ({latest_lsn}); choose another recovery point with"
        " --at for other moments."
    )


@dataclass(frozen=True, kw_only=True)
class Target:
    """A moment: at most one of ``time``, ``lsn`` and ``xid``; none of them is the end of the log.

    With ``inclusive`` what happened exactly then is brought back too.
    """

    time: datetime | None = None
    lsn: int | None = None
    xid: int | None = None
    inclusive: bool = True

    @classmethod
    def of(cls, settings: Mapping[str, str], clock: Clock) -> Self:
        """What the settings of a restore say; a time without a zone is in ours. Raises TargetNotUnderstood."""
        given = [name for name in _SETTINGS if settings.get(name)]
        for other in given[1:]:
            raise TargetNotUnderstood(setting=other, value=settings[other])
        inclusive = settings.get("target-inclusive", "true").lower()
        if inclusive not in ("true", "false"):
            raise TargetNotUnderstood(setting="target-inclusive", value=inclusive)
        if not given:
            return cls()
        name, value = given[0], settings[given[0]].strip()
        try:
            target: dict[str, Any] = {name.removeprefix("target-"): _value(name, value, clock)}
            return cls(**target, inclusive=inclusive == "true")
        except ValueError:
            raise TargetNotUnderstood(setting=name, value=value) from None

    @property
    def text(self) -> str:
        """How people call it; empty for the end of the log."""
        if self.time is not None:
            return self.time.isoformat(sep=" ")
        if self.lsn is not None:
            return format_lsn(self.lsn)
        return "" if self.xid is None else str(self.xid)

    def settings(self) -> dict[str, str]:
        """What the server is told."""
        own = {"recovery_target_inclusive": "on" if self.inclusive else "off", "recovery_target_action": "promote"}
        if self.time is not None:
            return {**own, "recovery_target_time": self.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")}
        if self.lsn is not None:
            return {**own, "recovery_target_lsn": format_lsn(self.lsn)}
        return own if self.xid is None else {**own, "recovery_target_xid": str(self.xid)}

    def base_of(self, facts: Facts) -> BaseFacts:
        """The base to start from. Raises TargetOutOfReach."""
        if self.time is not None:
            fit = [base for base in facts.bases if base.ended <= self.time <= facts.time]
        elif self.lsn is not None:
            fit = [base for base in facts.bases if parse_lsn(base.end) <= self.lsn <= facts.end]
        elif self.xid is not None:
            # Numbers of transactions say nothing of their order in the log: the whole of it is searched.
            return facts.bases[0]
        else:
            fit = facts.bases
        if not fit:
            raise self.out_of_reach(facts)
        return fit[-1]

    def out_of_reach(self, facts: Facts) -> TargetOutOfReach:
        """What to say when a capture does not hold it."""
        first = facts.bases[0]
        return TargetOutOfReach(
            value=self.text,
            earliest=first.ended.isoformat(sep=" "),
            earliest_lsn=first.end,
            latest=facts.time.isoformat(sep=" "),
            latest_lsn=facts.position,
        )


def _value(name: str, value: str, clock: Clock) -> datetime | int:
    """The value of a target. Raises ValueError."""
    if name == "target-lsn":
        return parse_lsn(value)
    if name == "target-xid":
        if not re.fullmatch(r"[0-9]+", value):
            raise ValueError(value)
        return int(value)
    time = datetime.fromisoformat(value)
    return time if time.tzinfo is not None else time.replace(tzinfo=clock.now().tzinfo)
