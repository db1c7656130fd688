"""The archives in a directory: what their names, their files and the history say, without opening them."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pivori.archives.checksum import find_checksum
from pivori.archives.container import ArchiveFormat
from pivori.archives.naming import ENVELOPES, ArchiveName, parse_name
from pivori.engine.archive.history import Run, verdicts
from pivori.engine.archive.opening import ArchiveUnreadable


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An archive as a directory has it. ``name`` is None for one with a name that says nothing; ``verdict`` is the
    last run that tells whether it is whole."""

    path: Path
    name: ArchiveName | None
    size: int
    modified: float
    has_checksum: bool
    verdict: Run | None


def list_archives(directory: Path, runs: Iterable[Run], *, everything: bool = False) -> list[Listed]:
    """The archives in a directory, the oldest first; with ``everything`` also files that only end like one.

    Raises ArchiveUnreadable when the directory cannot be read.
    """
    known = verdicts(runs)
    found = []
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise ArchiveUnreadable(archive=str(directory), reason=error.strerror or str(error)) from None
    for path in entries:
        name = parse_name(path.name)
        if name is None and not (everything and _ends_like_one(path.name)):
            continue
        try:
            status = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.append(
                Listed(
                    path=path,
                    name=name,
                    size=status.st_size,
                    modified=status.st_mtime,
                    has_checksum=find_checksum(path) is not None,
                    verdict=known.get(os.path.abspath(path)),
                )
            )
    return sorted(found, key=_made)


def _made(listed: Listed) -> tuple[float, str]:
    time = listed.name.time.timestamp() if listed.name is not None else listed.modified
    return time, listed.path.name


def _ends_like_one(name: str) -> bool:
    for envelope in ENVELOPES:
        name = name.removesuffix(f".{envelope}")
    return any(name.endswith(f".{each.value}") for each in ArchiveFormat) and not name.startswith(".")
