"""Events that several commands tell: what happens to locks, and to single files that are read or restored."""

import os
from pathlib import Path

from pivori.cli.failures import fill, wording
from pivori.cli.output import Output
from pivori.cli.wording import show_duration, show_path
from pivori.errors import PivoriError
from pivori.events import (
    DamageFound,
    Event,
    FileChanged,
    FileNotRead,
    FileNotRestored,
    FileVanished,
    MetadataNotRestored,
)
from pivori.repository.locks import LockNotReleased, StaleLockRemoved, WaitingForLock
from pivori.translation import N_, _


def tell(event: Event, output: Output) -> None:
    """Say what happened to a lock; every other event is the command's own business."""
    if isinstance(event, StaleLockRemoved):
        text = _("Removed the lock of process {pid} on {host}, which no longer runs (it was {age} old).")
        age = show_duration(event.age_seconds, whole=True)
        output.warn(text.format(pid=event.pid, host=event.hostname, age=age), name="stale-lock-removed")
    elif isinstance(event, WaitingForLock):
        text = _("{reason} Waiting for up to {duration}.")
        reason, _hint = wording(event.reason)
        output.warn(
            text.format(reason=reason, duration=show_duration(event.seconds, whole=True)), name="waiting-for-lock"
        )
    elif isinstance(event, LockNotReleased):
        reason, _hint = wording(event.reason)
        text = _("The lock {name} could not be removed: {reason} Others are refused until `pivori unlock`.")
        output.warn(text.format(name=event.name[:8], reason=reason), name="lock-not-released")


def tell_damage(error: PivoriError, output: Output) -> None:
    """Say that something is damaged which the command could do without."""
    message, hint = wording(error)
    output.warn(f"{message} {hint}", name=error.code)


def tell_of_reading(event: Event, output: Output) -> None:
    """Say what went wrong with a file that was to be read; every other event is left to others."""
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


def tell_of_restoring(event: Event, output: Output, where: Path | None = None) -> None:
    """Say what went wrong with a path that was to be restored; every other event is left to others.

    ``where`` is as in :func:`show_restored`.
    """
    if not isinstance(event, FileNotRestored | MetadataNotRestored):
        return
    facts = {"path": event.path, "reason": event.reason}
    shown = {"path": show_restored(event.path, where), "reason": event.reason}
    if isinstance(event, FileNotRestored):
        output.warn(fill(N_("{path} was not restored: {reason}."), shown), name="file-not-restored", **facts)
    else:
        text = fill(N_("{path} was restored, but not its metadata: {reason}."), shown)
        output.warn(text, name="metadata-not-restored", **facts)


def show_restored(path: bytes, where: Path | None) -> str:
    """A path as people see it: below the target, or from the top when files go back to where they came from."""
    return show_path(path if where is None else os.fsencode(where / os.fsdecode(path)))
