"""What a capture says of itself, as it is kept in the recovery point: which bases it has, and how far the log goes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from pivori.components.base import Report
from pivori.components.postgres_physical.lsn import parse_lsn, segment_path, segments


class BaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A base backup: its files are in ``base/<id>``.

    ``start`` and ``end`` are positions, ``ended`` the server's time when it was whole, ``taken`` ours when it began.
    ``archives`` are the tars and the folders of the tablespaces in them; the main one has none.
    """

    id: str
    start: str
    end: str
    timeline: int
    taken: datetime
    ended: datetime
    size: int
    archives: dict[str, str]

    @property
    def folder(self) -> str:
        """Where it is in a capture."""
        return f"base/{self.id}"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A capture. The log goes without a gap from the start of the first base to ``position``, the state of ``time``.

    ``settings`` are those of the server that one which reads its log must not have smaller; ``superuser`` and
    ``database`` are names to connect with.
    """

    system: str
    timeline: int
    segment_size: int
    major: int
    position: str
    time: datetime
    slot: str
    superuser: str
    database: str
    bases: list[BaseFacts]
    settings: dict[str, str]

    @classmethod
    def of(cls, report: Report | None) -> "Facts | None":
        """What a report holds; None when there is none, or one that this version does not understand."""
        if report is None:
            return None
        try:
            return msgspec.convert(dict(report.facts), cls)
        except msgspec.ValidationError:
            return None

    def encoded(self) -> Mapping[str, Any]:
        """As JSON."""
        encoded: Mapping[str, Any] = msgspec.to_builtins(self)
        return encoded

    @property
    def end(self) -> int:
        """The position as a number."""
        return parse_lsn(self.position)

    def log_files(self, base: BaseFacts) -> list[tuple[str, str, int, int]]:
        """The files of the log since a base: path, name of the segment, first position, length."""
        found = segments(self.timeline, parse_lsn(base.start), self.end, self.segment_size)
        return [(segment_path(name, size, self.segment_size), name, first, size) for name, first, size in found]


def history_path(timeline: int) -> str:
    """Where a capture has the history of a timeline; the first one has none."""
    return f"wal/{timeline:08X}.history"
