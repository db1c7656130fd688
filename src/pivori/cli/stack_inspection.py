"""Looking at the components of a stack without capturing them: ``pivori backup --dry-run``, and the first check."""

from collections.abc import Sequence

from pivori.cli.failures import INCOMPLETE
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.stack_in_force import StackInForce
from pivori.cli.stack_wording import finding_records, tell_findings
from pivori.cli.wording import show_bytes
from pivori.components.base import Inspection, failure_of, has_failure
from pivori.errors import PivoriError
from pivori.stack.model import Member
from pivori.translation import _


def show_inspections(session: Session, in_force: StackInForce, names: Sequence[str]) -> int:
    """Look at each component and say what is there: 0, or 3 when a capture would fail."""
    found = [(member, inspect(session, in_force, member)) for member in in_force.stack.members if member.name in names]
    tell_inspections(found, session.output)
    return INCOMPLETE if any(has_failure(inspection.findings) for _member, inspection in found) else 0


def inspect(session: Session, in_force: StackInForce, member: Member) -> Inspection:
    """What is there of a component; what keeps it from being looked at is a finding."""
    try:
        return member.component.inspect(in_force.surroundings(session.clock, member.name))
    except PivoriError as error:
        return Inspection(findings=[failure_of(error)])


def tell_inspections(found: Sequence[tuple[Member, Inspection]], output: Output) -> None:
    """The components as a table, then what was found about them."""
    for member, inspection in found:
        output.record(
            {
                "message_type": "inspection",
                "component": member.name,
                "kind": member.component.kind,
                "bytes": inspection.size,
                "versions": dict(inspection.versions),
                "counts": dict(inspection.counts),
                "findings": finding_records(inspection.findings),
            }
        )
    headers = [_("Component"), _("Kind"), _("Size"), _("Versions"), _("State")]
    rows = [_row(member, inspection) for member, inspection in found]
    output.table(headers, rows, right=[2])
    for member, inspection in found:
        tell_findings(member.name, inspection.findings, output)


def _row(member: Member, inspection: Inspection) -> list[str]:
    size = show_bytes(inspection.size) if inspection.size is not None else ""
    versions = ", ".join(f"{name} {version}" for name, version in inspection.versions.items())
    return [member.name, member.component.kind, size, versions, _state(inspection)]


def _state(inspection: Inspection) -> str:
    if has_failure(inspection.findings):
        return _("would fail")
    return _("see below") if inspection.findings else _("ready")
