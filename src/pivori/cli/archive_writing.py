"""Writing an archive for a command, with a display of it, and saying what came of it."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from pivori.archives.naming import archive_name
from pivori.archives.workspace import PARTIAL
from pivori.cli.archive_options import note_run
from pivori.cli.failures import INCOMPLETE
from pivori.cli.notices import tell_of_reading
from pivori.cli.output import Output
from pivori.cli.progress import ProgressDisplay
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.engine.archive.create import (
    ArchivePlan,
    CreateOutcome,
    CreateRequest,
    Testing,
    create_archive,
    stream_archive,
)
from pivori.engine.archive.history import Operation, Outcome
from pivori.events import Event
from pivori.translation import _, ngettext


def write_and_tell(session: Session, request: CreateRequest, path: Path, started: float) -> int:
    """Write an archive, note the run and say what came of it; returns the exit status.

    ``started`` is when the work on it began, on the clock that never goes back.
    """
    outcome = _with_progress(session, lambda emit: create_archive(request, path, emit), is_mute=False)
    note_run(
        session,
        Operation.CREATE,
        Outcome.INCOMPLETE if outcome.failures else Outcome.OK,
        started,
        archive=str(outcome.path),
        strategy=request.plan.strategy,
        format=request.format.value,
        root=str(request.plan.root),
        files=request.plan.files,
        bytes=request.plan.bytes,
        archive_bytes=outcome.archive_bytes or 0,
        tested=outcome.tested,
        base=request.plan.base.name if request.plan.base is not None else "",
    )
    _tell(outcome, request, session.clock.monotonic() - started, session.output)
    return INCOMPLETE if outcome.failures else 0


def stream_and_tell(session: Session, request: CreateRequest) -> int:
    """Write an archive to standard output; returns the exit status."""
    out = session.output.binary()
    # No status line may come between the bytes of an archive.
    outcome = _with_progress(session, lambda emit: stream_archive(request, out, emit), is_mute=session.output.json)
    session.output.flush()
    return INCOMPLETE if outcome.failures else 0


def _with_progress(
    session: Session, act: Callable[[Callable[[Event], None]], CreateOutcome], *, is_mute: bool
) -> CreateOutcome:
    """Run with a display for the writing, and another for the reading back."""
    with ExitStack() as stack:
        display = None if is_mute else stack.enter_context(session.progress())
        testing: ProgressDisplay | None = None

        def emit(event: Event) -> None:
            nonlocal testing
            if isinstance(event, Testing):
                if testing is None:
                    stack.pop_all().close()
                    testing = stack.enter_context(session.progress())
                testing.update(event.progress)
                return
            if display is not None:
                display.update(event)
            tell_of_reading(event, session.output)

        return act(emit)


def free_name(directory: Path, request: CreateRequest) -> Path:
    """The path of the new archive; a second later where another one has the name."""
    time = request.created
    while True:
        path = directory / archive_name(request.plan.strategy, time, request.format, request.envelope)
        if not os.path.lexists(path) and not os.path.lexists(path.with_name(f".{path.name}{PARTIAL}")):
            return path
        time += timedelta(seconds=1)


def _tell(outcome: CreateOutcome, request: CreateRequest, seconds: float, output: Output) -> None:
    plan, manifest = request.plan, outcome.manifest
    output.record(
        {
            "message_type": "summary",
            "archive": outcome.path,
            "sha256": outcome.sha256,
            "id": manifest.id,
            "strategy": plan.strategy,
            "format": request.format,
            "root": plan.root,
            "base": manifest.base.name if manifest.base is not None else None,
            "files": plan.files,
            "bytes": plan.bytes,
            "archive_bytes": outcome.archive_bytes,
            "deleted": len(manifest.deleted),
            "omitted": len(manifest.omitted),
            "omitted_bytes": sum(omission.bytes for omission in manifest.omitted),
            "tested": outcome.tested,
            "errors": outcome.failures,
            "total_duration": round(seconds, 3),
        }
    )
    text = ngettext(
        "{count} file, {size}, became {packed} in {duration}.",
        "{count} files, {size}, became {packed} in {duration}.",
        plan.files,
    )
    output.say(
        text.format(
            count=show_number(plan.files),
            size=show_bytes(plan.bytes),
            packed=show_bytes(outcome.archive_bytes or 0),
            duration=show_duration(seconds),
        )
    )
    tell_difference(plan, output)
    if manifest.omitted:
        size = show_bytes(sum(omission.bytes for omission in manifest.omitted))
        output.say(_("Left out, as it can be made again: {size}.").format(size=size))
    if outcome.failures:
        text = ngettext(
            "{count} path could not be read and is not in the archive.",
            "{count} paths could not be read and are not in the archive.",
            outcome.failures,
        )
        output.warn(text.format(count=show_number(outcome.failures)), name="incomplete", count=outcome.failures)
    output.result(_("Archive {path} written, read back and compared.").format(path=outcome.path))


def tell_difference(plan: ArchivePlan, output: Output) -> None:
    """Say what a differential archive has that its base has not."""
    if plan.base is not None:
        text = _("Relative to {base}: new or changed {changed}, deleted {deleted}.")
        changed = sum(bool(entry.path) for entry in plan.entries)
        output.say(
            text.format(base=plan.base.name, changed=show_number(changed), deleted=show_number(len(plan.deleted)))
        )
