"""``pivori verify --captures``: what the latest recovery points hold, checked by each component's own means.

With ``--json`` one ``capture`` object for each component: ``component``, ``kind``, ``snapshot_id``, ``time``,
``files``, ``bytes``, ``consistency``, ``findings``, ``seconds``; and a ``summary``: ``components``, ``failures``.
"""

from pivori.app import Access
from pivori.cli.failures import DONE, ERROR
from pivori.cli.notices import tell_damage
from pivori.cli.session import Session
from pivori.cli.stack_in_force import StackInForce, stack_to_recover
from pivori.cli.stack_wording import capture_record, finding_records, show_moment, show_size, tell_findings
from pivori.cli.wording import show_duration
from pivori.components.base import Finding, failure_of, has_failure
from pivori.engine.recovery_point import ComponentReader
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event
from pivori.repository import Repository
from pivori.stack.model import Member
from pivori.stack.points import Capture, RecoveryPoints
from pivori.stack.sinks import RecoverySource
from pivori.translation import N_, _


class NoCapture(PivoriError):
    """A component has no usable capture."""

    code = "no-capture"
    message = N_("There is no usable capture of it.")
    hint = N_("Make one with `pivori backup --component {component}`.")


def verify_captures(session: Session) -> int:
    """Check the latest capture of each component: 0, or 1 when one, or a later one, could not be brought back."""
    output = session.output
    failures = 0
    damaged: list[PivoriError] = []

    def hear(event: Event) -> None:
        if isinstance(event, DamageFound):
            damaged.append(event.error)
            tell_damage(event.error, output)

    with session.app.open_repository(Access.READ) as (repository, _lock):
        snapshots = list(repository.snapshots(on_damage=lambda error: tell_damage(error, output)))
        in_force = stack_to_recover(session, repository, snapshots, None)
        points = RecoveryPoints(repository, in_force.stack.name, snapshots, hear)
        for member in in_force.stack.members:
            failures += _verify(session, in_force, member, points, repository)
    output.record({"message_type": "summary", "components": len(in_force.stack.members), "failures": failures})
    return ERROR if failures or damaged else DONE


def _verify(
    session: Session, in_force: StackInForce, member: Member, points: RecoveryPoints, repository: Repository
) -> bool:
    """Check one component and say so; whether it failed."""
    output, started = session.output, session.clock.monotonic()
    capture = next(points.captures(member.name), None)
    findings = _findings(session, in_force, member, points, repository, capture)
    seconds = session.clock.monotonic() - started
    is_broken = has_failure(findings)
    output.record(
        {
            "message_type": "capture",
            "component": member.name,
            "kind": member.component.kind,
            **(capture_record(capture) if capture is not None else {}),
            "findings": finding_records(findings),
            "seconds": round(seconds, 3),
        }
    )
    if capture is not None:
        text = _("{component}: {size} of {moment} looked at in {duration}: {state}")
        output.say(
            text.format(
                component=member.name,
                size=show_size(capture.record.file_count, capture.record.size),
                moment=show_moment(capture.point.time_ns),
                duration=show_duration(seconds),
                state=_("would NOT come back") if is_broken else _("sound"),
            )
        )
    tell_findings(member.name, findings, output)
    return is_broken


def _findings(
    session: Session,
    in_force: StackInForce,
    member: Member,
    points: RecoveryPoints,
    repository: Repository,
    capture: Capture | None,
) -> list[Finding]:
    try:
        if capture is None:
            raise NoCapture(component=member.name)
        reader = ComponentReader(
            repository, points.folder(capture), workers=session.app.processors, emit=lambda _event: None
        )
        surroundings = in_force.surroundings(session.clock, member.name)
        return list(member.component.verify(RecoverySource(member.name, reader, capture.report), surroundings))
    except PivoriError as error:
        return [failure_of(error)]
