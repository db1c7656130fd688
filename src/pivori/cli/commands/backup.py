"""``pivori backup``: files and folders into a new snapshot.

With ``--json``: ``status`` lines while it runs; a ``warning`` object named ``file-not-read`` on standard error for each
file that could not be read; at the end one ``summary`` with the numbers of the snapshot's summary, ``total_duration``
(seconds), ``snapshot_id``, ``parent``, ``errors`` and ``dry_run``.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click

from pivori import __version__
from pivori.app import Access, App, Opened
from pivori.cli.backup_display import tell_event, tell_outcome
from pivori.cli.failures import INCOMPLETE
from pivori.cli.first_run import announce
from pivori.cli.notices import tell_damage
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import show_path
from pivori.engine.backup import (
    Backup,
    BackupOutcome,
    BackupRequest,
    CountingEstimate,
    Estimate,
    NothingToBackUp,
    backup_stream,
    resolve_source,
)
from pivori.engine.exclusion import CACHE_DIRECTORY_TAG, Exclusion, Marker
from pivori.engine.files_from import parse_patterns, parse_raw, parse_verbatim, read_list
from pivori.engine.patterns import read_pattern_file
from pivori.engine.search import NotASearchTime
from pivori.errors import PivoriError
from pivori.events import Event, FileNotRead
from pivori.host import run_to_stream
from pivori.repository import BlobCheck, Compression, LoadedSnapshot, parent_for, parse_moment, path_text
from pivori.settings.resolve import ConflictingOptions
from pivori.translation import _


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    exclude_file: tuple[str, ...]
    exclude_caches: bool
    exclude_if_present: tuple[str, ...]
    one_file_system: bool
    files_from: tuple[str, ...]
    files_from_verbatim: tuple[str, ...]
    files_from_raw: tuple[str, ...]
    stdin_from_command: str | None
    tag: tuple[str, ...]
    host: str | None
    time: str | None
    force: bool
    skip_if_unchanged: bool
    dry_run: bool
    compression: str
    with_atime: bool
    verify_blobs: str


@repository_command(
    help=_(
        "Save files and folders in a new snapshot.\n\n"
        "Only what changed since the last snapshot of the same paths is read. With the default repository, the first "
        "backup makes the repository and its key."
    ),
    examples=[
        ("pivori backup ~/project", _("a folder, into the default repository")),
        ("pivori backup /srv /etc --exclude '*.log' --tag nightly", _("several folders, without the logs")),
        ("pivori backup --stdin-from-command db.sql -- pg_dump shop", _("what a command prints, as one file")),
    ],
)
@click.argument("paths", nargs=-1, metavar=_("PATH…"), type=click.Path())
@click.option(
    "-e", "--exclude", multiple=True, metavar=_("PATTERN"), help=_("Leave out, by a pattern as in .gitignore.")
)
@click.option(
    "--exclude-file",
    multiple=True,
    metavar=_("FILE"),
    type=click.Path(),
    help=_("Read such patterns from a file."),
)
@click.option("--exclude-caches", is_flag=True, help=_("Leave out folders marked by a CACHEDIR.TAG file."))
@click.option(
    "--exclude-if-present",
    multiple=True,
    metavar=_("NAME[:HEADER]"),
    help=_("Leave out folders that hold a file of this name."),
)
@click.option("-x", "--one-file-system", is_flag=True, help=_("Do not enter other file systems."))
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
@click.option("--tag", multiple=True, metavar=_("TAG[,TAG…]"), help=_("Give the snapshot a tag."))
@click.option("--host", metavar=_("NAME"), help=_("Record this host instead of the machine's name."))
@click.option("--time", metavar=_("TIME"), help=_("Record this time, for example 2025-11-08T12:00."))
@click.option("-f", "--force", is_flag=True, help=_("Read every file again, whatever its times say."))
@click.option("--skip-if-unchanged", is_flag=True, help=_("Make no snapshot when nothing changed."))
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be stored."))
@click.option(
    "--compression",
    type=click.Choice([strength.value for strength in Compression]),
    default=Compression.AUTO.value,
    show_default=True,
    help=_("How hard to compress."),
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
    _check(options)
    work = _work(session, options)
    # A rehearsal makes nothing, not even a repository.
    created = None if options.dry_run else session.app.ensure_default_repository()
    if created is not None:
        announce(created, session.output)
    with session.app.open_repository(Access.APPEND, confirm_later=True) as opened:
        outcome, seconds = _run(session, options, opened, work)
    tell_outcome(outcome, seconds, session.output, dry_run=options.dry_run)
    return INCOMPLETE if outcome.failures else 0


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
    lists = (options.files_from, options.files_from_verbatim, options.files_from_raw)
    if options.stdin_from_command is not None:
        if not options.paths or any(lists):
            raise click.UsageError(_("Write the command after --, as in: --stdin-from-command db.sql -- pg_dump shop"))
        for name in _NOT_WITH_A_STREAM:
            if getattr(options, name):
                raise ConflictingOptions(first="--stdin-from-command", second="--" + name.replace("_", "-"))
    elif not options.paths and not any(lists):
        raise click.UsageError(_("Say what to back up: pivori backup PATH…"))


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What is to be backed up, known before anything is opened or made."""

    sources: list[bytes]
    patterns: list[str]
    markers: list[Marker]
    time_ns: int

    def exclusion(self) -> Exclusion | None:
        """What is left out; a new object at each call, as one is for one walk."""
        exclusion = Exclusion(self.patterns, markers=self.markers, roots=self.sources)
        return exclusion if exclusion else None


