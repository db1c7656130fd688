"""``pivori menu``: archives for who does not want to type commands.

Without a terminal it prints the commands that its entries stand for; with ``--json`` as one array of objects: ``entry``
and ``command``, an array of arguments.
"""

import click

from pivori.cli.archive_options import directory_option
from pivori.cli.failures import DONE
from pivori.cli.menu.choosing import chooser_for
from pivori.cli.menu.dialogue import Dialogue
from pivori.cli.menu.entries import equivalents, typed
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.run_log import FILE_NAME, open_log
from pivori.cli.script_verbs import Places, places_of
from pivori.cli.session import Session
from pivori.settings.archives import log_directory
from pivori.translation import _


@repository_command(
    help=_(
        "Make, restore, list, verify and remove archives from a menu.\n\n"
        "Choose with the arrow keys or with numbers. Sizes and durations are those of earlier runs on this machine. "
        "Without a terminal, the commands that the entries stand for are printed."
    ),
    examples=[("pivori menu /srv/app", _("the menu for a project"))],
)
@click.argument("project", metavar=_("[PROJECT]"), required=False)
@directory_option
def command(session: Session, project: str | None, directory: str | None) -> int:
    """Show the menu, or print what it stands for."""
    places = places_of(session, project, directory)
    environment, output = session.runtime.environment, session.output
    if output.json or not (environment.stdin_is_terminal and environment.stdout_is_terminal):
        _print_commands(session, places, output)
        return DONE
    return Dialogue(session, places, chooser_for(output), open_log(session)).run()


def _print_commands(session: Session, places: Places, output: Output) -> None:
    found = equivalents(places, log_directory(session.runtime.environment) / FILE_NAME)
    output.record([{"entry": entry.deed.value, "command": line} for entry, line in found])
    output.say(_("The menu needs a terminal. These are its commands:"))
    for entry, line in found:
        output.result(f"\n# {_(entry.text)}\n{typed(line)}")
