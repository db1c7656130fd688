"""Sizes, shares and counts as people write them: ``2G``, ``5%``, ``1/10``, ``unlimited``.

Letters count in powers of 1024, as restic's do: ``K`` 1024 bytes, then ``M``, ``G`` and ``T``.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from pivori.errors import PivoriError
from pivori.translation import N_

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%")
_PART = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{1,9})")
_COUNT = re.compile(r"[0-9]{1,9}")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_UNLIMITED = "unlimited"


class BadSize(PivoriError):
    """A size that cannot be read."""

    code = "bad-size"
    message = N_("“{text}” is not a size.")
    hint = N_("Write a number of bytes, or one with K, M, G or T, as in 500M or 2G.")
    exit_status = 2


class BadSubset(PivoriError):
    """A part of the whole that cannot be read."""

    code = "bad-subset"
    message = N_("“{text}” is not a part of the data.")
    hint = N_("Write the part and the number of parts, a percentage or a size, as in 1/10, 5% or 2G.")
    exit_status = 2


class BadLimit(PivoriError):
    """A limit that cannot be read."""

    code = "bad-limit"
    message = N_("“{text}” is not a limit.")
    hint = N_("Write a percentage, a size or “unlimited”, as in 5% or 2G.")
    exit_status = 2


class BadCount(PivoriError):
    """A number of things that cannot be read."""

    code = "bad-count"
    message = N_("“{text}” is not a number of snapshots.")
    hint = N_("Write a whole number from 0, or “unlimited”, as in 7.")
    exit_status = 2


@dataclass(frozen=True)
class Part:
    """The ``number``-th (from 1) of ``parts`` equal parts."""

    number: int
    parts: int


@dataclass(frozen=True)
class Percent:
    """A share of the whole, above 0 (or 0 itself in a limit) and up to 100."""

    value: float


@dataclass(frozen=True)
class Size:
    """A number of bytes."""

    bytes: int


def parse_size(text: str) -> int:
    """The number of bytes that ``500``, ``1.5M``, ``2G`` or ``2GiB`` mean. Raises BadSize."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadSize(text=text)
    return int(Decimal(match[1]) * 1024 ** _POWERS.get((match[2] or "").lower(), 0))


def parse_subset(text: str) -> Part | Percent | Size:
    """What ``--read-data-subset`` means: ``1/10``, ``5%`` or ``2G``, never nothing. Raises BadSubset."""
    found = _percent_or_size(text)
    part = _PART.fullmatch(text.strip())
    if part is not None and 1 <= int(part[1]) <= int(part[2]):
        return Part(int(part[1]), int(part[2]))
    if found is None or found in (Percent(0), Size(0)):
        raise BadSubset(text=text)
    return found


def parse_limit(text: str) -> Percent | Size | None:
    """What ``--max-unused`` means: ``5%``, ``2G``, or None for ``unlimited``. Raises BadLimit."""
    if text.strip().lower() == _UNLIMITED:
        return None
    found = _percent_or_size(text)
    if found is None:
        raise BadLimit(text=text)
    return found


def parse_count(text: str) -> int:
    """What ``--keep-daily`` and its like mean: a number from 0, or -1 for ``unlimited``. Raises BadCount."""
    text = text.strip()
    if text.lower() in (_UNLIMITED, "-1"):
        return -1
    if _COUNT.fullmatch(text) is None:
        raise BadCount(text=text)
    return int(text)


def _percent_or_size(text: str) -> Percent | Size | None:
    percent = _PERCENT.fullmatch(text.strip())
    if percent is not None:
        return Percent(float(percent[1])) if float(percent[1]) <= 100 else None
    try:
        return Size(parse_size(text))
    except BadSize:
        return None