def _work(session: Session, options: Options) -> _Work:
    """Read the lists and patterns, each once: one may be a pipe. Raises NothingToBackUp where nothing is there."""
    time_ns = _time_ns(session.app, options)
    if options.stdin_from_command is not None:
        return _Work(sources=[_stream_path(options.stdin_from_command)], patterns=[], markers=[], time_ns=time_ns)
    patterns = list(options.exclude)
    for name in options.exclude_file:
        patterns += read_pattern_file(Path(name))
    markers = [Marker.parse(text) for text in options.exclude_if_present]
    if options.exclude_caches:
        markers.append(CACHE_DIRECTORY_TAG)
    work = _Work(sources=_sources(options, session.output), patterns=patterns, markers=markers, time_ns=time_ns)
    _demand_one(work.sources, session.output)
    exclusion = work.exclusion()
    if exclusion is None:
        return work
    sources = [path for path in work.sources if not exclusion.excludes_root(path, Path(os.fsdecode(path)).is_dir())]
    return replace(work, sources=sources)


def _demand_one(sources: Sequence[bytes], output: Output) -> None:
    """Make sure that there is something, before a repository is made for it."""
    failures = []
    for path in sources:
        try:
            os.lstat(path)
        except OSError as error:
            failures.append(FileNotRead(path=path, reason=error.strerror or str(error)))
    if sources and len(failures) == len(sources):
        for failure in failures:
            tell_event(failure, output)
        raise NothingToBackUp


def _run(session: Session, options: Options, opened: Opened, work: _Work) -> tuple[BackupOutcome, float]:
    app, clock, output = session.app, session.clock, session.output
    started = clock.monotonic()
    confirm = opened.lock.confirm if opened.lock is not None else lambda: None
    with ExitStack() as stack:
        progress = stack.enter_context(session.progress())

        def emit(event: Event) -> None:
            progress.update(event)
            tell_event(event, output)

        parent = _parent(app, options, opened, work, output)
        request = _request(app, options, work, parent)
        if options.stdin_from_command is not None:
            process = stack.enter_context(run_to_stream(options.paths))
            outcome = backup_stream(opened.repository, request, process, clock=clock, emit=emit, before_write=confirm)
        else:
            estimate = Estimate.of(parent.snapshot.summary if parent else None)
            if estimate.files is None and output.stderr_is_terminal and not output.quiet:
                counting = CountingEstimate(work.sources, work.exclusion(), one_file_system=options.one_file_system)
                estimate = stack.enter_context(counting)
            cache = app.settings.cache_directory
            request = replace(
                request, estimate=estimate, cache_directory=cache / opened.repository.id if cache is not None else None
            )
            outcome = Backup(opened.repository, request, clock=clock, emit=emit, before_write=confirm).run()
    return outcome, clock.monotonic() - started


def _stream_path(name: str) -> bytes:
    return b"/" + os.fsencode(name).strip(b"/")


def _sources(options: Options, output: Output) -> list[bytes]:
    """What to back up, absolute and without symbolic links, each once."""
    given = [os.fsencode(path) for path in options.paths]
    readers = (
        (options.files_from, parse_patterns),
        (options.files_from_verbatim, parse_verbatim),
        (options.files_from_raw, parse_raw),
    )
    for names, parse in readers:
        for name in names:
            listing = read_list(Path(name), parse)
            given += listing.paths
            for pattern in listing.unmatched:
                output.warn(
                    _("{path} in {file} matches nothing.").format(path=show_path(pattern), file=name),
                    name="pattern-matches-nothing",
                )
    here = os.fsencode(Path.cwd())
    return list(dict.fromkeys(resolve_source(path, here) for path in given))


def _parent(app: App, options: Options, opened: Opened, work: _Work, output: Output) -> LoadedSnapshot | None:
    """The last snapshot of the same host and paths."""
    snapshots = opened.repository.snapshots(on_damage=lambda error: tell_damage(error, output))
    return parent_for(
        snapshots,
        host=options.host or app.identity.hostname,
        paths=[path_text(path) for path in work.sources],
        before=work.time_ns,
    )


def _time_ns(app: App, options: Options) -> int:
    if not options.time:
        return app.clock.now_ns()
    try:
        return parse_moment(options.time, start=True)
    except PivoriError:
        raise NotASearchTime(text=options.time) from None


def _request(app: App, options: Options, work: _Work, parent: LoadedSnapshot | None) -> BackupRequest:
    return BackupRequest(
        sources=work.sources,
        identity=app.identity,
        host=options.host or app.identity.hostname,
        time_ns=work.time_ns,
        parent=parent,
        tags=sorted({tag for text in options.tag for tag in text.split(",") if tag}),
        excludes=work.patterns,
        exclusion=work.exclusion(),
        one_file_system=options.one_file_system,
        with_atime=options.with_atime,
        force=options.force,
        skip_if_unchanged=options.skip_if_unchanged,
        dry_run=options.dry_run,
        compression=Compression(options.compression),
        check=BlobCheck(options.verify_blobs),
        workers=app.processors,
        program_version=f"pivori {__version__}",
    )
