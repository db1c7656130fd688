"""``pivori archive list``: the archives in a directory, with their age and what is known of them.

With ``--json``: one array of objects, the oldest first: ``path``, ``strategy``, ``format``, ``envelope``, ``time``,
``size``, ``checksum`` (whether there is a checksum file), ``old`` (made by the script before this program), ``verdict``
(``ok``, ``incomplete``, ``failed`` or null) and ``verified`` (when, or null).
"""

from datetime import UTC, datetime

import click

from pivori.cli.archive_options import directory_of, history_of
from pivori.cli.options import repository_command
from pivori.cli.output import Cell
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_time
from pivori.engine.archive.history import Outcome
from pivori.engine.archive.inventory import Listed, list_archives
from pivori.translation import N_, _

_VERDICTS = {
    Outcome.OK: N_("whole"),
    Outcome.INCOMPLETE: N_("whole, with gaps"),
    Outcome.FAILED: N_("damaged"),
}


@repository_command(
    name="list",
    help=_(
        "List the archives in a directory.\n\n"
        "Names and the history of this machine tell; no archive is opened. `pivori archive verify` looks inside."
    ),
    examples=[("pivori archive list", _("those in /backups, or where PIVORI_BACKUP_DIR says"))],
)
@click.argument("directory", metavar=_("[DIRECTORY]"), required=False)
@click.option("-a", "--all", "everything", is_flag=True, help=_("Also archives with names of other people's choice."))
def command(session: Session, directory: str | None, everything: bool) -> None:
    """List them."""
    place = directory_of(session, directory)
    found = list_archives(place, history_of(session).runs(), everything=everything)
    output = session.output
    output.record([_record(each) for each in found])
    if not found:
        output.say(_("There is no archive in {directory}.").format(directory=place))
        return
    now = session.clock.now()
    rows = [_row(each, now) for each in found]
    output.table([_("Name"), _("Strategy"), _("Time"), _("Age"), _("Size"), _("State")], rows, right={3, 4})


def archive_time(listed: Listed) -> datetime:
    """When an archive was made, as its name says, or its file."""
    return (listed.name.time if listed.name is not None else datetime.fromtimestamp(listed.modified, UTC)).astimezone()


def verdict_word(listed: Listed) -> str:
    """What is known of an archive, in a word."""
    if listed.verdict is None:
        return _("not verified")
    return _(_VERDICTS[listed.verdict.outcome])


def _row(listed: Listed, now: datetime) -> list[Cell]:
    made = archive_time(listed)
    age = show_duration(max(0.0, (now - made).total_seconds()))
    strategy = listed.name.strategy if listed.name is not None else ""
    return [listed.path.name, strategy, show_time(made), age, show_bytes(listed.size), verdict_word(listed)]


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
