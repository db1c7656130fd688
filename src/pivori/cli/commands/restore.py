"""``pivori restore``: files back from a snapshot.

With ``--json``: ``status`` lines while it runs; a ``warning`` object named ``file-not-restored`` or
``metadata-not-restored`` on standard error for each file it concerns; at the end one ``summary`` with the numbers of
:class:`RestoreOutcome` and ``total_duration`` (seconds). With ``--rebuild`` then one ``rebuild``
object for each thing that was made again, and a ``rebuild_summary``. With ``--dry-run`` one ``action`` object for each
step (``action``, ``path``, ``size``, ``written``) and a ``summary`` that counts them.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import click

from pivori.app import Access
from pivori.archives.manifest import MANIFEST_NAME
from pivori.cli.failures import INCOMPLETE
from pivori.cli.notices import show_restored, tell_of_restoring
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.rebuild import hint_at_rebuilding, run_rebuilding, show_rebuilding
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, resolve, snapshot_filters, warn_of_damage
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.engine.document_reading import read_document
from pivori.engine.documents import DOCUMENT_FOLDER, has_documents
from pivori.engine.naming import OnDamage
from pivori.engine.patterns import read_pattern_file
from pivori.engine.restore import (
    IN_THE_WAY,
    Action,
    Expectation,
    Restore,
    RestoreOutcome,
    RestoreRequest,
    plan_restore,
)
from pivori.engine.selection import Selection
from pivori.engine.smart import read_omissions
from pivori.engine.smart.rebuild import Step, documents_of, rebuild_steps
from pivori.errors import PivoriError
from pivori.events import Event, FileNotRestored, Progress
from pivori.repository import LoadedSnapshot, Repository
from pivori.translation import N_, _, ngettext


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    snapshot: str
    target: str | None
    in_place: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    include_file: tuple[str, ...]
    exclude_file: tuple[str, ...]
    delete: bool
    verify: bool
    dry_run: bool
    sparse: bool
    owners_by_name: bool
    rebuild: bool


@repository_command(
    help=_(
        "Bring files back from a snapshot.\n\n"
        "SNAPSHOT is the beginning of an id, latest, latest~2 (the third newest) or @2025-11-08T12:00 (the last one "
        "at or before that time); SNAPSHOT:/sub/dir is a part of it. What is in the target already is compared, and "
        "only what differs is written."
    ),
    examples=[
        ("pivori restore latest --target /tmp/back", _("everything, into a folder")),
        ("pivori restore latest:/home/me/project --target ~/old --include '*.py'", _("some files of a folder")),
        ("pivori restore latest --target /srv/new --rebuild", _("and what a smart backup left out, made again")),
        ("pivori restore @2025-11-08T12:00 --in-place --dry-run", _("what going back would change")),
    ],
)
@click.argument("snapshot", metavar=_("SNAPSHOT"))
@click.option(
    "-t", "--target", metavar=_("FOLDER"), type=click.Path(file_okay=False), help=_("Restore into this folder.")
)
@click.option("--in-place", is_flag=True, help=_("Restore to where the files came from."))
@click.option(
    "-i", "--include", multiple=True, metavar=_("PATTERN"), help=_("Only what fits; patterns as in .gitignore.")
)
@click.option("-e", "--exclude", multiple=True, metavar=_("PATTERN"), help=_("Not what fits."))
@click.option(
    "--include-file",
    multiple=True,
    metavar=_("FILE"),
    type=click.Path(),
    help=_("Read such patterns from a file."),
)
@click.option(
    "--exclude-file",
    multiple=True,
    metavar=_("FILE"),
    type=click.Path(),
    help=_("Read such patterns from a file."),
)
@click.option("--delete", is_flag=True, help=_("Remove what the restored folders hold besides."))
@click.option("--verify", is_flag=True, help=_("Read everything back and compare it with the snapshot."))
@click.option(
    "--rebuild",
    is_flag=True,
    help=_("Then run the commands that make again what the backup left out. Only for backups you trust."),
)
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be done."))
@click.option("--sparse", is_flag=True, help=_("Write long runs of zeros as holes."))
@click.option("--owners-by-name", is_flag=True, help=_("Take owners by name instead of by number."))
@snapshot_filters
def command(session: Session, /, filters: SnapshotFilters, **parameters: object) -> int:
    """Restore, and say what came of it."""
    options = Options(**parameters)  # type: ignore[arg-type]  # click gives the options as they are declared
    target = _target(options)
    with session.app.open_repository(Access.READ) as (repository, _lock):
        on_damage = warn_of_damage(session.output)
        loaded, subtree = resolve(repository, options.snapshot, filters, on_damage=on_damage)
        request = _request(session, options, target, loaded.snapshot.tree, subtree, loaded.snapshot.paths)
        work = _to_rebuild(repository, loaded, request, on_damage)
        if has_documents(repository, loaded.snapshot.tree) and request.target.resolve() == Path("/"):
            # They belong to the backup; at the root of a machine they would be nobody's.
            request = replace(request, without={DOCUMENT_FOLDER})
        if options.dry_run:
            counts = _show_plan(repository, request, session.output, in_place=options.in_place)
            if options.rebuild:
                show_rebuilding(work.steps, lambda _step: request.target, session.output)
            return INCOMPLETE if counts[Action.OBSTRUCTED] else 0
        outcome = _restore(session, repository, request, loaded, in_place=options.in_place)
    is_whole = not (outcome.failures or outcome.problems)
    if options.rebuild:
        rebuilt = run_rebuilding(work.steps, request.target, work.documents, session.output)
        is_whole = is_whole and work.is_known and not any(outcome.is_trouble for outcome in rebuilt)
    else:
        hint_at_rebuilding(work.steps, session.output)
    return 0 if is_whole else INCOMPLETE


def _restore(
    session: Session, repository: Repository, request: RestoreRequest, loaded: LoadedSnapshot, *, in_place: bool
) -> RestoreOutcome:
    output = session.output
    started = session.clock.monotonic()
    where = request.target if in_place else None
    expectation = Expectation(repository, request, loaded.snapshot.summary)
    with session.progress() as progress:

        def emit(event: Event) -> None:
            if isinstance(event, Progress):
                if progress.is_due:
                    progress.update(expectation.added_to(event))
                return
            tell_of_restoring(event, output, where)

        outcome = Restore(repository, request, emit=emit).run()
    _tell(outcome, session.clock.monotonic() - started, loaded.id, output)
    return outcome


class _Rebuilding(NamedTuple):
    """What is to be made again, and the documents that takes. ``is_known`` is false when nobody can tell."""

    steps: list[Step]
    documents: dict[bytes, bytes]
    is_known: bool = True


def _to_rebuild(
    repository: Repository, loaded: LoadedSnapshot, request: RestoreRequest, on_damage: OnDamage
) -> _Rebuilding:
    """What a smart snapshot asks to make again where it is restored. Whatever is wrong with that, files come first."""
    tree, name = loaded.snapshot.tree, loaded.id[:8]
    try:
        if not has_documents(repository, tree):
            return _Rebuilding([], {})
        omissions = read_omissions(read_document(repository, tree, MANIFEST_NAME, snapshot=name), source=name)
    except PivoriError as error:
        on_damage(error)
        return _Rebuilding([], {}, is_known=False)
    below = request.subtree.strip(b"/")
    steps = rebuild_steps(omissions, below=below)
    if request.selection is not None:
        start = tuple(part for part in below.split(b"/") if part)
        steps = [step for step in steps if request.selection.decide((*start, *step.path.split(b"/")), True)[0]]
    documents = {}
    for path in documents_of(steps):
        try:
            documents[path] = read_document(repository, tree, path, snapshot=name)
        except PivoriError as error:
            on_damage(error)
    return _Rebuilding(steps, documents)


def _target(options: Options) -> Path:
    if (options.target is None) == (not options.in_place):
        raise click.UsageError(_("Say where to restore: --target FOLDER, or --in-place."))
    return Path("/") if options.in_place else Path(options.target or "")


def _request(
    session: Session, options: Options, target: Path, tree: str, subtree: bytes, paths: Sequence[str]
) -> RestoreRequest:
    roots = [os.fsencode(path) for path in paths]
    include, exclude = list(options.include), list(options.exclude)
    for name in options.include_file:
        include += read_pattern_file(Path(name))
    for name in options.exclude_file:
        exclude += read_pattern_file(Path(name))
    selection = Selection(include, exclude, roots=roots)
    if options.in_place and subtree:
        target = target / os.fsdecode(subtree.lstrip(b"/"))
    return RestoreRequest(
        tree=tree,
        target=target,
        subtree=subtree,
        sources=[tuple(name for name in root.split(b"/") if name) for root in roots],
        selection=selection if selection else None,
        delete=options.delete,
        sparse=options.sparse,
        verify=options.verify,
        owners_by_name=options.owners_by_name,
        workers=session.app.processors,
    )


_ACTIONS = {
    Action.CREATE: N_("create"),
    Action.UPDATE: N_("update"),
    Action.REPLACE: N_("replace"),
    Action.DELETE: N_("delete"),
    Action.OBSTRUCTED: N_("obstructed"),
    Action.KEEP: N_("keep"),
}


def _show_plan(repository: Repository, request: RestoreRequest, output: Output, *, in_place: bool) -> Counter[Action]:
    where = request.target if in_place else None
    counts: Counter[Action] = Counter()
    size = 0
    widest = max(len(_(word)) for word in _ACTIONS.values())
    for step in plan_restore(repository, request):
        action = step.action
        counts[action] += 1
        size += step.written
        output.record({"message_type": "action", **step._asdict()})
        if action is not Action.KEEP or output.verbose:
            text = f"{_(_ACTIONS[action]):<{widest}}  {show_restored(step.path, where)}"
            output.result(text)
        if action is Action.OBSTRUCTED:
            tell_of_restoring(FileNotRestored(path=step.path, reason=IN_THE_WAY), output, where)
    output.record(
        {
            "message_type": "summary",
            "dry_run": True,
            "bytes": size,
            **{str(kind.value): counts[kind] for kind in Action},
        }
    )
    parts = [f"{_(_ACTIONS[kind])} {show_number(counts[kind])}" for kind in Action if counts[kind]]
    output.say(
        _("This was a rehearsal: {parts}; {size} to be written.").format(
            parts=", ".join(parts) or _("nothing to do"), size=show_bytes(size)
        )
    )
    return counts


def _tell(outcome: RestoreOutcome, seconds: float, snapshot: str, output: Output) -> None:
    output.record(
        {"message_type": "summary", "snapshot_id": snapshot, "total_duration": round(seconds, 3), **vars(outcome)}
    )
    if outcome.failures:
        output.warn(
            ngettext(
                "{count} path could not be restored.", "{count} paths could not be restored.", outcome.failures
            ).format(count=show_number(outcome.failures)),
            name="incomplete",
            count=outcome.failures,
        )
    text = ngettext(
        "Restored {count} file of snapshot {id} in {duration}; {written} written, {kept} were in place.",
        "Restored {count} files of snapshot {id} in {duration}; {written} written, {kept} were in place.",
        outcome.files,
    )
    output.say(
        text.format(
            count=show_number(outcome.files),
            id=snapshot[:8],
            duration=show_duration(seconds),
            written=show_bytes(outcome.bytes_written),
            kept=show_bytes(outcome.bytes_in_place),
        )
    )
    if outcome.deleted:
        output.say(_("Removed what the snapshot does not have: {count}.").format(count=show_number(outcome.deleted)))
    if outcome.verified:
        output.say(_("Files read back and compared: {count}.").format(count=show_number(outcome.verified)))
