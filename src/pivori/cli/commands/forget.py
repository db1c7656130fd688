"""``pivori forget``: remove snapshots that a policy no longer keeps, or those that are named.

With ``--json``: one ``forget`` object with ``dry_run``, ``groups``, ``removed`` (the ids) and ``prune`` (the fields of
``pivori prune --json``, or null). A group has restic's ``host``, ``paths``, ``tags``, ``keep`` and ``remove`` (snapshot
objects as ``pivori snapshots --json`` writes them) and ``reasons``: for each kept snapshot its ``id``, the rules that
``matches`` it and the ``counters`` of what each rule may still keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from pivori.app import Access
from pivori.cli.failures import DONE, ERROR, UsageError, fill
from pivori.cli.keep_options import keep_options, policy_from
from pivori.cli.node_display import show_moment
from pivori.cli.options import repository_command
from pivori.cli.output import Cell, Output
from pivori.cli.prune_display import limits_from, prune_options, prune_record, run_prune
from pivori.cli.session import Session
from pivori.cli.snapshot_options import (
    SnapshotFilters,
    filtered_snapshots,
    named_or_filtered,
    short_id,
    snapshot_filters,
    warn_of_damage,
)
from pivori.cli.snapshot_record import snapshot_record
from pivori.cli.wording import show_number
from pivori.clock import Clock
from pivori.engine.forget import apply_forget, facts
from pivori.engine.forget_plan import ForgetPlan, GroupPlan, group, parse_grouping, plan_forget, plan_removal
from pivori.engine.retention import Policy
from pivori.repository import LoadedSnapshot, Repository
from pivori.translation import N_, _, ngettext


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said, but for the policy."""

    names: tuple[str, ...]
    group_by: str
    allow_empty: bool
    prune: bool
    dry_run: bool
    max_unused: str
    max_repack_size: str | None


@repository_command(
    help=_(
        "Remove snapshots that a policy no longer keeps, or those that are named.\n\n"
        "The rules look at the snapshots of each host and set of paths on their own (see --group-by), the newest "
        "first. The last snapshot of a group is never removed, unless you say --allow-empty. The space is freed by "
        "`pivori prune`, or at once with --prune."
    ),
    examples=[
        ("pivori forget --keep-daily 7 --keep-weekly 5 --dry-run", _("what such a policy keeps, and why")),
        ("pivori forget --keep-within 30d --keep-monthly 12 --prune", _("all of a month, then one a month")),
        ("pivori forget 1a2b3c4d", _("one snapshot")),
    ],
)
@click.argument("names", metavar=_("[SNAPSHOT]…"), nargs=-1)
@keep_options
@click.option(
    "-g",
    "--group-by",
    metavar=_("WHAT"),
    default="host,paths",
    show_default=True,
    help=_("What the snapshots of a group have in common: host, paths, tags, or nothing for one single group."),
)
@click.option("--allow-empty", is_flag=True, help=_("Let a group lose its last snapshot."))
@click.option("--prune", is_flag=True, help=_("Free the space afterwards."))
@prune_options
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be done."))
@snapshot_filters
def command(session: Session, /, filters: SnapshotFilters, **parameters: Any) -> int:
    """Plan, show, apply; then prune, when asked."""
    policy = policy_from(parameters)
    options = Options(**parameters)
    if options.names and policy:
        reason = _("Name the snapshots to remove, or give rules of what to keep, but not both.")
        raise UsageError(reason=reason, command="pivori forget")
    limits = limits_from(options.max_unused, options.max_repack_size)
    access = Access.READ if options.dry_run and not session.settings.lock else Access.CHANGE
    with session.app.open_repository(access, index=options.prune) as (repository, lock):
        plan, known = _plan(repository, options, policy, filters, session.clock, session.output)
        _show(plan, session.output)
        check = (lambda: None) if lock is None else lock.check
        doomed = [snapshot.id for snapshot in plan.remove]
        removed = [] if options.dry_run else apply_forget(repository, plan, before_write=check)
        _conclude(len(doomed), options.dry_run, session.output)
        pruned = None
        if options.prune:
            pruned = run_prune(session, repository, lock, limits, dry_run=options.dry_run, ignore=doomed)
    session.output.record(
        {
            "message_type": "forget",
            "dry_run": options.dry_run,
            "groups": [_group_record(each, known) for each in plan.groups],
            "removed": removed,
            "prune": prune_record(*pruned) if pruned else None,
        }
    )
    return ERROR if pruned and pruned[1] is not None and pruned[1].retained else DONE


def _plan(
    repository: Repository,
    options: Options,
    policy: Policy,
    filters: SnapshotFilters,
    clock: Clock,
    output: Output,
) -> tuple[ForgetPlan, dict[str, LoadedSnapshot]]:
    """What goes; and the snapshots by their ids. A damaged snapshot is told, and left alone."""
    grouping = parse_grouping(options.group_by)
    if options.names:
        named = named_or_filtered(repository, options.names, filters)
        everything = repository.snapshots(on_damage=warn_of_damage(output))
        groups = group(facts(everything), grouping)
        plan = plan_removal(groups, {loaded.id for loaded in named}, allow_empty=options.allow_empty)
        return plan, {loaded.id: loaded for loaded in everything}
    found = filtered_snapshots(repository, filters, on_damage=warn_of_damage(output))
    groups = group(facts(found), grouping)
    plan = plan_forget(groups, policy, now_ns=clock.now_ns(), allow_empty=options.allow_empty)
    return plan, {loaded.id: loaded for loaded in found}


def _show(plan: ForgetPlan, output: Output) -> None:
    """The groups as restic shows them: what stays and why, what goes."""
    for each in plan.groups:
        title = each.key.title
        if title is not None:
            output.result(fill(N_("Snapshots of {group}:"), {"group": title}))
        rows: list[Sequence[Cell]] = []
        for kept in each.keep:
            reasons = _("; ").join(fill(reason.message, reason.details) for reason in kept.reasons)
            rows.append(_row(_("keep"), kept.snapshot.id, kept.snapshot.moment.ns, kept.snapshot.tags, reasons))
        for snapshot in each.remove:
            rows.append(_row(_("remove"), snapshot.id, snapshot.moment.ns, snapshot.tags, ""))
        output.table(["", _("Id"), _("Time"), _("Tags"), _("Reasons")], rows)
        output.result("")


def _row(action: str, name: str, moment_ns: int, tags: Sequence[str], reasons: str) -> Sequence[Cell]:
    return [action, short_id(name), show_moment(moment_ns), ", ".join(tags), reasons]


def _conclude(count: int, dry_run: bool, output: Output) -> None:
    if dry_run:
        text = ngettext("{count} snapshot would be removed.", "{count} snapshots would be removed.", count)
    else:
        text = ngettext("{count} snapshot removed.", "{count} snapshots removed.", count)
    output.result(text.format(count=show_number(count)))


def _group_record(plan: GroupPlan, known: Mapping[str, LoadedSnapshot]) -> dict[str, object]:
    return {
        "host": plan.key.host,
        "paths": plan.key.paths,
        "tags": plan.key.tags,
        "keep": [snapshot_record(known[kept.snapshot.id]) for kept in plan.keep],
        "remove": [snapshot_record(known[snapshot.id]) for snapshot in plan.remove],
        "reasons": [
            {"id": kept.snapshot.id, "matches": [str(reason) for reason in kept.reasons], "counters": kept.counters}
            for kept in plan.keep
        ],
    }
