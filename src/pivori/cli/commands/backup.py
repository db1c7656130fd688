"""``pivori backup``: files and folders into a new snapshot.

With ``--json``: ``status`` lines while it runs; a ``warning`` object named ``file-not-read`` on standard error for each
file that could not be read; at the end one ``summary`` with the numbers of the snapshot's summary, ``total_duration``
(seconds), ``snapshot_id``, ``parent``, ``errors``, ``dry_run`` and ``strategy``. Before it a ``difference`` from the
base of a differential one; with ``--explain`` one ``decision`` for each candidate instead of all that.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from pivori import __version__
from pivori.app import Access, App, Opened
from pivori.cli.backup_report import tell_outcome
from pivori.cli.backup_work import BackupWork, Choices, backup_work, time_ns_of
from pivori.cli.exclusion_options import exclusion_options
from pivori.cli.failures import INCOMPLETE
from pivori.cli.first_run import announce
from pivori.cli.notices import tell_damage, tell_of_reading
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.snapshot_options import warn_of_damage
from pivori.cli.strategy import check_combination, chosen, explain, strategy_options, tags_of, tell_difference
from pivori.engine.backup import (
    Backup,
    BackupOutcome,
    BackupRequest,
    CountingEstimate,
    Estimate,
    backup_stream,
)
from pivori.engine.naming import named_snapshot
from pivori.engine.relative import check_base, find_base
from pivori.events import Event
from pivori.host import require_program, run_to_stream
from pivori.repository import BlobCheck, Compression, LoadedSnapshot, parent_for, path_text
from pivori.settings.resolve import ConflictingOptions
from pivori.translation import _

if TYPE_CHECKING:
    from pivori.engine.smart import SmartPlan


@dataclass(frozen=True, kw_only=True)
class Options(Choices):
    """What the command line said."""

    one_file_system: bool
    tag: tuple[str, ...]
    host: str | None
    force: bool
    skip_if_unchanged: bool
    dry_run: bool
    compression: str | None
    with_atime: bool
    verify_blobs: str
    strategy: str | None
    base: str | None
    explain: bool
    component: tuple[str, ...]
    accept_smaller: tuple[str, ...]


@repository_command(
    help=_(
        "Save files and folders in a new snapshot, or a whole stack in a new recovery point.\n\n"
        "Only what changed since the last snapshot of the same paths is read. With the default repository, the first "
        "backup makes the repository and its key. Without a PATH, the stack that pivori.toml describes is taken, each "
        "of its components; one that fails does not stop the others, and the exit status is then 3."
    ),
    examples=[
        ("pivori backup", _("the stack of pivori.toml, found here or above")),
        ("pivori backup --component database", _("one component of it")),
        ("pivori backup ~/project", _("a folder, into the default repository")),
        ("pivori backup /srv /etc --exclude '*.log' --tag nightly", _("several folders, without the logs")),
        ("pivori backup --strategy smart --explain ~/project", _("what can be made again, and need not be stored")),
        ("pivori backup --stdin-from-command db.sql -- pg_dump shop", _("what a command prints, as one file")),
    ],
)
@click.argument("paths", nargs=-1, metavar=_("[PATH…]"), type=click.Path())
@exclusion_options
@click.option(
    "--files-from",
    multiple=True,
    metavar=_("FILE"),
    type=click.Path(),
    help=_("Read the paths from a file, a pattern a line."),
)
@click.option(
    "--files-from-verbatim",
    multiple=True,
    metavar=_("FILE"),
    type=click.Path(),
    help=_("The same, taking each line as it is."),
)
@click.option(
    "--files-from-raw",
    multiple=True,
    metavar=_("FILE"),
    type=click.Path(),
    help=_("The same, paths ended by a zero byte."),
)
@click.option(
    "--stdin-from-command",
    metavar=_("NAME"),
    help=_("Run the command after -- and save what it prints as this file; if it fails, there is no snapshot."),
)
@strategy_options
@click.option("--tag", multiple=True, metavar=_("TAG[,TAG…]"), help=_("Give the snapshot a tag."))
@click.option("--host", metavar=_("NAME"), help=_("Record this host instead of the machine's name."))
@click.option("--time", metavar=_("TIME"), help=_("Record this time, for example 2025-11-08T12:00."))
@click.option("-f", "--force", is_flag=True, help=_("Read every file again, whatever its times say."))
@click.option("--skip-if-unchanged", is_flag=True, help=_("Make no snapshot when nothing changed."))
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be stored."))
@click.option(
    "--compression",
    type=click.Choice([strength.value for strength in Compression]),
    show_default=Compression.AUTO.value,
    help=_("How hard to compress."),
)
@click.option(
    "--component", multiple=True, metavar=_("NAME"), help=_("Only this component; can be given several times.")
)
@click.option(
    "--accept-smaller",
    multiple=True,
    metavar=_("NAME"),
    help=_("Take a capture of this component although it is far smaller than those before it."),
)
@click.option("--with-atime", is_flag=True, help=_("Keep the time of the last access too."))
@click.option(
    "--verify-blobs",
    type=click.Choice([check.value for check in BlobCheck]),
    default=BlobCheck.SAMPLE.value,
    show_default=True,
    help=_("Which data to decode once more before it is stored, against faulty memory."),
)
def command(session: Session, /, **parameters: object) -> int:
    """Back up, and say what came of it."""
    options = Options(**parameters)  # type: ignore[arg-type]  # click gives the options as they are declared
    if _means_the_stack(options):
        return _back_up_stack(session, options)
    _check(options)
    work = backup_work(options, session.clock, session.output)
    if options.explain:
        explain(_plan(options, work), session.output)
        return 0
    # A rehearsal makes nothing, not even a repository.
    created = None if options.dry_run else session.app.ensure_default_repository()
    if created is not None:
        announce(created, session.output)
    with session.app.open_repository(Access.APPEND, confirm_later=True) as opened:
        done = _run(session, options, opened, work)
        if done.base is not None and not options.dry_run:
            tell_difference(opened.repository, done.base, done.outcome.tree, session.output)
    tell_outcome(
        done.outcome,
        done.seconds,
        session.output,
        dry_run=options.dry_run,
        strategy=options.strategy,
        plan=done.plan,
    )
    return INCOMPLETE if done.outcome.failures else 0


@dataclass(frozen=True, kw_only=True)
class _Done:
    """What was done: what came of it, in how many seconds, and what the strategy brought with it."""

    outcome: BackupOutcome
    seconds: float
    plan: "SmartPlan | None"
    base: LoadedSnapshot | None


_NOT_WITH_A_STREAM = (
    "exclude",
    "exclude_file",
    "exclude_caches",
    "exclude_if_present",
    "one_file_system",
    "force",
    "with_atime",
)


def _check(options: Options) -> None:
    check_combination(chosen(options.strategy), options.base, is_stream=options.stdin_from_command is not None)
    lists = (options.files_from, options.files_from_verbatim, options.files_from_raw)
    if options.stdin_from_command is not None:
        if not options.paths or any(lists):
            raise click.UsageError(_("Write the command after --, as in: --stdin-from-command db.sql -- pg_dump shop"))
        for name in _NOT_WITH_A_STREAM:
            if getattr(options, name):
                raise ConflictingOptions(first="--stdin-from-command", second="--" + name.replace("_", "-"))
        # Before a repository is made for it.
        require_program(options.paths)


_OF_FILES_ALONE = (*_NOT_WITH_A_STREAM, "skip_if_unchanged", "strategy", "base", "explain")


def _means_the_stack(options: Options) -> bool:
    """Whether no path is named. Raises ConflictingOptions for options that belong to the other kind of backup."""
    lists = (options.files_from, options.files_from_verbatim, options.files_from_raw)
    if options.paths or any(lists) or options.stdin_from_command is not None:
        for name in ("component", "accept_smaller"):
            if getattr(options, name):
                raise ConflictingOptions(first="--" + name.replace("_", "-"), second="PATH")
        return False
    for name in _OF_FILES_ALONE:
        if getattr(options, name):
            raise click.UsageError(
                _("Say what to back up: --{option} belongs to a backup of paths.").format(option=name.replace("_", "-"))
            )
    return True


def _back_up_stack(session: Session, options: Options) -> int:
    if session.settings.stack_file is None and not options.component:
        raise click.UsageError(_("Say what to back up: pivori backup PATH…"))
    from pivori.cli.stack_backup import StackOptions, back_up_stack  # backups of paths start sooner without

    return back_up_stack(
        session,
        StackOptions(
            components=options.component,
            accept_smaller=options.accept_smaller,
            tags=sorted({tag for text in options.tag for tag in text.split(",") if tag}),
            host=options.host,
            time_ns=time_ns_of(options.time, session.clock),
            dry_run=options.dry_run,
            compression=options.compression,
            verify_blobs=options.verify_blobs,
        ),
    )


def _run(session: Session, options: Options, opened: Opened, work: BackupWork) -> _Done:
    clock, output = session.clock, session.output
    started = clock.monotonic()
    confirm = opened.lock.confirm if opened.lock is not None else lambda: None
    plan, base = None, None
    with ExitStack() as stack:
        progress = stack.enter_context(session.progress())

        def emit(event: Event) -> None:
            progress.update(event)
            tell_of_reading(event, output)

        if options.stdin_from_command is not None:
            parent = _parent(session.app, options, opened, work, output)
            request = _request(session.app, options, work, parent)
            process = stack.enter_context(run_to_stream(options.paths))
            outcome = backup_stream(opened.repository, request, process, clock=clock, emit=emit, before_write=confirm)
        else:
            plan = _plan(options, work)
            base = _base(options, opened, work, session.app, output)
            request = _files_request(session, options, opened, work, plan, base, stack.enter_context)
            outcome = Backup(opened.repository, request, clock=clock, emit=emit, before_write=confirm).run()
    return _Done(outcome=outcome, seconds=clock.monotonic() - started, plan=plan, base=base)


def _files_request(
    session: Session,
    options: Options,
    opened: Opened,
    work: BackupWork,
    plan: "SmartPlan | None",
    base: LoadedSnapshot | None,
    enter: Callable[[CountingEstimate], Estimate],
) -> BackupRequest:
    """What to do with files, with what the strategy says about it."""
    app, output = session.app, session.output
    parent = base or _parent(app, options, opened, work, output)
    estimate = Estimate.of(parent.snapshot.summary if parent else None)
    if estimate.files is None and output.stderr_is_terminal and not output.quiet:
        counted = work.exclusion() if plan is None else plan.exclusion(work.exclusion())
        estimate = enter(CountingEstimate(work.sources, counted, one_file_system=options.one_file_system))
    cache = app.settings.cache_directory
    request = replace(
        _request(app, options, work, parent, base),
        estimate=estimate,
        cache_directory=cache / opened.repository.id if cache is not None else None,
    )
    if plan is None:
        return request
    from pivori.engine.smart import snapshot_documents  # most backups do not need it, and start sooner

    documents = snapshot_documents(plan, program=request.program_version, host=request.host)
    return replace(request, exclusion=plan.exclusion(work.exclusion()), documents=documents)


def _plan(options: Options, work: BackupWork) -> "SmartPlan | None":
    """What the strategy leaves out; None when it leaves out nothing."""
    strategy = chosen(options.strategy)
    if strategy is None or not strategy.omits_rebuildable or options.stdin_from_command is not None:
        return None
    from pivori.engine.smart import plan_smart  # most backups do not need it, and start sooner

    return plan_smart(work.sources, exclusion=work.exclusion(), one_file_system=options.one_file_system)


def _parent(app: App, options: Options, opened: Opened, work: BackupWork, output: Output) -> LoadedSnapshot | None:
    """The last snapshot of the same host and paths."""
    snapshots = opened.repository.snapshots(on_damage=lambda error: tell_damage(error, output))
    return parent_for(
        snapshots,
        host=options.host or app.identity.hostname,
        paths=[path_text(path) for path in work.sources],
        before=work.time_ns,
    )


def _base(options: Options, opened: Opened, work: BackupWork, app: App, output: Output) -> LoadedSnapshot | None:
    """What a differential backup is relative to; None for the others."""
    strategy = chosen(options.strategy)
    if strategy is None or not strategy.is_relative:
        return None
    repository, on_damage = opened.repository, warn_of_damage(output)
    if options.base is not None:
        base = named_snapshot(repository, options.base, on_damage=on_damage)
        check_base(base)
        return base
    return find_base(
        repository.snapshots(on_damage=on_damage),
        host=options.host or app.identity.hostname,
        paths=[path_text(path) for path in work.sources],
        before=work.time_ns,
    )


def _request(
    app: App,
    options: Options,
    work: BackupWork,
    parent: LoadedSnapshot | None,
    base: LoadedSnapshot | None = None,
) -> BackupRequest:
    strategy = chosen(options.strategy)
    compression = options.compression or (strategy.snapshot_compression if strategy else Compression.AUTO)
    tags = {tag for text in options.tag for tag in text.split(",") if tag}
    return BackupRequest(
        sources=work.sources,
        identity=app.identity,
        host=options.host or app.identity.hostname,
        time_ns=work.time_ns,
        parent=parent,
        tags=sorted({*tags, *tags_of(strategy, base)}),
        excludes=work.patterns,
        exclusion=work.exclusion(),
        one_file_system=options.one_file_system,
        with_atime=options.with_atime,
        force=options.force or (strategy is not None and strategy.rereads),
        skip_if_unchanged=options.skip_if_unchanged,
        dry_run=options.dry_run,
        compression=Compression(compression),
        check=BlobCheck(options.verify_blobs),
        workers=app.processors,
        program_version=f"pivori {__version__}",
    )
