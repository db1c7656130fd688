"""How ``backup`` tells at its end what came of it."""

from typing import TYPE_CHECKING

import msgspec

from pivori.cli.output import Output
from pivori.cli.strategy import omission_record, tell_omissions
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.engine.backup import BackupOutcome
from pivori.translation import _, ngettext

if TYPE_CHECKING:
    from pivori.engine.smart import SmartPlan


def tell_outcome(
    outcome: BackupOutcome,
    seconds: float,
    output: Output,
    *,
    dry_run: bool,
    strategy: str | None,
    plan: "SmartPlan | None",
) -> None:
    """Say what came of a backup; ``plan`` is what it left out."""
    summary = outcome.summary
    output.record(
        {
            "message_type": "summary",
            "dry_run": dry_run,
            **msgspec.to_builtins(summary),
            "total_duration": round(seconds, 3),
            "snapshot_id": outcome.snapshot_id,
            "parent": outcome.parent,
            "errors": outcome.failures,
            "strategy": strategy,
            **(omission_record(plan.decisions) if plan is not None else {}),
        }
    )
    files = summary.total_files_processed
    output.say(
        ngettext("{count} file, {size}, in {duration}.", "{count} files, {size}, in {duration}.", files).format(
            count=show_number(files), size=show_bytes(summary.total_bytes_processed), duration=show_duration(seconds)
        )
    )
    output.say(
        _(
            "New: {new}; changed: {changed}; unchanged: {unchanged}. Stored: {added} ({packed} after compression)."
        ).format(
            new=show_number(summary.files_new),
            changed=show_number(summary.files_changed),
            unchanged=show_number(summary.files_unmodified),
            added=show_bytes(summary.data_added),
            packed=show_bytes(summary.data_added_packed),
        )
    )
    if plan is not None:
        tell_omissions(plan, output)
    if outcome.failures:
        _warn_of_failures(outcome.failures, output)
    if outcome.snapshot_id is not None:
        output.say(_("Snapshot {id} saved.").format(id=outcome.snapshot_id[:8]))
    elif outcome.skipped:
        output.say(_("Nothing changed, so no snapshot was made."))
    else:
        output.say(_("This was a rehearsal: nothing was stored."))


def _warn_of_failures(count: int, output: Output) -> None:
    output.warn(
        ngettext(
            "{count} path could not be read and is not in the snapshot.",
            "{count} paths could not be read and are not in the snapshot.",
            count,
        ).format(count=show_number(count)),
        name="incomplete",
        count=count,
    )
