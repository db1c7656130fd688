"""When something is done regularly, as the configuration says it: a word, or the five fields of cron."""

import re
from collections.abc import Sequence
from typing import Final

from pivori.translation import N_, Phrase

WORDS: Final = ("hourly", "daily", "weekly", "monthly")

_FIELDS: Final = (
    (N_("minute"), 0, 59, ()),
    (N_("hour"), 0, 23, ()),
    (N_("day of the month"), 1, 31, ()),
    (N_("month"), 1, 12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (N_("day of the week"), 0, 7, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
)
_PART: Final = re.compile(r"(\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,2}))?")


def checked_calendar(text: str) -> str:
    """``text`` itself. Raises ValueError with a sentence when it says no time."""
    fields = text.split()
    if text in WORDS:
        return text
    if len(fields) != len(_FIELDS):
        raise ValueError(N_('write hourly, daily, weekly, monthly, or the five fields of cron: "30 2 * * *"'))
    for field, (name, lowest, highest, names) in zip(fields, _FIELDS, strict=True):
        if not all(_is_part(part, lowest, highest, names) for part in field.split(",")):
            raise ValueError(Phrase(N_("“{field}” is no {name} of cron"), field=field, name=Phrase(name)))
    return text


def _is_part(part: str, lowest: int, highest: int, names: Sequence[str]) -> bool:
    found = _PART.fullmatch(part)
    if found is None or found["step"] == "0":
        return False
    values = []
    for word in filter(None, (found["first"], found["last"])):
        if word.lower() in names:
            values.append(names.index(word.lower()) + lowest)
        elif word.isascii() and word.isdigit() and lowest <= int(word) <= highest:
            values.append(int(word))
        else:
            return False
    return values == sorted(values)
