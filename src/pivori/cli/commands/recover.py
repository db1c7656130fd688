"""``pivori recover``: a stack, or some of its components, back from its recovery points.

With ``--json``: a ``plan`` object with ``steps`` (``component``, ``kind``, ``snapshot_id``, ``time``, ``files``,
``bytes``, ``steps``, ``replaces``, ``findings``, ``expected_seconds``, ``done``), ``apart_seconds``, ``lacking``,
``expected_seconds``, ``to``; then one ``recovered`` object for each component (``component``, ``bytes``, ``seconds``,
``checked``, ``remaining``) and a ``summary`` with ``total_duration`` and ``moved_aside``.
"""

from dataclasses import dataclass
from pathlib import Path

import click

from pivori.app import Access, Opened
from pivori.cli.consent import require_consent
from pivori.cli.failures import INCOMPLETE
from pivori.cli.notices import tell_damage, tell_of_restoring
from pivori.cli.options import repository_command
from pivori.cli.recovery_display import show_plan, tell_recovered, tell_step
from pivori.cli.recovery_moment import recovery_moment
from pivori.cli.recovery_rebuild import run_what_to_rebuild, show_what_to_rebuild, to_rebuild
from pivori.cli.session import Session
from pivori.cli.snapshot_options import warn_of_damage
from pivori.cli.stack_in_force import StackInForce, component_names, know_contacts, stack_to_recover
from pivori.engine.naming import named_snapshot
from pivori.errors import PivoriError
from pivori.events import Event, FileNotRestored, MetadataNotRestored, Progress
from pivori.repository import LoadedSnapshot, newest_first
from pivori.stack.model import Stack
from pivori.stack.points import STACK_TAG, RecoveryPoints
from pivori.stack.recover import Recovery, StepBegan, StepDone
from pivori.stack.recovery_plan import RecoveryRequest
from pivori.translation import N_, _


class BadSetting(PivoriError):
    """A setting for a component is not written as one."""

    code = "bad-setting"
    message = N_("{text} is no setting of a component.")
    hint = N_("Write COMPONENT.KEY=VALUE, as in database.target-lsn=0/3000060.")
    exit_status = 2


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    at: str | None
    point: str | None
    component: tuple[str, ...]
    to: str | None
    in_place: bool
    settings: tuple[str, ...]
    stack: str | None
    host: str | None
    rebuild: bool
    yes: bool
    dry_run: bool


@repository_command(
    help=_(
        "Bring a stack back from its recovery points.\n\n"
        "The plan comes first: what is brought back from which moment and in which order, what is replaced, and about "
        "how long it takes. What is replaced is kept aside. An interrupted recovery goes on where it was when the "
        "same command is run again. Without a pivori.toml, the one in the recovery point is used: repository and "
        "password are enough."
    ),
    examples=[
        ("pivori recover --to /srv/new", _("everything, the latest, beside what is there")),
        ("pivori recover --in-place --component database --at 2025-11-08T12:00", _("one component as it was then")),
        ("pivori recover -r /mnt/backup --password-file key --to /srv/new", _("on a new machine")),
        ("pivori recover --point clean --to /srv/new", _("from the recovery point tagged clean")),
    ],
)
@click.option("--at", metavar=_("TIME"), help=_("The moment to go back to [the latest recovery point]."))
@click.option(
    "--point", metavar=_("SNAPSHOT"), help=_("Take what this recovery point has: an id, latest~1 or one of its tags.")
)
@click.option(
    "--component", multiple=True, metavar=_("NAME"), help=_("Only this component; can be given several times.")
)
@click.option("--to", metavar=_("FOLDER"), type=click.Path(file_okay=False), help=_("Recover into this new folder."))
@click.option("--in-place", is_flag=True, help=_("Replace what is there; it is kept aside."))
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar=_("COMPONENT.KEY=VALUE"),
    help=_("A setting of one component; the guide lists those of each kind. Can be given several times."),
)
@click.option(
    "--stack", metavar=_("NAME"), help=_("Which stack, where the repository has several and no file says it.")
)
@click.option("--host", metavar=_("NAME"), help=_("Only recovery points of this machine."))
@click.option(
    "--rebuild",
    is_flag=True,
    help=_("Then run the commands that make again what the backup left out. Only for backups you trust."),
)
@click.option("-y", "--yes", is_flag=True, help=_("Replace without asking."))
@click.option("-n", "--dry-run", is_flag=True, help=_("Only show the plan."))
def command(session: Session, /, **parameters: object) -> int:
    """Plan, show, ask, apply."""
    options = Options(**parameters)  # type: ignore[arg-type]  # click gives the options as they are declared
    if (options.to is None) == (not options.in_place):
        raise click.UsageError(_("Say where to recover: --to FOLDER, or --in-place."))
    if options.at is not None and options.point is not None:
        raise click.UsageError(_("--at and --point exclude each other."))
    at_ns = recovery_moment(options.at)
    settings = _settings(options.settings)
    output = session.output
    know_contacts(session)
    with session.app.open_repository(Access.READ) as opened:
        snapshots = list(opened.repository.snapshots(on_damage=lambda error: tell_damage(error, output)))
        in_force = stack_to_recover(session, opened.repository, snapshots, options.stack)
        names = component_names(in_force.stack, options.component)
        for name in settings:
            component_names(in_force.stack, [name])
        request = RecoveryRequest(
            stack=in_force.stack,
            names=names,
            at_ns=at_ns,
            point=_point(session, opened, in_force.stack, options.point, snapshots),
            to=Path(options.to).absolute() if options.to is not None else None,
            settings=settings,
            repository=_folder_of(session.settings.repository),
        )
        points = RecoveryPoints(
            opened.repository, in_force.stack.name, snapshots, lambda _event: None, host=options.host
        )
        return _recover(session, opened, in_force, points, request, options)


