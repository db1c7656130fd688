"""``pivori archive list``: the archives in a directory, with their age and what is known of them.

With ``--json``: one array of objects, the oldest first: ``path``, ``strategy``, ``format``, ``envelope``, ``time``,
``size``, ``checksum`` (whether there is a checksum file), ``old`` (made by the script before this program), ``verdict``
(``ok``, ``incomplete``, ``failed`` or null) and ``verified`` (when, or null).
"""

from datetime import datetime

import click

from pivori.cli.archive_options import directory_of, directory_option, history_of
from pivori.cli.archive_wording import archive_age, archive_time, verdict_word
from pivori.cli.options import repository_command
from pivori.cli.output import Cell
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_time
from pivori.engine.archive.inventory import Listed, list_archives
from pivori.settings.resolve import ConflictingOptions
from pivori.translation import N_, Phrase, _


@repository_command(
    name="list",
    help=_(
        "List the archives in a directory.\n\n"
        "Names and the history of this machine tell; no archive is opened. `pivori archive verify` looks inside."
    ),
    examples=[("pivori archive list", _("those in /backups, or where PIVORI_BACKUP_DIR says"))],
)
@click.argument("place", metavar=_("[DIRECTORY]"), required=False)
@directory_option
@click.option("-a", "--all", "everything", is_flag=True, help=_("Also archives with names of other people's choice."))
def command(session: Session, place: str | None, directory: str | None, everything: bool) -> None:
    """List them."""
    if place is not None and directory is not None:
        raise ConflictingOptions(first=Phrase(N_("[DIRECTORY]")), second="--directory")
    folder = directory_of(session, place or directory)
    found = list_archives(folder, history_of(session).runs(), everything=everything)
    output = session.output
    output.record([_record(each) for each in found])
    if not found:
        output.say(_("There is no archive in {directory}.").format(directory=folder))
        return
    now = session.clock.now()
    rows = [_row(each, now) for each in found]
    output.table([_("Name"), _("Strategy"), _("Time"), _("Age"), _("Size"), _("State")], rows, right={3, 4})


def _row(listed: Listed, now: datetime) -> list[Cell]:
    made = archive_time(listed)
    strategy = listed.name.strategy if listed.name is not None else ""
    return [
        listed.path.name,
        strategy,
        show_time(made),
        archive_age(listed, now),
        show_bytes(listed.size),
        verdict_word(listed),
    ]


def _record(listed: Listed) -> dict[str, object]:
    name, verdict = listed.name, listed.verdict
    return {
        "path": listed.path,
        "strategy": name.strategy if name is not None else None,
        "format": name.format if name is not None else None,
        "envelope": name.envelope or None if name is not None else None,
        "time": archive_time(listed),
        "size": listed.size,
        "checksum": listed.has_checksum,
        "old": name is not None and name.is_old,
        "verdict": verdict.outcome if verdict is not None else None,
        "verified": verdict.time if verdict is not None else None,
    }
