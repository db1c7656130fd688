"""How a recovery is told: its plan, its steps, and what came of it."""

from pathlib import Path

from pivori.cli.output import Output
from pivori.cli.stack_wording import (
    capture_record,
    finding_records,
    said,
    show_apart,
    show_moment,
    show_size,
    tell_findings,
)
from pivori.cli.wording import show_bytes, show_duration, show_path
from pivori.stack.recover import Recovered, StepBegan, StepDone
from pivori.stack.recovery_log import Move
from pivori.stack.recovery_plan import RecoveryPlan, RecoveryStep
from pivori.translation import _


def show_plan(plan: RecoveryPlan, output: Output) -> None:
    """Say what a recovery will do, and what keeps it from being done."""
    output.record(
        {
            "message_type": "plan",
            "stack": plan.stack.name,
            "to": str(plan.to) if plan.to is not None else None,
            "steps": [_step_record(step) for step in plan.steps],
            "apart_seconds": plan.spread,
            "lacking": sorted(plan.lacking),
            "findings": finding_records(plan.findings),
            "expected_seconds": plan.seconds,
            "resumed": plan.is_resumed,
        }
    )
    if not output.quiet:
        _show_head(plan, output)
        for number, step in enumerate(plan.steps, 1):
            _show_step(number, step, output)
        output.result(show_apart(plan.spread))
        if plan.seconds is not None:
            output.result(
                _("Expected to take about {duration}.").format(duration=show_duration(plan.seconds, whole=True))
            )
        else:
            output.result(_("How long it takes is not known yet: this was never done on this machine."))
    for name, error in plan.lacking.items():
        output.warn(said(str(error)), name=error.code, component=name)
    for step in plan.steps:
        tell_findings(step.name, step.plan.findings, output)
    tell_findings(plan.stack.name, plan.findings, output)


def _show_head(plan: RecoveryPlan, output: Output) -> None:
    if plan.to is None:
        output.result(_("Recovery of the stack {stack}, in place:").format(stack=plan.stack.name))
    else:
        text = _("Recovery of the stack {stack} into {path}:")
        output.result(text.format(stack=plan.stack.name, path=show_path(bytes(plan.to))))
    if plan.is_resumed:
        output.result(_("It was interrupted; what is done is not done again."))


def _show_step(number: int, step: RecoveryStep, output: Output) -> None:
    record = step.choice.capture.record
    text = _("{number}. {component} ({kind}): {size}, as of {moment}")
    line = text.format(
        number=number,
        component=step.name,
        kind=step.member.component.kind,
        size=show_size(record.file_count, record.size),
        moment=show_moment(step.choice.moment_ns),
    )
    if step.is_done:
        line = _("{line}; done already").format(line=line)
    elif step.seconds is not None:
        line = _("{line}; about {duration}").format(line=line, duration=show_duration(step.seconds))
    output.result(line)
    for sentence in step.plan.steps:
        output.result(f"   - {said(sentence)}")
    for sentence in step.plan.replaces:
        output.result(_("   - replaced: {what}").format(what=said(sentence)))


def tell_step(event: StepBegan | StepDone, output: Output) -> None:
    """Say how far a recovery has come."""
    if isinstance(event, StepBegan):
        text = _("[{number}/{count}] {component} …")
        output.say(text.format(number=event.number, count=event.count, component=event.component))
        return
    restored = event.restored
    output.record(
        {
            "message_type": "recovered",
            "component": event.component,
            "bytes": restored.bytes,
            "seconds": round(event.seconds, 3),
            "checked": [said(text) for text in restored.checked],
            "remaining": [said(text) for text in restored.remaining],
        }
    )
    output.say(
        _("{component} is back: {size} in {duration}.").format(
            component=event.component, size=show_bytes(restored.bytes), duration=show_duration(event.seconds)
        )
    )
    for sentence in restored.checked:
        output.say(_("   checked: {what}").format(what=said(sentence)))


def tell_recovered(recovered: Recovered, plan: RecoveryPlan, output: Output) -> None:
    """Say what came of a recovery, and what is left to do."""
    output.record(
        {
            "message_type": "summary",
            "total_duration": round(recovered.seconds, 3),
            "components": list(recovered.restored),
            "moved_aside": [{"path": move.path, "aside": move.aside} for move in recovered.moves],
        }
    )
    for place in dict.fromkeys(map(_kept, recovered.moves)):
        output.say(_("Kept aside: {path}").format(path=show_path(bytes(place))))
    if recovered.configuration is not None:
        output.say(_("The configuration is back: {path}").format(path=show_path(bytes(recovered.configuration))))
    remaining = [(name, text) for name, restored in recovered.restored.items() for text in restored.remaining]
    if remaining:
        output.say(_("Left to do by hand:"))
        for name, text in remaining:
            output.say(f"   {name}: {said(text)}")
    output.say(
        _("The stack {stack} was recovered in {duration}.").format(
            stack=plan.stack.name, duration=show_duration(recovered.seconds)
        )
    )


def _kept(move: Move) -> Path:
    """Where to find what was moved aside: itself, or the folder that has all of it."""
    aside = Path(move.aside)
    return next((above for above in reversed(aside.parents) if ".aside-" in above.name), aside)


def _step_record(step: RecoveryStep) -> dict[str, object]:
    return {
        "component": step.name,
        "kind": step.member.component.kind,
        **capture_record(step.choice.capture),
        "steps": [said(text) for text in step.plan.steps],
        "replaces": [said(text) for text in step.plan.replaces],
        "findings": finding_records(step.plan.findings),
        "expected_seconds": step.seconds,
        "done": step.is_done,
    }