def _recover(
    session: Session,
    opened: Opened,
    in_force: StackInForce,
    points: RecoveryPoints,
    request: RecoveryRequest,
    options: Options,
) -> int:
    output = session.output
    has_problems = False
    with session.progress() as progress:

        def emit(event: Event) -> None:
            nonlocal has_problems
            if isinstance(event, Progress):
                progress.update(event)
            elif isinstance(event, StepBegan | StepDone):
                tell_step(event, output)
            elif isinstance(event, FileNotRestored | MetadataNotRestored):
                has_problems = True
                tell_of_restoring(event, output)

        recovery = Recovery(
            opened.repository,
            points,
            request,
            state=in_force.state.component,
            recoveries=in_force.state.recoveries,
            clock=session.clock,
            emit=emit,
            workers=session.app.processors,
        )
        plan = recovery.plan()
        show_plan(plan, output)
        left_out = to_rebuild(plan, output)
        if options.dry_run:
            show_what_to_rebuild(left_out, output, is_asked=options.rebuild)
            return 0 if plan.is_possible and not plan.lacking else INCOMPLETE
        if plan.is_possible and plan.to is None and not options.yes:
            require_consent(session, _("Recover in place?"))
        recovered = recovery.apply(plan)
    tell_recovered(recovered, plan, output)
    if options.rebuild:
        has_problems = not run_what_to_rebuild(left_out, output) or has_problems
    else:
        show_what_to_rebuild(left_out, output, is_asked=False)
    return INCOMPLETE if plan.lacking or has_problems else 0


def _folder_of(repository: str) -> Path | None:
    """The folder of a repository on this machine, without links; None for an address."""
    text = repository.removeprefix("local:")
    return None if ":" in text.partition("/")[0] else Path(text).expanduser().resolve()


def _settings(texts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        component, dot, key = place.partition(".")
        if not (equals and dot and component and key):
            raise BadSetting(text=text)
        found.setdefault(component, {})[key] = value
    return found


def _point(
    session: Session, opened: Opened, stack: Stack, text: str | None, snapshots: list[LoadedSnapshot]
) -> LoadedSnapshot | None:
    """The recovery point that was named: the newest with such a tag, else by its id."""
    if text is None:
        return None
    own = newest_first(loaded for loaded in snapshots if STACK_TAG + stack.name in loaded.snapshot.tags)
    tagged = [loaded for loaded in own if text in loaded.snapshot.tags]
    return tagged[0] if tagged else named_snapshot(opened.repository, text, on_damage=warn_of_damage(session.output))
