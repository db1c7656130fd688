"""Spans of calendar time, and the moments a snapshot's time text names.

A snapshot records its time as RFC 3339 text with the offset from UTC of the place where it was made. Retention
counts days and weeks as that place saw them, so a :class:`Moment` keeps the recorded offset and never converts.
All arithmetic is on whole numbers: nanoseconds lose nothing and a duration of thousands of years cannot overflow.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Self

from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

NANOSECONDS = 1_000_000_000
_DAY = 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# The Gregorian calendar, weeks included, repeats every 400 years; `date` knows only the years 1 to 9999.
_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097

_PIECE = re.compile(r"([0-9]{1,9})([ymdh])")
_UNITS = {"y": "years", "m": "months", "d": "days", "h": "hours"}
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)


class BadDuration(PivoriError):
    """A duration that cannot be read."""

    code = "bad-duration"
    message = N_("“{text}” is not a duration.")
    hint = N_("Write years, months, days and hours one after the other, as in 2y5m7d3h.")
    exit_status = 2


class BadMoment(PivoriError):
    """A snapshot's time that cannot be read."""

    code = "bad-snapshot-time"
    message = N_("“{text}” is not a time of the form 2025-11-08T12:00:00.5+01:00.")
    hint = N_("Run `pivori verify` to learn which snapshots are damaged.")


@dataclass(frozen=True)
class Duration:
    """A span of whole calendar units; the zero duration is false and means "no rule"."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2y5m7d3h``: units in any order, a later one replaces an earlier one of its kind, as restic does.

        Empty text is the zero duration. Raises BadDuration.
        """
        found: dict[str, int] = {}
        rest = text.strip()
        while rest:
            piece = _PIECE.match(rest)
            if piece is None:
                raise BadDuration(text=text)
            found[_UNITS[piece[2]]] = int(piece[1])
            rest = rest[piece.end() :]
        return cls(**found)

    def __bool__(self) -> bool:
        return bool(self.years or self.months or self.days or self.hours)

    def __str__(self) -> str:
        return self.phrase

    @property
    def phrase(self) -> Phrase:
        """The duration as it is given in English, ready to be said in another language."""
        spans = (
            (self.years, N_("{number}y")),
            (self.months, N_("{number}m")),
            (self.days, N_("{number}d")),
            (self.hours, N_("{number}h")),
        )
        phrase: Phrase | None = None
        for number, template in spans:
            if number:
                piece = Phrase(template, number=number)
                phrase = piece if phrase is None else Phrase(N_("{first}{second}"), first=phrase, second=piece)
        return phrase or Phrase("")


@dataclass(frozen=True)
class Moment:
    """An instant with the wall clock that recorded it.

    ``ns`` counts nanoseconds since the epoch, ``second`` the seconds since local midnight, ``offset`` the seconds
    by which the local clock is ahead of UTC.
    """

    ns: int
    offset: int
    year: int
    month: int
    day: int
    second: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read RFC 3339 text (``2025-11-08T12:00:00.123456789+01:00``). Raises BadMoment."""
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise BadMoment(text=text)
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
        offset = (int(offset_hours) * 60 + int(offset_minutes)) * 60 if sign else 0
        if hour > 23 or minute > 59 or second > 59 or offset >= _DAY:
            raise BadMoment(text=text)
        try:
            midnight = _days(year, month, day) * _DAY
        except ValueError:
            raise BadMoment(text=text) from None
        offset = -offset if sign == "-" else offset
        second += hour * 3600 + minute * 60
        ns = (midnight + second - offset) * NANOSECONDS + int((fraction or "0")[:9].ljust(9, "0"))
        return cls(ns, offset, year, month, day, second)

    @property
    def hour(self) -> int:
        """The local hour, 0 to 23."""
        return self.second // 3600

    def iso_week(self) -> tuple[int, int]:
        """The ISO 8601 year and week of the local date."""
        shift = 2000 - self.year // _CYCLE_YEARS * _CYCLE_YEARS
        year, week, _ = date(self.year + shift, self.month, self.day).isocalendar()
        return year - shift, week

    def before(self, span: Duration) -> int:
        """The instant ``span`` earlier, in nanoseconds since the epoch.

        Years, months and days are taken off the recorded calendar date; a day that the month lacks runs over into
        the next month (one month before 31 March is 3 March), and the recorded offset stays, as in restic.
        """
        months = self.year * 12 + self.month - 1 - span.years * 12 - span.months
        days = _days(months // 12, months % 12 + 1, 1) + self.day - 1 - span.days
        seconds = days * _DAY + self.second - self.offset - span.hours * 3600
        return seconds * NANOSECONDS + self.ns % NANOSECONDS


def _days(year: int, month: int, day: int) -> int:
    """Days from the epoch to a date of any year. Raises ValueError when the month has no such day."""
    cycles, year_of_cycle = divmod(year, _CYCLE_YEARS)
    ordinal = date(2000 + year_of_cycle, month, day).toordinal()
    return ordinal - _EPOCH_ORDINAL + (cycles - 5) * _CYCLE_DAYS
