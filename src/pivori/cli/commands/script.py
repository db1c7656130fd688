"""``pivori script``: the commands of ``scripts/backup/backup-scripts-expert.sh``, for crontabs and old habits.

With ``--json`` each writes what the command writes that it becomes: ``archive create``, ``restore``, ``verify`` or
``prune``.
"""

from datetime import datetime, time

import click

from pivori.cli.archive_options import ArchiveKeys, history_of
from pivori.cli.failures import USAGE, fill
from pivori.cli.forwarding import attempt, told
from pivori.cli.options import repository_command
from pivori.cli.run_log import open_log
from pivori.cli.script_verbs import PIT, SCRIPT, VERBS, Places, Verb, places_of
from pivori.cli.session import Session
from pivori.cli.wording import show_path
from pivori.engine.archive.point_in_time import newest_before
from pivori.errors import PivoriError
from pivori.settings.archives import ArchivePasswordChoices
from pivori.translation import N_, _


class BadPointInTime(PivoriError):
    """A text is no day and no moment."""

    code = "bad-point-in-time"
    message = N_("“{value}” is no day.")
    hint = N_("Write it as 20251108, or with the time as 20251108-020000.")
    exit_status = USAGE


class UnknownScriptCommand(PivoriError):
    """The script has no such command."""

    code = "unknown-script-command"
    message = N_("There is no command `{name}`.")
    hint = N_("Choose one of the above; without a command there is a menu.")
    exit_status = USAGE


@repository_command(
    help=_(
        "Run the commands of backup-scripts-expert.sh.\n\n"
        "Without COMMAND there is a menu. PIVORI_PROJECT_DIR names the project, PIVORI_BACKUP_DIR the directory of "
        "archives (otherwise /backups), PIVORI_LOG_DIR that of the log (otherwise /var/log/pivori-backup). Options of "
        "`pivori archive create`, `restore`, `verify` or `prune` may follow. A restore shows what it will do and asks, "
        "unless there is --yes."
    ),
    examples=[(verb.usage, _(verb.meaning)) for verb in VERBS.values()],
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name", metavar=_("[COMMAND]"), required=False)
@click.argument("arguments", metavar=_("[ARGUMENT]…"), nargs=-1, type=click.UNPROCESSED)
def command(session: Session, name: str | None, arguments: tuple[str, ...]) -> int:
    """Translate and run."""
    context = click.get_current_context()
    if name is None or name == "menu":
        return attempt(context, ["menu", *arguments])
    verb = VERBS.get(name)
    if verb is None:
        _show_usage(session)
        raise UnknownScriptCommand(name=name)
    places = places_of(session)
    log = open_log(session)

    def act() -> int:
        found = _moment_found(session, places, verb, arguments) if name == PIT else arguments
        return attempt(context, verb.command_line(places, found))

    return log.record(name, session.output, lambda: told(session.runtime, act))


def _moment_found(session: Session, places: Places, verb: Verb, arguments: tuple[str, ...]) -> list[str]:
    """The arguments of a restore to a point in time, the moment replaced by the archive. Raises BadPointInTime."""
    found = list(arguments)
    for number in verb.positions(found):
        found[number] = _archive_of(session, places, found[number])
    return found


def _archive_of(session: Session, places: Places, text: str) -> str:
    def passed(path: object, reason: PivoriError | str) -> None:
        facts = {"archive": path, "reason": reason}
        output.warn(fill(N_("{archive} is passed over: {reason}."), facts), name="passed-over", archive=path)

    output = session.output
    keys = ArchiveKeys(session, ArchivePasswordChoices()).keys()
    moment = parse_moment(text)
    path = newest_before(places.archives, moment, places.project, history_of(session).runs(), passed, keys)
    output.say(_("The newest usable archive: {path}").format(path=show_path(bytes(path))))
    return str(path)


def parse_moment(text: str) -> datetime:
    """The wall clock that ``20251108`` (the end of that day) or ``20251108-020000`` means. Raises BadPointInTime."""
    day, dash, clock = text.partition("-")
    wanted = (8, 6) if dash else (8, 0)
    if (len(day), len(clock)) != wanted or not (day + clock).isdigit() or not text.isascii():
        raise BadPointInTime(value=text)
    try:
        if dash:
            return datetime.strptime(day + clock, "%Y%m%d%H%M%S")  # noqa: DTZ007 - a wall clock
        return datetime.combine(datetime.strptime(day, "%Y%m%d"), time.max)  # noqa: DTZ007 - a wall clock
    except ValueError:
        raise BadPointInTime(value=text) from None


def _show_usage(session: Session) -> None:
    """What the script takes, on standard error."""
    output = session.output
    output.note(_("Usage: {script} COMMAND [ARGUMENT]…").format(script=SCRIPT))
    names = [verb.usage for verb in VERBS.values()]
    width = max(map(len, names))
    for shown, verb in zip(names, VERBS.values(), strict=True):
        output.note(f"  {shown:<{width}}  {_(verb.meaning)}")
