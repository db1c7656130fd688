"""SQLite databases, by the first bytes of the files."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.stack.discovery.walk import Inventory
from pivori.translation import N_, Phrase

_HEADER: Final = b"SQLite format 3\x00"
_SUFFIXES: Final = frozenset(
    {".db", ".db3", ".sqlite", ".sqlite3", ".s3db", ".sl3", ".sdb", ".data", ".dat", ".store", ""}
)
"""Others are not opened: a header would be read from each of a hundred thousand files."""
_MOST_OPENED: Final = 3000
_MOST: Final = 200


def find_sqlite_files(inventory: Inventory) -> Sequence[str]:
    """The files that are SQLite databases."""
    named = [path for path in inventory.files if PurePosixPath(path).suffix.lower() in _SUFFIXES]
    # Those that say so in their names come first, should there be too many to open.
    candidates = sorted(named, key=lambda path: PurePosixPath(path).suffix in ("", ".dat", ".data", ".store"))
    found = [path for path in candidates[:_MOST_OPENED] if inventory.start_of(path, len(_HEADER)) == _HEADER]
    return sorted(found)[:_MOST]


def describe_sqlite(paths: Sequence[str]) -> Sequence[Discovery]:
    """One discovery for all of them."""
    if not paths:
        return []
    what = Phrase(N_("SQLite databases: {count}."), count=len(paths))
    return [Discovery(topic=Topic.SQLITE, what=what, why=[Evidence(path=path) for path in paths])]
