"""Times as Go writes them (RFC 3339 with nanoseconds), as nanoseconds since the epoch.

The calendar is the proleptic Gregorian one with a year 0, which ``datetime`` does not have; so the arithmetic is
here. Times are written in UTC: a snapshot does not depend on where the machine thinks it is.
"""

import re
from functools import lru_cache

from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

_SECOND = 1_000_000_000
_REMEMBERED_SECONDS = 1 << 15

_DATE = (
    "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
)
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_PATTERN = f"{_DATE}T{_CLOCK}:[0-5][0-9](?:[.][0-9]+)?(?:Z|[+-]{_CLOCK})"
_valid_time = re.compile(_PATTERN).fullmatch
_valid_lines = re.compile(f"(?:{_PATTERN}\n)*+").fullmatch
_leap_days = re.compile("([0-9]{4})-02-29T").findall


class TimeDamaged(PivoriError):
    """A stored time is not RFC 3339."""

    code = "time-damaged"
    message = N_("A time in the repository is damaged: {reason}.")
    hint = N_("Run `pivori verify` to learn which snapshots are hurt.")


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date; the year is counted from March, so that the leap day is its last."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _date(days: int) -> tuple[int, int, int]:
    """The inverse of :func:`_days`: year, month, day."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = (month_from_march + 2) % 12 + 1
    return era * 400 + year_of_era + (month <= 2), month, day


@lru_cache(maxsize=1024)
def _format_day(days: int) -> str:
    """``YYYY-MM-DDT`` of a day; years outside 0 to 9999 become the nearest of the two, as restic does it."""
    year, month, day = _date(days)
    if not 0 <= year <= 9999:
        year = min(max(year, 0), 9999)
        year, month, day = _date(_days(year, month, day))  # 29 February of a year that has none is 1 March
    return f"{year:04d}-{month:02d}-{day:02d}T"


class _Seconds(dict[int, str]):
    """The text of a second up to its fraction, remembered for a bounded number of seconds."""

    def __missing__(self, second: int) -> str:
        days, second_of_day = divmod(second, 86_400)
        minutes, seconds = divmod(second_of_day, 60)
        text = f"{_format_day(days)}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
        if len(self) >= _REMEMBERED_SECONDS:
            self.clear()
        self[second] = text
        return text


_seconds = _Seconds()


def format_time(ns: int) -> str:
    """Nanoseconds since the epoch as RFC 3339 in UTC, the fraction without trailing zeros (Go's RFC3339Nano)."""
    second, fraction = divmod(ns, _SECOND)
    if fraction:
        return f"{_seconds[second]}.{str(_SECOND + fraction)[1:].rstrip('0')}Z"
    return _seconds[second] + "Z"


def valid_times(times: list[str]) -> bool:
    """Whether every text is a time that :func:`parse_time` reads; one scan for all, for whole directories."""
    if not times:
        return True
    lines = "\n".join(times)
    if lines.count("\n") != len(times) - 1 or not _valid_lines(lines + "\n"):
        return False
    return "-02-29T" not in lines or all(_is_leap(int(year)) for year in _leap_days(lines))


@lru_cache(maxsize=1024)
def _parse_day(date: str) -> int:
    """Seconds from the epoch to the start of ``YYYY-MM-DD``."""
    return _days(int(date[:4]), int(date[5:7]), int(date[8:])) * 86_400


@lru_cache(maxsize=4096)
def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time with any offset; digits after the ninth are cut off.

    Raises TimeDamaged for every other text, such as one with 30 February, 24 o'clock or a leap second.
    """
    if not _valid_time(text) or (text[4:11] == "-02-29T" and not _is_leap(int(text[:4]))):
        raise TimeDamaged(reason=Phrase(N_("{text!a} is not a time"), text=text[:64]))
    second = _parse_day(text[:10]) + int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    end = len(text) - 1
    if text[end] != "Z":
        end -= 5
        offset = int(text[end + 1 : end + 3]) * 3600 + int(text[end + 4 :]) * 60
        second += offset if text[end] == "-" else -offset
    if end == 19:
        return second * _SECOND
    return second * _SECOND + int(text[20 : min(end, 29)].ljust(9, "0"))
