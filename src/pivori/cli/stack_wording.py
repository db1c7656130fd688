"""How stacks are told: findings, components and their captures, the plan of a recovery."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pivori.cli.failures import fill
from pivori.cli.output import Output
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.components.base import Finding, Gravity
from pivori.stack.points import Capture
from pivori.translation import N_, Phrase, _, ngettext

_GRAVITIES = {Gravity.FAILURE: N_("failure"), Gravity.WARNING: N_("warning")}


def said(text: str) -> str:
    """A phrase of a component in the user's language; what is none stays as it is."""
    return fill(text.template, text.details) if isinstance(text, Phrase) else text


def show_moment(time_ns: int) -> str:
    """A moment in the zone of this machine: ``2026-11-28 08:00:02``."""
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000).astimezone():%Y-%m-%d %H:%M:%S}"


def show_size(files: int, size: int) -> str:
    """``3 files, 1.2 MiB``."""
    return ngettext("{count} file, {size}", "{count} files, {size}", files).format(
        count=show_number(files), size=show_bytes(size)
    )


def show_apart(seconds: float) -> str:
    """How far the captures of a recovery are apart."""
    if seconds < 1:
        return _("All captures are of one recovery point.")
    return _("The captures are up to {duration} apart.").format(duration=show_duration(seconds, whole=True))


def tell_findings(component: str, findings: Iterable[Finding], output: Output) -> None:
    """Say what was found about a component."""
    for finding in findings:
        facts = {"component": component, "gravity": finding.gravity.value, "reason": said(finding.message)}
        text = _("{component}: {reason}").format(**facts)
        if finding.hint is not None:
            text = f"{text} {said(finding.hint)}"
        output.warn(text, name="component-finding", **facts)


def finding_records(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """Findings for programs."""
    return [
        {
            "gravity": finding.gravity.value,
            "message": said(finding.message),
            "hint": said(finding.hint) if finding.hint is not None else "",
        }
        for finding in findings
    ]


def show_gravity(gravity: Gravity) -> str:
    """The word for how bad a finding is."""
    return _(_GRAVITIES[gravity])


def capture_record(capture: Capture) -> dict[str, object]:
    """A capture for programs."""
    return {
        "snapshot_id": capture.point.loaded.id,
        "time": capture.point.loaded.snapshot.time,
        "files": capture.record.file_count,
        "bytes": capture.record.size,
        "consistency": capture.report.consistency.value,
    }
