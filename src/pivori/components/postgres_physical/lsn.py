"""Positions in the write-ahead log, and the segments (files) that it is cut into.

A position (LSN) is a number of bytes since the cluster was made, written ``16/B374D848``; a segment is named by its
timeline and its number, as in the server's ``pg_wal``.
"""

import re
from typing import Final

PAGE_SIZE: Final = 8192
"""Bytes of a page of the log, in every server that was not built with another size."""


def parse_lsn(text: str) -> int:
    """The number that ``16/B374D848`` stands for. Raises ValueError."""
    found = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", text.strip())
    if found is None:
        raise ValueError(text)
    return int(found[1], 16) << 32 | int(found[2], 16)


def format_lsn(lsn: int) -> str:
    """A position as the server writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def segment_start(lsn: int, segment_size: int) -> int:
    """The first position of the segment that holds a position."""
    return lsn - lsn % segment_size


def segment_name(timeline: int, lsn: int, segment_size: int) -> str:
    """The name of the segment that holds a position."""
    number = lsn // segment_size
    per_log = (1 << 32) // segment_size
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


def segments(timeline: int, start: int, end: int, segment_size: int) -> list[tuple[str, int, int]]:
    """The segments between two positions: name, first position, and how many bytes of it lie before the end."""
    found = []
    for first in range(segment_start(start, segment_size), end, segment_size):
        found.append((segment_name(timeline, first, segment_size), first, min(segment_size, end - first)))
    return found


def segment_path(name: str, length: int, segment_size: int) -> str:
    """Where a segment is in a capture: one that was not full yet has ``.partial`` behind its name."""
    return f"wal/{name}" if length == segment_size else f"wal/{name}.partial"
