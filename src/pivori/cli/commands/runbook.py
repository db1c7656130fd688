"""``pivori runbook``: the plan of a recovery as a document for a person under stress.

With ``--json``: one ``runbook`` object with ``stack``, ``to``, ``contacts``, ``expected_seconds``, ``apart_seconds``,
``steps`` (``component``, ``kind``, ``snapshot_id``, ``bytes``, ``lost_seconds``, ``expected_seconds``, ``rto``,
``rpo``, ``findings``, ``done``), ``lacking``, ``findings``, ``unreachable``, and the ``document`` itself.
"""

from dataclasses import dataclass
from pathlib import Path

import click

from pivori.app import Access
from pivori.cli.failures import INCOMPLETE, USAGE, wording
from pivori.cli.notices import tell_damage
from pivori.cli.options import repository_command
from pivori.cli.recovery_moment import recovery_moment
from pivori.cli.runbook_display import Commands, runbook_document, runbook_record
from pivori.cli.session import Session
from pivori.cli.stack_in_force import StackInForce, component_names, know_contacts, stack_in_force, stack_to_recover
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event
from pivori.stack.points import RecoveryPoints
from pivori.stack.recover import Recovery
from pivori.stack.recovery_log import RecoveryHistory
from pivori.stack.recovery_plan import RecoveryRequest
from pivori.stack.runbook import Runbook, runbook_of_plan, runbook_without_repository
from pivori.translation import _


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    at: str | None
    component: tuple[str, ...]
    to: str | None
    stack: str | None
    host: str | None

    @property
    def target(self) -> Path | None:
        """The folder to recover into; None: in place."""
        return Path(self.to).absolute() if self.to is not None else None


@repository_command(
    help=_(
        "Print the plan of a recovery as a document for a person under stress.\n\n"
        "Who to call, what comes back and what is lost, the one command, and every step with its own command, the time "
        "it takes, how to see that it worked, what to do when it fails, and the way by hand. It changes nothing. When "
        "the repository cannot be reached, it says what the configuration alone can tell, with status 3."
    ),
    examples=[
        ("pivori runbook > RUNBOOK.md", _("print it before it is needed")),
        ("pivori runbook --component database --at 2025-11-08T12:00", _("one component as it was then")),
    ],
)
@click.option("--at", metavar=_("TIME"), help=_("The moment to go back to [the latest recovery point]."))
@click.option(
    "--component", multiple=True, metavar=_("NAME"), help=_("Only this component; can be given several times.")
)
@click.option("--to", metavar=_("FOLDER"), type=click.Path(file_okay=False), help=_("Recover into this new folder."))
@click.option(
    "--stack", metavar=_("NAME"), help=_("Which stack, where the repository has several and no file says it.")
)
@click.option("--host", metavar=_("NAME"), help=_("Only recovery points of this machine."))
def command(session: Session, /, **parameters: object) -> int:
    """Plan, and write the plan down."""
    options = Options(**parameters)  # type: ignore[arg-type]  # click gives the options as they are declared
    at_ns = recovery_moment(options.at)
    know_contacts(session)
    try:
        runbook = _planned(session, options, at_ns)
    except PivoriError as error:
        runbook = _unplanned(session, options, error)
    document = runbook_document(runbook, _commands(session, options))
    session.output.record(runbook_record(runbook, document))
    if not session.output.json:
        session.output.script(document)
    if runbook.unreachable is not None:
        message, hint = wording(runbook.unreachable)
        session.output.warn(f"{message} {hint}".rstrip(), name=runbook.unreachable.code)
    return INCOMPLETE if runbook.unreachable is not None or runbook.lacking else 0


def _planned(session: Session, options: Options, at_ns: int | None) -> Runbook:
    output = session.output

    def hear(event: Event) -> None:
        if isinstance(event, DamageFound):
            tell_damage(event.error, output)

    with session.app.open_repository(Access.READ) as opened:
        snapshots = list(opened.repository.snapshots(on_damage=lambda error: tell_damage(error, output)))
        in_force = stack_to_recover(session, opened.repository, snapshots, options.stack)
        request = RecoveryRequest(
            stack=in_force.stack,
            names=component_names(in_force.stack, options.component),
            at_ns=at_ns,
            to=options.target,
        )
        recovery = Recovery(
            opened.repository,
            RecoveryPoints(
                opened.repository,
                in_force.stack.name,
                snapshots,
                hear,
                host=options.host,
            ),
            request,
            state=in_force.state.component,
            recoveries=in_force.state.recoveries,
            clock=session.clock,
            emit=lambda _event: None,
            workers=session.app.processors,
        )
        return runbook_of_plan(recovery.plan(), session.clock.now_ns())


def _unplanned(session: Session, options: Options, error: PivoriError) -> Runbook:
    """What can be said without the repository. Raises the error itself where it is about what the user wrote."""
    if error.exit_status == USAGE:
        raise error
    in_force = _without_repository(session, error)
    return runbook_without_repository(
        in_force.stack,
        component_names(in_force.stack, options.component),
        RecoveryHistory(in_force.state.recoveries),
        to=options.target,
        now_ns=session.clock.now_ns(),
        reason=error,
    )


def _without_repository(session: Session, error: PivoriError) -> StackInForce:
    """The stack of the configuration file; without one there is nothing to say. Raises the error that led here."""
    try:
        return stack_in_force(session)
    except PivoriError:
        raise error from None


def _commands(session: Session, options: Options) -> Commands:
    choices, settings = session.choices, session.settings
    words = []
    if settings.stack_file is not None:
        words += ["--config", str(settings.stack_file)]
    if choices.repository is not None:
        words += [
            "-r",
            str(Path(choices.repository).absolute()) if _is_folder(choices.repository) else choices.repository,
        ]
    if choices.password_file is not None:
        words += ["--password-file", str(Path(choices.password_file).absolute())]
    selection = ["--at", options.at] if options.at is not None else []
    for name in options.component:
        selection += ["--component", name]
    for option, value in (("--stack", options.stack), ("--host", options.host)):
        selection += [option, value] if value is not None else []
    return Commands(options=words, selection=selection, repository=settings.repository)


def _is_folder(place: str) -> bool:
    return ":" not in place
