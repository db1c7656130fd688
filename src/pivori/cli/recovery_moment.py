"""The moment a recovery goes back to, as it is written on the command line."""

from pivori.errors import PivoriError
from pivori.repository import parse_moment
from pivori.translation import N_


class NotAMoment(PivoriError):
    """What ought to be a moment is none."""

    code = "not-a-moment"
    message = N_("{text} is no moment.")
    hint = N_("Write a date, or date and time, such as 2025-11-08T12:00; with an offset it is of that zone.")
    exit_status = 2


def recovery_moment(text: str | None) -> int | None:
    """The moment in nanoseconds since the epoch; None where none is given. Raises NotAMoment."""
    if text is None:
        return None
    try:
        return parse_moment(text.removeprefix("@"), start=False)
    except PivoriError:
        raise NotAMoment(text=text) from None
