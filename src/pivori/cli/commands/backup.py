"""``pivori backup``: files and folders into a new snapshot.

With ``--json``: ``status`` lines while it runs, an ``error`` object on standard error for each file that could not be
read, and at the end one ``summary`` with the numbers of the snapshot's summary, ``total_duration`` (seconds),
``snapshot_id``, ``parent``, ``errors`` and ``dry_run``.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click
import msgspec

from pivori import __version__
from pivori.app import Access, App, Opened
from pivori.cli.failures import INCOMPLETE, fill
from pivori.cli.first_run import announce
from pivori.cli.notices import tell_damage
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_number, show_path
from pivori.engine.backup import (
    Backup,
    BackupOutcome,
    BackupRequest,
    CountingEstimate,
    Estimate,
    backup_stream,
    resolve_source,
)
from pivori.engine.exclusion import CACHE_DIRECTORY_TAG, Exclusion, Marker
from pivori.engine.files_from import parse_patterns, parse_raw, parse_verbatim, read_list
from pivori.engine.patterns import read_pattern_file
from pivori.engine.search import NotASearchTime
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event, FileChanged, FileNotRead, FileVanished
from pivori.host import run_to_stream
from pivori.repository import BlobCheck, Compression, LoadedSnapshot, parent_for, parse_moment, path_text
from pivori.translation import N_, _, ngettext


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
    created = session.app.ensure_default_repository()
    if created is not None:
        announce(created, session.output)
    with session.app.open_repository(Access.APPEND, confirm_later=True) as opened:
        outcome, seconds = _run(session, options, opened)
    _tell(outcome, seconds, options, session.output)
    return INCOMPLETE if outcome.failures else 0


def _check(options: Options) -> None:
    lists = (options.files_from, options.files_from_verbatim, options.files_from_raw)
    if options.stdin_from_command is not None:
        if not options.paths or any(lists):
            raise click.UsageError(_("Write the command after --, as in: --stdin-from-command db.sql -- pg_dump shop"))
    elif not options.paths and not any(lists):
        raise click.UsageError(_("Say what to back up: pivori backup PATH…"))


def _run(session: Session, options: Options, opened: Opened) -> tuple[BackupOutcome, float]:
    app, clock = session.app, session.clock
    teller = _Teller(session.output)
    started = clock.monotonic()
    confirm = opened.lock.confirm if opened.lock is not None else lambda: None
    with ExitStack() as stack:
        progress = stack.enter_context(session.progress())

        def emit(event: Event) -> None:
            progress.update(event)
            teller.tell(event)

        if options.stdin_from_command is not None:
            request = _request(app, options, [_stream_path(options.stdin_from_command)], None, None)
            process = stack.enter_context(run_to_stream(options.paths))
            outcome = backup_stream(opened.repository, request, process, clock=clock, emit=emit, before_write=confirm)
        else:
            sources = _sources(options, session.output)
            exclusion = _exclusion(options, sources)
            if exclusion is not None:
                sources = [
                    path for path in sources if not exclusion.excludes_root(path, Path(os.fsdecode(path)).is_dir())
                ]
            parent = _parent(app, options, opened, sources, session.output)
            request = _request(app, options, sources, exclusion, parent)
            estimate = Estimate.of(parent.snapshot.summary if parent else None)
            if estimate.files is None and session.output.stderr_is_terminal and not session.output.quiet:
                estimate = stack.enter_context(CountingEstimate(sources, _exclusion(options, sources)))
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


def _patterns(options: Options) -> list[str]:
    patterns = list(options.exclude)
    for name in options.exclude_file:
        patterns += read_pattern_file(Path(name))
    return patterns


def _exclusion(options: Options, sources: Sequence[bytes]) -> Exclusion | None:
    markers = [Marker.parse(text) for text in options.exclude_if_present]
    if options.exclude_caches:
        markers.append(CACHE_DIRECTORY_TAG)
    exclusion = Exclusion(_patterns(options), markers=markers, roots=sources)
    return exclusion if exclusion else None


def _parent(
    app: App, options: Options, opened: Opened, sources: Sequence[bytes], output: Output
) -> LoadedSnapshot | None:
    """The last snapshot of the same host and paths."""
    snapshots = opened.repository.snapshots(on_damage=lambda error: tell_damage(error, output))
    return parent_for(
        snapshots,
        host=options.host or app.identity.hostname,
        paths=[path_text(path) for path in sources],
        before=_time_ns(app, options),
    )


def _time_ns(app: App, options: Options) -> int:
    if not options.time:
        return app.clock.now_ns()
    try:
        return parse_moment(options.time)
    except PivoriError:
        raise NotASearchTime(text=options.time) from None


def _request(
    app: App,
    options: Options,
    sources: Sequence[bytes],
    exclusion: Exclusion | None,
    parent: LoadedSnapshot | None,
) -> BackupRequest:
    return BackupRequest(
        sources=sources,
        identity=app.identity,
        host=options.host or app.identity.hostname,
        time_ns=_time_ns(app, options),
        parent=parent,
        tags=sorted({tag for text in options.tag for tag in text.split(",") if tag}),
        excludes=_patterns(options),
        exclusion=exclusion,
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


class _Teller:
    """Says what went wrong with single files, as it happens."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def tell(self, event: Event) -> None:
        """Say it."""
        output = self._output
        if isinstance(event, FileNotRead):
            facts = {"path": event.path, "reason": event.reason}
            output.warn(fill(N_("{path} could not be read: {reason}."), facts), name="file-not-read", **facts)
        elif isinstance(event, FileChanged):
            text = _("{path} kept changing while it was read; what was read last is stored.")
            output.warn(text.format(path=show_path(event.path)), name="file-changed", path=event.path)
        elif isinstance(event, FileVanished):
            output.detail(_("{path} vanished before it was read.").format(path=show_path(event.path)))
        elif isinstance(event, DamageFound):
            tell_damage(event.error, output)


def _tell(outcome: BackupOutcome, seconds: float, options: Options, output: Output) -> None:
    summary = outcome.summary
    output.record(
        {
            "message_type": "summary",
            "dry_run": options.dry_run,
            **msgspec.to_builtins(summary),
            "total_duration": round(seconds, 3),
            "snapshot_id": outcome.snapshot_id,
            "parent": outcome.parent,
            "errors": outcome.failures,
        }
    )
    files = summary.total_files_processed
    output.say(
        ngettext("{count} file, {size}, in {duration}.", "{count} files, {size}, in {duration}.", files).format(
            count=show_number(files), size=show_bytes(summary.total_bytes_processed), duration=show_duration(seconds)
        )
    )
    output.say(
        _(
            "New: {new}; changed: {changed}; unchanged: {unchanged}. Stored: {added} ({packed} after compression)."
        ).format(
            new=show_number(summary.files_new),
            changed=show_number(summary.files_changed),
            unchanged=show_number(summary.files_unmodified),
            added=show_bytes(summary.data_added),
            packed=show_bytes(summary.data_added_packed),
        )
    )
    if outcome.failures:
        count = outcome.failures
        output.warn(
            ngettext(
                "{count} path could not be read and is not in the snapshot.",
                "{count} paths could not be read and are not in the snapshot.",
                count,
            ).format(count=show_number(count)),
            name="incomplete",
            count=count,
        )
    if outcome.snapshot_id is not None:
        output.result(_("Snapshot {id} saved.").format(id=outcome.snapshot_id[:8]))
    elif outcome.skipped:
        output.result(_("Nothing changed, so no snapshot was made."))
    else:
        output.result(_("This was a rehearsal: nothing was stored."))
