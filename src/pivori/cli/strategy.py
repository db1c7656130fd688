"""``--strategy``, ``--base`` and ``--explain``: what they mean to ``backup``, and how their results are told."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pivori.cli.damage import Damage
from pivori.cli.failures import fill
from pivori.cli.output import Output
from pivori.cli.wording import show_bytes, show_number, show_path
from pivori.engine.compare import Change, Comparison
from pivori.engine.relative import BASE_TAG, STRATEGY_TAG
from pivori.engine.strategies import STRATEGIES, Strategy, StrategyName
from pivori.repository import LoadedSnapshot, Repository
from pivori.translation import _, ngettext

if TYPE_CHECKING:
    from pivori.engine.smart import Decision, SmartPlan


def strategy_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``backup`` its options about the strategy."""
    for option in (
        click.option(
            "--explain",
            is_flag=True,
            help=_("Only say what the strategy would leave out and what it keeps, and why; back up nothing."),
        ),
        click.option(
            "--base", metavar=_("SNAPSHOT"), help=_("What a differential one is relative to [the last complete one].")
        ),
        click.option(
            "-s",
            "--strategy",
            type=click.Choice([name.value for name in StrategyName]),
            help=_(
                "complete: everything, read again. smart: without what is proven to be rebuildable. compressed: as "
                "small as can be. differential: reports what differs from the last complete one."
            ),
        ),
    ):
        function = option(function)
    return function


def chosen(strategy: str | None) -> Strategy | None:
    """The strategy of this name; None when none was asked for."""
    return STRATEGIES[StrategyName(strategy)] if strategy is not None else None


def check_combination(strategy: Strategy | None, base: str | None, *, is_stream: bool) -> None:
    """Raises UsageError for options that do not go together."""
    if base is not None and (strategy is None or not strategy.is_relative):
        raise click.UsageError(_("--base goes with --strategy differential."))
    if is_stream and strategy is not None and (strategy.is_relative or strategy.omits_rebuildable):
        raise click.UsageError(_("What a command prints is stored whole: take the strategy complete or compressed."))


def tags_of(strategy: Strategy | None, base: LoadedSnapshot | None) -> list[str]:
    """The tags by which a snapshot says how it was made."""
    tags = [f"{STRATEGY_TAG}{strategy.name}"] if strategy is not None else []
    return tags if base is None else [*tags, f"{BASE_TAG}{base.id}"]


# --explain


def explain(plan: "SmartPlan | None", output: Output, *, root: bytes | None = None) -> None:
    """Say what is left out and what is kept, and why; None is a strategy that leaves nothing out.

    Paths are told as seen from ``root``, otherwise whole.
    """
    decisions = plan.decisions if plan is not None else []
    if root is not None:
        decisions = [replace(decision, path=os.path.relpath(decision.path, root)) for decision in decisions]
    for decision in decisions:
        output.record(decision_record(decision))
        _show(decision, output)
    omitted = [decision for decision in decisions if decision.is_omitted]
    output.record({"message_type": "summary", "explain": True, **omission_record(decisions)})
    if plan is None:
        output.result(_("Nothing is left out. The strategy that leaves out what can be made again is: smart."))
        return
    output.result(
        _("To be left out: {omitted} ({size}); looked at and kept: {kept}.").format(
            omitted=show_number(len(omitted)),
            size=show_bytes(sum(decision.size for decision in omitted)),
            kept=show_number(len(decisions) - len(omitted)),
        )
    )


def decision_record(decision: "Decision") -> dict[str, object]:
    """A decision for programs."""
    return {
        "message_type": "decision",
        "path": decision.path,
        "omitted": decision.is_omitted,
        "rule": decision.rule.value,
        "reason": str(decision.reason),
        "bytes": decision.size,
        "files": decision.files,
        "rebuild": [list(command) for command in decision.rebuild],
    }


def omission_record(decisions: "Sequence[Decision]") -> dict[str, object]:
    """The sums of the decisions, for programs."""
    omitted = [decision for decision in decisions if decision.is_omitted]
    return {
        "omitted": len(omitted),
        "omitted_bytes": sum(decision.size for decision in omitted),
        "omitted_files": sum(decision.files for decision in omitted),
        "kept": len(decisions) - len(omitted),
    }


def tell_omissions(plan: "SmartPlan", output: Output) -> None:
    """Say in a line what a backup left out."""
    omitted = plan.omitted
    output.say(
        ngettext(
            "Left out {count} item that can be made again ({size}); --explain says which, and why.",
            "Left out {count} items that can be made again ({size}); --explain says which, and why.",
            len(omitted),
        ).format(count=show_number(len(omitted)), size=show_bytes(sum(decision.size for decision in omitted)))
    )


def _show(decision: "Decision", output: Output) -> None:
    verdict = _("leave out") if decision.is_omitted else _("keep")
    output.result(
        _("{verdict} {path} ({size})").format(
            verdict=verdict, path=show_path(decision.path), size=show_bytes(decision.size)
        )
    )
    reason = fill(decision.reason.template, decision.reason.details)
    output.result(f"    {decision.rule.value}: {reason}")
    for command in decision.rebuild:
        output.result("    $ " + show_command(command))


def show_command(command: Sequence[str]) -> str:
    """A command as a person would type it."""
    import shlex

    return show_path(os.fsencode(shlex.join(command)))


# The report of a differential backup


def tell_difference(repository: Repository, base: LoadedSnapshot, tree: str, output: Output) -> None:
    """Say what differs from the base: how many files, and with ``--verbose`` which."""
    damage = Damage(output)
    counts: Counter[str] = Counter()
    for change in Comparison(repository, base.snapshot.tree, tree, on_damage=damage.of_path).changes():
        if not change.is_directory:
            counts[_kind(change)] += 1
        if output.verbose:
            path = change.path + b"/" if change.is_directory else change.path
            output.record({"message_type": "change", "path": path, "modifier": change.modifier})
            output.detail(f"{change.modifier:<4} {show_path(path)}")
    output.record(
        {
            "message_type": "difference",
            "base": base.id,
            "new": counts["new"],
            "changed": counts["changed"],
            "removed": counts["removed"],
        }
    )
    output.say(
        _("Since snapshot {id}: new {new}, changed {changed}, removed {removed}.").format(
            id=base.id[:8],
            new=show_number(counts["new"]),
            changed=show_number(counts["changed"]),
            removed=show_number(counts["removed"]),
        )
    )


def _kind(change: Change) -> str:
    return {"+": "new", "-": "removed"}.get(change.modifier, "changed")
