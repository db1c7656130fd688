"""``pivori backup`` without a path: one recovery point of the stack that is in force.

With ``--json``: a ``component`` object for each (``component``, ``kind``, ``outcome``, ``files``, ``bytes``,
``seconds``, ``warnings``; ``error`` when it failed), and a ``summary`` with the numbers of the snapshot's summary,
``snapshot_id``, ``total_duration``, ``stack`` and ``missing``. With ``--dry-run`` an ``inspection`` object each.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import msgspec

from pivori import __version__
from pivori.app import Access, Opened
from pivori.cli.failures import INCOMPLETE, wording
from pivori.cli.first_run import announce
from pivori.cli.notices import tell_damage, tell_of_reading
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.stack_in_force import StackInForce, component_names, stack_in_force
from pivori.cli.stack_inspection import show_inspections
from pivori.cli.stack_undo import Hooks, undo_what_is_left
from pivori.cli.stack_wording import said
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.engine.recovery_point import PointRequest
from pivori.events import Event, Progress
from pivori.repository import BlobCheck, Compression, parse_time
from pivori.stack.model import Hook
from pivori.stack.points import RecoveryPoints
from pivori.stack.protect import (
    CaptureBegan,
    CaptureEnded,
    CaptureFailed,
    NotConfirmed,
    Protect,
    Protected,
    ProtectRequest,
)
from pivori.stack.record import Outcome
from pivori.translation import _, ngettext


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What the command line said about a stack."""

    components: Sequence[str]
    accept_smaller: Sequence[str]
    tags: Sequence[str]
    host: str | None
    time_ns: int
    dry_run: bool
    compression: str | None
    verify_blobs: str


def back_up_stack(session: Session, options: StackOptions) -> int:
    """Protect the stack, and say what came of it: the exit status."""
    in_force = stack_in_force(session)
    names = component_names(in_force.stack, options.components)
    component_names(in_force.stack, options.accept_smaller)
    if options.dry_run:
        return show_inspections(session, in_force, names)
    # First of all: what stands still has to go on, also where there is no repository today.
    was_undone = undo_what_is_left(session, in_force)
    created = session.app.ensure_default_repository()
    if created is not None:
        announce(created, session.output)
    started = session.clock.monotonic()
    with session.app.open_repository(Access.APPEND, confirm_later=True) as opened:
        hooks = Hooks(session, in_force)
        done = _protect(session, options, in_force, names, opened, hooks.around)
    _tell(done, session.clock.monotonic() - started, session.output)
    return 0 if done.is_whole and was_undone and not hooks.has_failed else INCOMPLETE


def _protect(
    session: Session,
    options: StackOptions,
    in_force: StackInForce,
    names: Sequence[str],
    opened: Opened,
    around: Callable[[Sequence[Hook], str], AbstractContextManager[object]],
) -> Protected:
    output, app, stack = session.output, session.app, in_force.stack
    with session.progress() as progress:

        def emit(event: Event) -> None:
            if isinstance(event, Progress):
                progress.update(event)
            else:
                tell_of_reading(event, output)
                _tell_component(event, output)

        host = options.host or app.identity.hostname
        snapshots = opened.repository.snapshots(on_damage=lambda error: tell_damage(error, output))
        points = RecoveryPoints(opened.repository, stack.name, snapshots, emit, host=host)
        cache = app.settings.cache_directory
        point = PointRequest(
            identity=app.identity,
            host=host,
            time_ns=options.time_ns,
            program_version=f"pivori {__version__}",
            workers=app.processors,
            compression=Compression(options.compression or Compression.AUTO),
            check=BlobCheck(options.verify_blobs),
            cache_directory=cache / opened.repository.id if cache is not None else None,
        )
        request = ProtectRequest(
            stack=stack,
            names=names,
            point=point,
            accept_smaller=options.accept_smaller,
            tags=options.tags,
        )
        return Protect(
            opened.repository,
            request,
            points,
            state=in_force.state.component,
            around=around,
            clock=session.clock,
            emit=emit,
            before_write=opened.lock.confirm if opened.lock is not None else lambda: None,
        ).run()


def _tell_component(event: Event, output: Output) -> None:
    """Say what became of a component."""
    if isinstance(event, CaptureBegan):
        output.detail(_("{component} ({kind}) …").format(component=event.component, kind=event.kind))
    elif isinstance(event, CaptureEnded):
        text = _("{component}: {size} in {duration}.")
        output.say(
            text.format(component=event.component, size=show_bytes(event.size), duration=show_duration(event.seconds))
        )
        for warning in event.warnings:
            facts = {"component": event.component, "reason": said(warning)}
            output.warn(_("{component}: {reason}").format(**facts), name="component-warning", **facts)
    elif isinstance(event, CaptureFailed):
        message, hint = wording(event.error)
        text = _("{component} was NOT captured: {reason} {hint}")
        output.warn(
            text.format(component=event.component, reason=message, hint=hint).rstrip(),
            name=event.error.code,
            component=event.component,
        )
    elif isinstance(event, NotConfirmed):
        message, hint = wording(event.error)
        text = _("{component} was captured, but its source could not be informed: {reason} {hint}")
        output.warn(
            text.format(component=event.component, reason=message, hint=hint).rstrip(),
            name=event.error.code,
            component=event.component,
        )


def _tell(done: Protected, seconds: float, output: Output) -> None:
    record, summary = done.record, done.summary
    for each in record.components:
        output.record(
            {
                "message_type": "component",
                "component": each.name,
                "kind": each.kind,
                "outcome": each.outcome.value,
                "files": each.file_count,
                "bytes": each.size,
                "seconds": round((parse_time(each.ended) - parse_time(each.started)) / 1e9, 3),
                "warnings": each.warnings,
                "error": each.error,
                "error_code": each.error_code,
            }
        )
    output.record(
        {
            "message_type": "summary",
            "dry_run": False,
            **msgspec.to_builtins(summary),
            "total_duration": round(seconds, 3),
            "snapshot_id": done.snapshot_id,
            "stack": record.stack,
            "missing": record.missing,
        }
    )
    captured = sum(each.outcome is Outcome.CAPTURED for each in record.components)
    output.say(
        _("Stored: {added} ({packed} after compression) of {size}, in {duration}.").format(
            added=show_bytes(summary.data_added),
            packed=show_bytes(summary.data_added_packed),
            size=show_bytes(summary.total_bytes_processed),
            duration=show_duration(seconds),
        )
    )
    text = ngettext(
        "Recovery point {id} of the stack {stack} saved, with {count} component.",
        "Recovery point {id} of the stack {stack} saved, with {count} components.",
        captured,
    )
    output.say(text.format(id=done.snapshot_id[:8], stack=record.stack, count=show_number(captured)))
    if record.missing:
        facts = {"components": ", ".join(record.missing)}
        output.warn(
            _("The recovery point lacks: {components}.").format(**facts), name="recovery-point-incomplete", **facts
        )
