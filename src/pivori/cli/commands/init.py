"""``pivori init``: a new repository in an empty place, and with a folder the stack in it."""

from pathlib import Path

import click

from pivori.cli.failures import DONE, INCOMPLETE
from pivori.cli.first_run import announce
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.translation import _


@repository_command(
    help=_(
        "Make a new repository, or prepare an application for its backups.\n\n"
        "Without a folder: a new repository. The default repository gets a generated key file, unless a password is "
        "given; `pivori backup` makes it by itself when it is missing. Every other repository is opened by the "
        "password you give.\n\n"
        "With a folder: what is in it is looked at (docker compose, .env files, git, databases, uploads, secrets), "
        "shown, and written down in a commented pivori.toml. Repository and keys are made when they are missing, and "
        "each component is looked at once. The exit status is 3 when something would fail."
    ),
    examples=[
        ("pivori init", _("the default repository and its key")),
        ("pivori init -r /mnt/disk/backups", _("asks for a password")),
        ("pivori init --dry-run .", _("what is found here, and what would be written")),
        ("pivori init --yes /srv/app", _("everything for the application there, without a question")),
    ],
)
@click.argument("folder", metavar=_("[FOLDER]"), required=False, type=click.Path(exists=True, file_okay=False))
@click.option("-y", "--yes", is_flag=True, help=_("Ask nothing: take what is proposed."))
@click.option("-n", "--dry-run", is_flag=True, help=_("Only show what is found and what would be written."))
def command(session: Session, folder: str | None, yes: bool, dry_run: bool) -> int:
    """Make it, and say where it is."""
    if folder is not None:
        return _make_stack(session, Path(folder).absolute(), yes, dry_run)
    if yes or dry_run:
        raise click.UsageError(_("--yes and --dry-run need the folder of an application."))
    announce(session.app.create_repository(), session.output)
    return DONE


def _make_stack(session: Session, folder: Path, yes: bool, dry_run: bool) -> int:
    # A new repository alone does without all that reads and writes configurations.
    from pivori.cli.stack_in_force import NoStateDirectory, StackInForce
    from pivori.cli.stack_inspection import show_inspections
    from pivori.cli.stack_making import STACK_FILE, ask, make, plan_making, preview, refuse_existing
    from pivori.cli.stack_making_display import show_made, show_proposals
    from pivori.components.base import has_failure
    from pivori.settings.finding import put_in_force
    from pivori.settings.stack_file import load_stack
    from pivori.stack.discovery.proposing import discover
    from pivori.stack.state import StackState

    refuse_existing(folder / STACK_FILE)
    proposals = discover(folder)
    show_proposals(proposals, session.output)
    needs_attention = has_failure(proposals.attention)
    plan = plan_making(session, proposals)
    if dry_run:
        session.output.result("")
        session.output.result(preview(plan))
        return INCOMPLETE if needs_attention else DONE
    made = make(session, plan if yes else ask(session, plan))
    show_made(plan, made, session.output)
    link = put_in_force(session.runtime.environment, made.path)
    if link is not None:
        session.output.say(_("It is in force wherever you are, unless there is another: {path}").format(path=link))
    stack = load_stack(made.path, session.runtime.environment)
    directory = session.settings.state_directory
    if directory is None:
        raise NoStateDirectory
    in_force = StackInForce(stack, StackState.of(directory, stack.name))
    status = show_inspections(session, in_force, [member.name for member in stack.members])
    return INCOMPLETE if needs_attention else status
