"""The plan of a recovery as somebody under stress needs it: who to call, what comes back, what to type, what then.

It is made of a :class:`RecoveryPlan`, or of the configuration alone where the repository cannot be reached.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pivori.components.base import Finding
from pivori.errors import PivoriError
from pivori.stack.choosing import recovery_order
from pivori.stack.model import Contacts, Member, Stack
from pivori.stack.recovery_log import RecoveryHistory
from pivori.stack.recovery_plan import RecoveryPlan, RecoveryStep
from pivori.translation import Phrase

_CHECKS: Final[Mapping[str, str]] = {
    "postgres": "psql -l",
    "postgres-physical": "psql -c 'SELECT now(), pg_is_in_recovery()'",
    "mysql": "mariadb -e 'SHOW DATABASES'",
    "redis": "redis-cli DBSIZE",
    "compose": "docker compose ps",
}
"""What shows that a server has its data again, where a look at files does not."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The capture that a step takes. ``moment_ns`` is what it brings back, in nanoseconds since the epoch."""

    snapshot: str
    moment_ns: int
    files: int
    bytes: int
    counts: Mapping[str, int] = field(default_factory=dict)
    manual: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class RunbookStep:
    """One component. ``seconds`` as the last time (None: never measured), ``taken`` None: nobody could look.

    ``check`` is a command line that shows whether it is back.
    """

    name: str
    kind: str
    seconds: float | None
    rto: float | None
    rpo: float | None
    check: str
    taken: Taken | None = None
    does: Sequence[Phrase] = ()
    replaces: Sequence[Phrase] = ()
    findings: Sequence[Finding] = ()
    is_done: bool = False


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """The whole. ``to`` None: in place. ``now_ns`` is when it was written.

    ``lacking`` says which components have no capture, ``unreachable`` why the repository could not be asked.
    """

    stack: str
    root: Path
    contacts: Contacts
    to: Path | None
    now_ns: int
    steps: Sequence[RunbookStep]
    lacking: Sequence[PivoriError] = ()
    findings: Sequence[Finding] = ()
    spread: float = 0.0
    unreachable: PivoriError | None = None

    @property
    def seconds(self) -> float | None:
        """About how long all of it takes; None when a step was never measured."""
        known = [step.seconds for step in self.steps if not step.is_done]
        return None if any(value is None for value in known) else sum(value for value in known if value is not None)

    @property
    def oldest_ns(self) -> int | None:
        """The earliest of the moments that come back; None when nobody could look."""
        return min((step.taken.moment_ns for step in self.steps if step.taken is not None), default=None)

    def lost_seconds(self, step: RunbookStep) -> float | None:
        """How much of the work on a component is lost when it is brought back now; None when nobody could look."""
        return max(self.now_ns - step.taken.moment_ns, 0) / 1e9 if step.taken is not None else None


def runbook_of_plan(plan: RecoveryPlan, now_ns: int) -> Runbook:
    """What a plan comes to."""
    return Runbook(
        stack=plan.stack.name,
        root=plan.stack.root,
        contacts=plan.stack.contacts,
        to=plan.to,
        now_ns=now_ns,
        steps=[_step_of_plan(step, plan.to) for step in plan.steps],
        lacking=list(plan.lacking.values()),
        findings=plan.findings,
        spread=plan.spread,
    )


def runbook_without_repository(
    stack: Stack, names: Sequence[str], history: RecoveryHistory, *, to: Path | None, now_ns: int, reason: PivoriError
) -> Runbook:
    """What the configuration alone can tell. ``reason`` is why the repository could not be asked."""
    return Runbook(
        stack=stack.name,
        root=stack.root,
        contacts=stack.contacts,
        to=to,
        now_ns=now_ns,
        steps=[
            RunbookStep(
                name=member.name,
                kind=member.component.kind,
                seconds=history.last_seconds(member.name),
                rto=member.rto,
                rpo=member.rpo,
                check=_check(member, to),
            )
            for member in recovery_order(stack)
            if member.name in names
        ],
        unreachable=reason,
    )


def step_folder(to: Path, component: str) -> Path:
    """Where a step on its own is recovered to: a recovery does not go into a folder that has something in it."""
    return to.with_name(f"{to.name}-{component}")


def _step_of_plan(step: RecoveryStep, to: Path | None) -> RunbookStep:
    capture, member = step.choice.capture, step.member
    return RunbookStep(
        name=step.name,
        kind=member.component.kind,
        seconds=step.seconds,
        rto=member.rto,
        rpo=member.rpo,
        check=_check(member, to),
        taken=Taken(
            snapshot=capture.point.loaded.id,
            moment_ns=step.choice.moment_ns,
            files=capture.record.file_count,
            bytes=capture.record.size,
            counts=capture.report.counts,
            manual=capture.record.manual,
        ),
        does=step.plan.steps,
        replaces=step.plan.replaces,
        findings=step.plan.findings,
        is_done=step.is_done,
    )


def _check(member: Member, to: Path | None) -> str:
    kind = member.component.kind
    if to is not None:
        return shlex.join(["ls", "-la", str(step_folder(to, member.name))])
    if kind in _CHECKS:
        return _CHECKS[kind]
    # Of SQLite databases in a folder only the folder is known beforehand.
    places = [str(place).removesuffix("/**") for place in member.component.places()]
    if kind == "git" and places:
        return f"git -C {shlex.quote(places[0])} status"
    if kind == "sqlite" and places and not Path(places[0]).is_dir():
        return f"sqlite3 {shlex.quote(places[0])} 'PRAGMA integrity_check'"
    return shlex.join(["ls", "-la", *places]) if places else ""
