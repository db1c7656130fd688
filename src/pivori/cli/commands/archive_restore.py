"""``pivori archive restore``: the tree of an archive back to a directory.

With ``--json``: ``status`` lines and one ``summary``; with ``--dry-run`` one ``action`` object for each step before it;
with ``--rebuild`` one ``rebuild`` object for each thing that was left out of what is restored, then a
``rebuild_summary``.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from pivori.archives.manifest import Omission
from pivori.cli.archive_options import ArchiveKeys, absolute, archive_key_options, note_run, workers
from pivori.cli.consent import require_consent
from pivori.cli.failures import DONE, INCOMPLETE, fill
from pivori.cli.notices import tell_of_restoring
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.rebuild import run_rebuilding, show_rebuilding
from pivori.cli.restore_intent import show_intent
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_number, show_path
from pivori.engine.archive.documents import read_documents
from pivori.engine.archive.history import Operation, Outcome
from pivori.engine.archive.restore import SwapWasKilled, run_plan
from pivori.engine.archive.restore_files import RestoreOutcome
from pivori.engine.archive.restore_plan import Action, NoRootKnown, RestorePlan, RestoreRequest, plan_restore
from pivori.engine.archive.tree import ArchiveTree, open_tree
from pivori.engine.selection import Selection
from pivori.engine.smart.rebuild import StepOutcome, StepState, documents_of, rebuild_steps
from pivori.events import Event
from pivori.translation import N_, _, ngettext


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    archive: str
    target: str | None
    in_place: bool
    replace: bool
    include: tuple[str, ...]
    base: str | None
    before: str | None
    after: str | None
    keep_restored: bool
    rebuild: bool
    keep_going: bool
    allow_large: bool
    owners_by_name: bool
    dry_run: bool
    ask: bool | None


@repository_command(
    name="restore",
    help=_(
        "Bring the files of an archive back.\n\n"
        "Everything in the archive is checked before anything is written. A tree that is there is never written into: "
        "the new one is made beside it, then the old one is moved aside as NAME.before-<time>, and put back when "
        "anything fails. A differential archive is restored together with its base."
    ),
    examples=[
        ("pivori archive restore backup.zip --target /tmp/back", _("everything, into a new directory")),
        ("pivori archive restore backup.zip --in-place --dry-run", _("what going back would do")),
        (
            "pivori archive restore app.zip --in-place --before 'docker compose stop' --after 'docker compose up -d'",
            _("with the services stopped meanwhile"),
        ),
        ("pivori archive restore backup.zip --in-place --include services/auth", _("one service")),
    ],
)
@click.argument("archive", metavar=_("ARCHIVE"))
@click.option("-t", "--target", metavar=_("DIRECTORY"), help=_("Restore into this directory."))
@click.option("--in-place", is_flag=True, help=_("Restore to where the files came from, moving aside what is there."))
@click.option("--replace", is_flag=True, help=_("Move aside what is in the target."))
@click.option(
    "-i", "--include", multiple=True, metavar=_("PATTERN"), help=_("Only what fits; patterns as in .gitignore.")
)
@click.option("--base", metavar=_("FILE"), help=_("Where the base of a differential archive is."))
@click.option("--before", metavar=_("COMMAND"), help=_("Run this before the tree is put in place: stop services."))
@click.option("--after", metavar=_("COMMAND"), help=_("Run this afterwards: start them, check them."))
@click.option("--keep-restored", is_flag=True, help=_("Keep the restored tree even when --after fails."))
@click.option("--rebuild", is_flag=True, help=_("Make again what a smart archive left out."))
@click.option("--keep-going", is_flag=True, help=_("Go on without files that are damaged or cannot be written."))
@click.option("--allow-large", is_flag=True, help=_("Accept content far larger than the archive."))
@click.option("--owners-by-name", is_flag=True, help=_("Take owners by name instead of by number."))
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be done."))
@click.option("--ask/--yes", default=None, help=_("Show in short what will be done, and ask before; or do not ask."))
@archive_key_options
def command(session: Session, /, keys: ArchiveKeys, **parameters: object) -> int:
    """Plan, show or carry out, rebuild."""
    options = Options(**parameters)  # type: ignore[arg-type]  # click gives the options as they are declared
    if (options.target is None) == (not options.in_place):
        raise click.UsageError(_("Say where to restore: --target DIRECTORY, or --in-place."))
    path = absolute(options.archive)
    base = absolute(options.base) if options.base is not None else None
    with open_tree(path, base=base, keys=keys.keys(), allow_large=options.allow_large) as tree:
        request = _request(session, options, tree, path)
        plan = plan_restore(tree, request)
        if options.dry_run:
            _show_plan(plan, tree, options, session.output)
            return DONE
        if options.ask is not None:
            show_intent(session, tree, plan, _omitted(tree, options), rebuild=options.rebuild)
        if options.ask:
            require_consent(session, _("Restore now?"))
        return _restore(session, options, tree, plan)


def _request(session: Session, options: Options, tree: ArchiveTree, path: Path) -> RestoreRequest:
    target = absolute(options.target) if options.target is not None else tree.root
    if target is None:
        raise NoRootKnown(archive=str(path))
    return RestoreRequest(
        path=path,
        target=target,
        moment=session.clock.now(),
        replace=options.replace or options.in_place,
        include=options.include,
        before=options.before,
        after=options.after,
        keep_restored=options.keep_restored,
        keep_going=options.keep_going,
        allow_large=options.allow_large,
        owners_by_name=options.owners_by_name,
        workers=workers(),
    )


def _restore(session: Session, options: Options, tree: ArchiveTree, plan: RestorePlan) -> int:
    output, started = session.output, session.clock.monotonic()
    steps = rebuild_steps(_omitted(tree, options))
    with session.progress() as progress:

        def emit(event: Event) -> None:
            progress.update(event)
            tell_of_restoring(event, output)
            if isinstance(event, SwapWasKilled):
                _tell_of_the_killed(event, output)

        rebuilt: list[StepOutcome] = []

        def in_place() -> None:
            # Before the services start: they need it.
            if options.rebuild:
                documents = read_documents(tree.archive, documents_of(steps))
                rebuilt.extend(run_rebuilding(steps, plan.request.target, documents, output))

        outcome = run_plan(tree, plan, emit, in_place=in_place)
    archive = tree.archive
    note_run(
        session,
        Operation.RESTORE,
        Outcome.INCOMPLETE if outcome.failures else Outcome.OK,
        started,
        archive=str(archive.path),
        strategy=archive.strategy,
        format=archive.container.format.value,
        root=str(plan.request.target),
        files=outcome.files,
        bytes=outcome.bytes,
        archive_bytes=archive.length,
    )
    _tell(outcome, session.clock.monotonic() - started, archive.path, rebuilt, output)
    if not options.rebuild:
        _tell_left_out(len(steps), output)
    troubles = outcome.failures or outcome.problems or any(each.is_trouble for each in rebuilt)
    return INCOMPLETE if troubles else DONE


def _omitted(tree: ArchiveTree, options: Options) -> list[Omission]:
    """What was left out of the part of the tree that is restored."""
    selection = Selection(options.include)
    found = ((omission, omission.path_raw or os.fsencode(omission.path)) for omission in tree.omitted)
    return [omission for omission, path in found if selection.decide(path.split(b"/"), True).selected]


def _goes_to(plan: RestorePlan, path: bytes) -> Path:
    """Where a path lies that is restored: in a new tree if what is there now makes way, else in the target."""
    makes_way = plan.replaces and any(not part or (path + b"/").startswith(part + b"/") for part in plan.parts)
    return plan.staged if makes_way else plan.request.target


_ACTIONS = {
    Action.CREATE: N_("create"),
    Action.MOVE_ASIDE: N_("move aside"),
    Action.PUT_IN_PLACE: N_("put in place"),
    Action.RUN: N_("run"),
}


def _show_plan(plan: RestorePlan, tree: ArchiveTree, options: Options, output: Output) -> None:
    counts: Counter[Action] = Counter()
    widest = max(len(_(word)) for word in _ACTIONS.values())
    for step in plan.steps():
        counts[step.action] += 1
        record = {"message_type": "action", "action": step.action, "path": step.path, "size": step.size}
        output.record(record | ({"destination": step.destination} if step.destination else {}))
        arrow = f" -> {show_path(step.destination)}" if step.destination else ""
        output.result(f"{_(_ACTIONS[step.action]):<{widest}}  {show_path(step.path)}{arrow}")
    if options.rebuild:
        show_rebuilding(rebuild_steps(_omitted(tree, options)), lambda step: _goes_to(plan, step.path), output)
    output.record(
        {
            "message_type": "summary",
            "dry_run": True,
            "target": plan.request.target,
            "files": plan.files,
            "bytes": plan.bytes,
            **{str(action.value): counts[action] for action in Action},
        }
    )
    text = ngettext(
        "This was a rehearsal: {count} file, {size}.", "This was a rehearsal: {count} files, {size}.", plan.files
    )
    output.say(text.format(count=show_number(plan.files), size=show_bytes(plan.bytes)))


def _tell(
    outcome: RestoreOutcome, seconds: float, archive: Path, rebuilt: Sequence[StepOutcome], output: Output
) -> None:
    output.record(
        {
            "message_type": "summary",
            "archive": archive,
            "total_duration": round(seconds, 3),
            **vars(outcome),
            "rebuilt": sum(each.state is StepState.DONE for each in rebuilt),
            "not_rebuilt": sum(each.is_trouble for each in rebuilt),
        }
    )
    text = ngettext(
        "Restored {count} file, {size}, to {target} in {duration}.",
        "Restored {count} files, {size}, to {target} in {duration}.",
        outcome.files,
    )
    output.result(
        text.format(
            count=show_number(outcome.files),
            size=show_bytes(outcome.bytes),
            target=outcome.target,
            duration=show_duration(seconds),
        )
    )
    if outcome.aside is not None:
        output.result(_("What was there before is in {path}.").format(path=outcome.aside))
    if outcome.failures:
        text = ngettext("{count} path could not be restored.", "{count} paths could not be restored.", outcome.failures)
        output.warn(text.format(count=show_number(outcome.failures)), name="incomplete", count=outcome.failures)


def _tell_of_the_killed(event: SwapWasKilled, output: Output) -> None:
    """Say where the tree is that an earlier restore moved aside and could not replace."""
    text = N_("An earlier restore to {target} was killed in the middle: what it had moved aside is in {path}.")
    places = {"target": event.target, "path": event.aside}
    output.warn(fill(text, places), name="swap-was-killed", **places)


def _tell_left_out(count: int, output: Output) -> None:
    """Who restores a smart archive without rebuilding has to know what is not there."""
    if count:
        text = ngettext(
            "{count} thing was left out of this archive and can be made again: add --rebuild next time.",
            "{count} things were left out of this archive and can be made again: add --rebuild next time.",
            count,
        )
        output.say(text.format(count=show_number(count)))
