"""The names of archive files: ``pivori-<strategy>-<YYYYmmdd-HHMMSS>.<ending>``, and those of the script before us.

The time is the wall clock of the machine that made the archive. The old script wrote ``rubi-studio-…`` and was less
strict about the time.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pivori.archives.container import ArchiveFormat

PREFIX: Final = "pivori"
OLD_PREFIX: Final = "rubi-studio"
ENVELOPES: Final = ("gpg", "age")
"""The endings that an envelope adds to that of the container."""

_ENDINGS = "|".join(re.escape(each.value) for each in ArchiveFormat)
_ENVELOPES = "|".join(ENVELOPES)
_OURS: Final = re.compile(
    rf"(?P<prefix>{PREFIX})-(?P<strategy>complete|smart|compressed|differential)-"
    rf"(?P<date>\d{{8}})-(?P<clock>\d{{6}})\.(?P<format>{_ENDINGS})(?:\.(?P<envelope>{_ENVELOPES}))?",
    re.ASCII,
)
_OLD: Final = re.compile(
    rf"(?P<prefix>{OLD_PREFIX})-(?P<strategy>complete|smart|compressed|differential)-"
    r"(?P<date>\d{4}-?\d{2}-?\d{2})(?:[-_T]?(?P<clock>\d{2}[-:]?\d{2}(?:[-:]?\d{2})?))?"
    rf"\.(?P<format>{_ENDINGS})(?:\.(?P<envelope>{_ENVELOPES}))?",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True)
class ArchiveName:
    """What the name of an archive says. ``time`` is a wall clock without a zone; ``envelope`` is empty for none."""

    prefix: str
    strategy: str
    time: datetime
    format: ArchiveFormat
    envelope: str = ""

    @property
    def is_old(self) -> bool:
        """Whether the old script made it."""
        return self.prefix == OLD_PREFIX

    def __str__(self) -> str:
        ending = f"{self.format}.{self.envelope}" if self.envelope else str(self.format)
        return f"{self.prefix}-{self.strategy}-{self.time:%Y%m%d-%H%M%S}.{ending}"


def parse_name(name: str) -> ArchiveName | None:
    """What a file's name says when it is that of an archive, ours or an old one; otherwise None."""
    found = _OURS.fullmatch(name) or _OLD.fullmatch(name)
    if found is None:
        return None
    date = found["date"].replace("-", "")
    clock = re.sub("[-:]", "", found["clock"] or "").ljust(6, "0")
    try:
        time = datetime.strptime(date + clock, "%Y%m%d%H%M%S")  # noqa: DTZ007 - a wall clock
    except ValueError:
        return None
    return ArchiveName(
        prefix=found["prefix"],
        strategy=found["strategy"],
        time=time,
        format=ArchiveFormat(found["format"]),
        envelope=found["envelope"] or "",
    )


def archive_name(strategy: str, time: datetime, container: ArchiveFormat, envelope: str = "") -> str:
    """The name of a new archive."""
    name = ArchiveName(prefix=PREFIX, strategy=strategy, time=time, format=container, envelope=envelope)
    return str(name)
