"""``pivori copy``: snapshots into a second repository.

With ``--json``: one ``copy`` object with ``dry_run``, ``copied`` (objects with ``source_id`` and ``id``), ``skipped``
and ``failed`` (ids in the first repository), ``data_blobs``, ``tree_blobs`` and ``bytes_added``. With ``--dry-run``,
``copied`` lacks the ids of the copies. The exit status is 1 when a snapshot could not be copied.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import click

from pivori.app import Access, App, Opened
from pivori.cli.failures import DONE, ERROR
from pivori.cli.notices import tell_damage
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, named_or_filtered, short_id, snapshot_filters, warn_of_damage
from pivori.cli.snapshot_record import snapshot_title
from pivori.cli.wording import show_bytes, show_number
from pivori.engine.copy import Copy, CopyOutcome, CopyPlan, plan_copy
from pivori.events import DamageFound, Event
from pivori.repository import Compression
from pivori.repository.locks import Lock
from pivori.settings.credentials import NoPassword, NoSecondPassword
from pivori.translation import _, ngettext


@repository_command(
    help=_(
        "Copy snapshots to a second repository.\n\n"
        "Both repositories keep their own keys. What the second one has already is not copied again, so an "
        "interrupted copy goes on where it was. Without SNAPSHOT, all that pass the filters are copied. The second "
        "repository has to exist: make it with `pivori init`. Without --to-password-file and --to-password-command "
        "its password is taken from the environment, or asked for."
    ),
    examples=[
        ("pivori copy --to /mnt/disk/backups --to-password-file ~/disk.key", _("everything, to a disk")),
        ("pivori copy latest --to /mnt/disk/backups", _("the last snapshot; asks for the password")),
    ],
)
@click.argument("names", metavar=_("[SNAPSHOT]…"), nargs=-1)
@click.option(
    "--to",
    required=True,
    metavar=_("PLACE"),
    type=click.Path(file_okay=False),
    help=_("The second repository: a folder or an address."),
)
@click.option(
    "--to-password-file",
    metavar=_("FILE"),
    type=click.Path(dir_okay=False),
    help=_("Read the second repository's password from a file."),
)
@click.option(
    "--to-password-command", metavar=_("COMMAND"), help=_("Take the second repository's password from a command.")
)
@click.option(
    "--compression",
    type=click.Choice([strength.value for strength in Compression]),
    default=Compression.AUTO.value,
    show_default=True,
    help=_("How hard to compress."),
)
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be copied."))
@snapshot_filters
def command(
    session: Session,
    names: tuple[str, ...],
    filters: SnapshotFilters,
    to: str,
    to_password_file: str | None,
    to_password_command: str | None,
    compression: str,
    dry_run: bool,
) -> int:
    """Plan, show, copy."""
    output = session.output
    choices = replace(
        session.choices, repository=to, password_file=to_password_file, password_command=to_password_command
    )
    second = session.app_for(choices)
    with (
        session.app.open_repository(Access.READ) as (source, _lock),
        _opened(second, Access.READ if dry_run else Access.APPEND) as (destination, lock),
    ):
        wanted = named_or_filtered(source, names, filters, on_damage=warn_of_damage(output))
        plan = plan_copy(wanted, destination.snapshots(on_damage=warn_of_damage(output)))
        with session.progress() as progress:

            def emit(event: Event) -> None:
                progress.update(event)
                if isinstance(event, DamageFound):
                    tell_damage(event.error, output)

            copy = Copy(
                source,
                destination,
                compression=Compression(compression),
                workers=session.app.processors,
                emit=emit,
                before_write=_before_write(lock),
            )
            outcome = None if dry_run else copy.run(plan.copy)
    _tell(plan, outcome, output)
    return ERROR if outcome is not None and outcome.failed else DONE


@contextmanager
def _opened(second: App, access: Access) -> Iterator[Opened]:
    """The second repository; where its password is missing, it is not the first one's that is asked for."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(second.open_repository(access))
        except NoPassword as error:
            raise NoSecondPassword(**error.details) from None
        yield opened


def _before_write(lock: Lock | None) -> Callable[[], None]:
    return (lambda: None) if lock is None else lock.check


def _tell(plan: CopyPlan, outcome: CopyOutcome | None, output: Output) -> None:
    for loaded in plan.skip:
        output.detail(_("There already: {snapshot}").format(snapshot=snapshot_title(loaded)))
    skipped = [loaded.id for loaded in plan.skip]
    if outcome is None:
        for loaded in plan.copy:
            output.result(_("Would copy {snapshot}").format(snapshot=snapshot_title(loaded)))
        copied: list[dict[str, str]] = [{"source_id": loaded.id} for loaded in plan.copy]
        output.record({"message_type": "copy", "dry_run": True, "copied": copied, "skipped": skipped, "failed": []})
        text = ngettext(
            "{count} snapshot would be copied, {skipped} there already.",
            "{count} snapshots would be copied, {skipped} there already.",
            len(copied),
        )
        output.say(text.format(count=show_number(len(copied)), skipped=show_number(len(skipped))))
        return
    output.record({"message_type": "copy", "dry_run": False, "skipped": skipped, **vars(outcome)})
    titles = {loaded.id: snapshot_title(loaded) for loaded in plan.copy}
    for each in outcome.copied:
        output.say(_("Copied {snapshot}, as {id}").format(snapshot=titles[each.source_id], id=short_id(each.id)))
    for name in outcome.failed:
        output.warn(
            _("Not copied, because it is damaged: {snapshot}").format(snapshot=titles[name]),
            name="snapshot-not-copied",
            snapshot=name,
        )
    count = len(outcome.copied)
    text = ngettext(
        "{count} snapshot copied ({size}), {skipped} there already.",
        "{count} snapshots copied ({size}), {skipped} there already.",
        count,
    )
    size, there = show_bytes(outcome.bytes_added), show_number(len(skipped))
    output.say(text.format(count=show_number(count), size=size, skipped=there))
