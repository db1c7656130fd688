"""``pivori resume``: undo what runs that were killed have left.

With ``--json``: one ``undone`` object for each thing (``component``, ``what``), and a ``summary`` with ``undone``, the
number of things, and ``whole``, whether nothing is left.
"""

import click

from pivori.cli.failures import INCOMPLETE
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.cli.stack_in_force import stack_in_force
from pivori.cli.stack_undo import undo_hooks_of, undo_stack
from pivori.errors import PivoriError
from pivori.stack.state import StackState
from pivori.translation import _


@repository_command(
    help=_(
        "Undo what killed backups of a stack have left: services that stand still, hooks without their second half.\n\n"
        "The next backup of the stack does the same. What a backup that is still at work has begun is left alone."
    ),
    examples=[
        ("pivori resume", _("after a crash, a power cut, kill -9")),
        ("pivori resume --force", _("also what containers and other machines have left")),
    ],
)
@click.option(
    "--force",
    is_flag=True,
    help=_("Also undo what runs left that cannot be seen from here. If one of them is at work, it is disturbed."),
)
def command(session: Session, force: bool) -> int:
    """Undo, and say how much; hooks also where the configuration is of no use."""
    try:
        in_force = stack_in_force(session)
    except PivoriError:
        # Their lines stand in the journal: services start again whatever is wrong with a file.
        directory = session.runtime.environment.state_directory
        for state in StackState.every(directory) if directory is not None else []:
            undo_hooks_of(session, state, force=force)
        raise
    undone = undo_stack(session, in_force, force=force)
    is_whole = not undone.has_failed and not undone.has_left
    session.output.record({"message_type": "summary", "undone": undone.things, "whole": is_whole})
    if not is_whole:
        session.output.say(_("Not everything could be undone."))
    elif not undone.things:
        session.output.say(_("There is nothing to undo."))
    return 0 if is_whole else INCOMPLETE
