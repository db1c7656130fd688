"""What earlier captures of a component tell: how large one ought to be."""

from collections.abc import Iterable, Sequence
from itertools import islice
from statistics import median
from typing import Final

from pivori.components.base import ComponentFailed
from pivori.stack.points import Capture
from pivori.translation import N_, ByteCount

_LOOKED_AT: Final = 5


class CaptureTooSmall(ComponentFailed):
    """A capture is far smaller than those before it."""

    code = "capture-too-small"
    message = N_("The capture of {component} has {size}, but those before it had about {usual}.")
    hint = N_("Look whether something is missing; if all is well, take it with --accept-smaller {component}.")


class NothingCaptured(ComponentFailed):
    """A component gave nothing at all."""

    code = "nothing-captured"
    message = N_("The component {component} gave nothing: an empty capture is no backup.")
    hint = N_("Check what its configuration names, with `pivori config show`.")


def usual_size(captures: Iterable[Capture]) -> int | None:
    """The median size in bytes of the last few captures, given newest first; None when there is none."""
    sizes: Sequence[int] = [capture.record.size for capture in islice(captures, _LOOKED_AT)]
    return round(median(sizes)) if sizes else None


def demand_plausible(component: str, size: int, usual: int | None, smallest: float) -> None:
    """Raises CaptureTooSmall when ``size`` is less than the share ``smallest`` of the usual size (0: never)."""
    if usual is not None and size < usual * smallest:
        raise CaptureTooSmall(component=component, size=ByteCount(size), usual=ByteCount(usual))
