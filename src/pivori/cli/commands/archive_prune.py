"""``pivori archive prune``: remove archives that no rule keeps.

With ``--json``: one ``fate`` object for each archive, the newest first (``archive``, ``time``, ``strategy``, ``size``,
``stays``, ``reasons``), then one ``summary`` (``dry_run``, ``kept``, ``removed``, ``bytes``, ``failed``).
"""

from collections.abc import Sequence
from typing import Any

import click

from pivori.cli.archive_options import ArchiveKeys, archive_key_options, directory_of, directory_option, history_of
from pivori.cli.consent import require_consent
from pivori.cli.failures import DONE, ERROR, fill
from pivori.cli.keep_options import keep_options, policy_from
from pivori.cli.options import repository_command
from pivori.cli.output import Cell
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_number
from pivori.engine.archive.prune_facts import prune_facts
from pivori.engine.archive.pruning import Fate, PruneRules, plan_prune, remove_archive
from pivori.engine.durations import Duration, Moment
from pivori.translation import N_, _, ngettext


@repository_command(
    name="prune",
    help=_(
        "Remove archives that no rule keeps.\n\n"
        "The rules look at each root and strategy on their own. Never removed are the base of a differential archive "
        "that stays, of each root the newest complete archive and the newest that is known to be whole, and whatever "
        "this program did not write."
    ),
    examples=[
        ("pivori archive prune --older-than 30d --dry-run", _("what would go, and why the rest stays")),
        ("pivori archive prune --keep-daily 7 --keep-weekly 5", _("by rules")),
    ],
)
@directory_option
@keep_options
@click.option("--older-than", metavar=_("AGE"), help=_("Keep what is younger: 30d, 6m, or a number of days."))
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be done."))
@click.option("--ask/--yes", help=_("Ask before anything is removed."))
@archive_key_options
def command(session: Session, /, keys: ArchiveKeys, directory: str | None, **parameters: Any) -> int:
    """Plan, show, apply."""
    older_than, dry_run, ask = (parameters.pop(name) for name in ("older_than", "dry_run", "ask"))
    rules = PruneRules(policy=policy_from(parameters), older_than_ns=_moment(session, older_than))
    place = directory_of(session, directory)
    facts = prune_facts(place, history_of(session).runs(), keys.keys())
    fates = plan_prune(facts, rules, now_ns=session.clock.now_ns())
    _show(session, fates)
    if ask and not dry_run and not all(fate.stays for fate in fates):
        require_consent(session, _("Remove these archives?"))
    removed = size = failed = 0
    for fate in fates:
        if fate.stays:
            continue
        if not dry_run:
            try:
                remove_archive(fate.archive.path)
            except OSError as error:
                failed += 1
                facts_of_it = {"path": fate.archive.path, "reason": error.strerror or str(error)}
                session.output.warn(
                    fill(N_("{path} could not be removed: {reason}."), facts_of_it), name="not-removed", **facts_of_it
                )
                continue
        removed += 1
        size += fate.archive.size
    session.output.record(
        {
            "message_type": "summary",
            "dry_run": dry_run,
            "kept": sum(fate.stays for fate in fates),
            "removed": removed,
            "bytes": size,
            "failed": failed,
        }
    )
    _conclude(session, removed, size, dry_run=dry_run)
    return ERROR if failed else DONE


def _moment(session: Session, text: str | None) -> int | None:
    """The moment before which an archive is old enough. Raises BadDuration."""
    if text is None:
        return None
    span = Duration.parse(f"{text}d" if text.isdigit() else text)
    return Moment.parse(session.clock.now().isoformat()).before(span)


def _show(session: Session, fates: Sequence[Fate]) -> None:
    output = session.output
    rows: list[list[Cell]] = []
    for fate in fates:
        archive = fate.archive
        reasons = [fill(reason.message, reason.details) for reason in fate.reasons]
        output.record(
            {
                "message_type": "fate",
                "archive": archive.path,
                "time": archive.time,
                "strategy": archive.strategy,
                "size": archive.size,
                "stays": fate.stays,
                "reasons": reasons,
            }
        )
        word = _("keep") if fate.stays else _("remove")
        rows.append([word, archive.path.name, show_bytes(archive.size), _("; ").join(reasons)])
    if rows:
        output.table(["", _("Name"), _("Size"), _("Reasons")], rows, right={2})


def _conclude(session: Session, removed: int, size: int, *, dry_run: bool) -> None:
    if dry_run:
        text = ngettext(
            "{count} archive would be removed ({size}).", "{count} archives would be removed ({size}).", removed
        )
    else:
        text = ngettext("{count} archive removed ({size}).", "{count} archives removed ({size}).", removed)
    session.output.result(text.format(count=show_number(removed), size=show_bytes(size)))
