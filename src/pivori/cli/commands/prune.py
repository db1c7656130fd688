"""``pivori prune``: free the space that no snapshot needs.

With ``--json``: one ``prune`` object with ``dry_run``, the figures of :class:`PruneFigures` (``blobs_…``, ``bytes_…``,
``packs_…``, ``snapshots``) and ``retained_packs``, the names of damaged packs that had to stay. The exit status is 1
when there are any.
"""

import click

from pivori.app import Access
from pivori.cli.failures import DONE, ERROR
from pivori.cli.options import repository_command
from pivori.cli.prune_display import limits_from, prune_options, prune_record, run_prune
from pivori.cli.session import Session
from pivori.translation import _


@repository_command(
    help=_(
        "Free the space that no snapshot needs.\n\n"
        "What is needed is copied out of packs that hold much waste, then these packs go. If any snapshot, folder or "
        "index cannot be read, nothing is removed. Nobody else may work on the repository meanwhile. An interruption "
        "loses nothing; the next prune goes on."
    ),
    examples=[
        ("pivori prune --dry-run", _("what would be freed")),
        ("pivori prune --max-unused 0", _("free everything, whatever has to be written anew")),
        ("pivori prune --max-repack-size 2G", _("a bounded step")),
    ],
)
@prune_options
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be done."))
def command(session: Session, max_unused: str, max_repack_size: str | None, dry_run: bool) -> int:
    """Plan, show, apply."""
    limits = limits_from(max_unused, max_repack_size)
    # A plan is only true while nobody writes; without a lock it is an estimate, which the user asked for.
    access = Access.READ if dry_run and not session.settings.lock else Access.CHANGE
    with session.app.open_repository(access) as (repository, lock):
        plan, outcome = run_prune(session, repository, lock, limits, dry_run=dry_run)
    session.output.record({"message_type": "prune", "dry_run": dry_run, **prune_record(plan, outcome)})
    return ERROR if outcome is not None and outcome.retained else DONE
