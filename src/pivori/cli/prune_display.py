"""A prune for people and programs, used by ``prune`` and ``forget --prune``; and the options both have."""

from collections.abc import Callable, Collection
from typing import Any

import click

from pivori.cli.notices import tell_damage
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_number
from pivori.engine.quantities import Percent, parse_limit, parse_size
from pivori.events import DamageFound, Event
from pivori.repository import Repository
from pivori.repository.locks import Lock
from pivori.repository.prune import PruneFigures, PruneOutcome, PrunePlan, apply_prune, plan_prune
from pivori.repository.prune_plan import PruneLimits
from pivori.translation import _, ngettext

_MAX_UNUSED = "5%"


def prune_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--max-unused`` and ``--max-repack-size``."""
    unused = click.option(
        "--max-unused",
        metavar=_("LIMIT"),
        default=_MAX_UNUSED,
        show_default=True,
        help=_("Leave so much waste where it is: 5% of what stays, 2G, 0, or unlimited."),
    )
    repack = click.option(
        "--max-repack-size", metavar=_("SIZE"), help=_("Write at most so much anew; the rest waits, as in 2G.")
    )
    return unused(repack(function))


def limits_from(max_unused: str, max_repack_size: str | None) -> PruneLimits:
    """What the options mean. Raises BadLimit and BadSize."""
    unused = parse_limit(max_unused)
    return PruneLimits(
        max_unused_share=unused.value / 100 if isinstance(unused, Percent) else None,
        max_unused_bytes=None if unused is None or isinstance(unused, Percent) else unused.bytes,
        max_repack=None if max_repack_size is None else parse_size(max_repack_size),
    )


def run_prune(
    session: Session,
    repository: Repository,
    lock: Lock | None,
    limits: PruneLimits,
    *,
    dry_run: bool,
    ignore: Collection[str] = (),
) -> tuple[PrunePlan, PruneOutcome | None]:
    """Plan, show the plan, and apply it unless it is a rehearsal. ``ignore``: snapshots that count as gone."""
    output = session.output

    with session.progress() as progress:

        def emit(event: Event) -> None:
            progress.update(event)
            if isinstance(event, DamageFound):
                tell_damage(event.error, output)

        plan = plan_prune(repository, limits, ignore=ignore, emit=emit)
        show_plan(plan.figures, output)
        if dry_run:
            output.say(_("This was a rehearsal: nothing was removed."))
            return plan, None
        outcome = apply_prune(repository, plan, emit=emit, before_write=(lambda: None) if lock is None else lock.check)
    _show_outcome(plan.figures, outcome, output)
    return plan, outcome


def prune_record(plan: PrunePlan, outcome: PruneOutcome | None) -> dict[str, object]:
    """The figures as fields of a JSON object: see :class:`PruneFigures`."""
    figures = plan.figures
    return {
        **vars(figures),
        "blobs_removed": figures.blobs_removed,
        "bytes_removed": figures.bytes_removed,
        "retained_packs": outcome.retained if outcome else (),
    }


def show_plan(figures: PruneFigures, output: Output) -> None:
    """What there is, and what will be done about it."""
    if output.quiet:
        return
    rows = [
        (_("needed"), figures.blobs_needed, show_bytes(figures.bytes_needed)),
        (_("stored twice"), figures.blobs_duplicate, show_bytes(figures.bytes_duplicate)),
        (_("not needed"), figures.blobs_unused, show_bytes(figures.bytes_unused)),
        (_("to be written anew"), figures.blobs_repacked, show_bytes(figures.bytes_repacked)),
        (_("to be removed"), figures.blobs_removed, show_bytes(figures.bytes_removed)),
        (_("remaining"), figures.blobs_remain, show_bytes(figures.bytes_remain)),
        (_("of it not needed"), None, show_bytes(figures.bytes_unused_remain)),
    ]
    output.table(["", _("Blobs"), _("Size")], rows, right={1, 2})
    text = _("Packs kept: {kept}; written anew: {repacked}; removed: {removed}; leftovers: {leftover} ({size}).")
    output.say(
        text.format(
            kept=show_number(figures.packs_kept),
            repacked=show_number(figures.packs_repacked),
            removed=show_number(figures.packs_removed),
            leftover=show_number(figures.packs_unindexed),
            size=show_bytes(figures.bytes_unindexed),
        )
    )


def _show_outcome(figures: PruneFigures, outcome: PruneOutcome, output: Output) -> None:
    freed = show_bytes(figures.bytes_removed + figures.bytes_unindexed)
    count = len(outcome.retained)
    if not count:
        output.say(_("Pruned: {size} freed.").format(size=freed))
        return
    text = ngettext(
        "{count} pack stays although it is damaged, as it holds the only copy of something: {packs}.",
        "{count} packs stay although they are damaged, as they hold the only copies of something: {packs}.",
        count,
    )
    output.warn(
        text.format(count=show_number(count), packs=", ".join(name[:8] for name in outcome.retained)),
        name="damaged-packs-kept",
        packs=outcome.retained,
    )
    output.say(_("Pruned, but for the damaged packs."))
