"""``--rebuild`` of ``restore`` and ``archive restore``: how rebuilding what was left out is planned, run and told."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pivori.cli.failures import fill
from pivori.cli.output import Output
from pivori.cli.strategy import show_command
from pivori.cli.wording import show_number, show_path
from pivori.engine.smart.rebuild import Step, StepOutcome, StepState, check_step, rebuild
from pivori.translation import N_, Phrase, _, ngettext

_WORDS = {
    StepState.PLANNED: N_("rebuild"),
    StepState.DONE: N_("rebuilt"),
    StepState.FAILED: N_("failed"),
    StepState.SKIPPED: N_("skipped"),
    StepState.REFUSED: N_("refused"),
}
_WARNINGS = {StepState.FAILED: "rebuild-failed", StepState.REFUSED: "rebuild-refused"}


def hint_at_rebuilding(steps: Sequence[Step], output: Output) -> None:
    """Say that there is something to rebuild, when nobody asked for it."""
    if steps:
        output.say(
            ngettext(
                "{count} item was left out of this backup, because it can be made again: --rebuild does it.",
                "{count} items were left out of this backup, because they can be made again: --rebuild does it.",
                len(steps),
            ).format(count=show_number(len(steps)))
        )


def show_rebuilding(steps: Sequence[Step], target_of: Callable[[Step], Path], output: Output) -> None:
    """Say what would be run, and what would not, without running anything; the files are still to be restored.

    ``target_of`` tells in which folder what a step makes again could be already.
    """
    found = [check_step(step, bytes(target_of(step)), restored=False) for step in steps]
    _conclude([_tell(outcome, output) for outcome in found], output)


def run_rebuilding(
    steps: Sequence[Step], target: Path, documents: Mapping[bytes, bytes], output: Output
) -> list[StepOutcome]:
    """Rebuild, step by step; what came of each."""

    def starting(_step: Step, command: tuple[str, ...]) -> None:
        output.say("$ " + show_command(command))

    outcomes = [_tell(outcome, output) for outcome in rebuild(steps, bytes(target), documents, starting=starting)]
    _conclude(outcomes, output)
    return outcomes


def _tell(outcome: StepOutcome, output: Output) -> StepOutcome:
    step = outcome.step
    reason = outcome.reason
    shown = fill(reason.template, reason.details) if isinstance(reason, Phrase) else _(reason) if reason else ""
    output.record(
        {
            "message_type": "rebuild",
            "path": step.path,
            "rule": step.rule,
            "directory": step.directory,
            "commands": [list(command) for command in step.commands],
            "state": outcome.state.value,
            "reason": str(reason),
            "output": outcome.output,
        }
    )
    line = f"{_(_WORDS[outcome.state])} {show_path(step.path)}"
    line = f"{line}: {shown}" if shown else line
    if outcome.is_trouble:
        output.warn(line, name=_WARNINGS[outcome.state], path=step.path)
    else:
        output.result(line)
    if outcome.state in (StepState.PLANNED, StepState.REFUSED):
        for command in step.commands:
            output.result("    $ " + show_command(command))
    if outcome.output:
        output.result(f"    {outcome.output}")
    return outcome


def _conclude(outcomes: Iterable[StepOutcome], output: Output) -> None:
    counts = Counter(outcome.state for outcome in outcomes)
    output.record({"message_type": "rebuild_summary", **{state.value: counts[state] for state in StepState}})
    if not counts:
        output.say(_("Nothing was left out of this backup, so there is nothing to rebuild."))
