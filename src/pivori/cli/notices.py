"""Events that a person should hear of whatever the command: what happens to locks."""

from pivori.cli.failures import wording
from pivori.cli.output import Output
from pivori.cli.wording import show_duration
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.repository.locks import LockNotReleased, StaleLockRemoved, WaitingForLock
from pivori.translation import _


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
