"""Which files are SQLite databases: those that begin as one, whatever their names."""

import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pivori.components.sqlite.errors import DatabaseMissing, NotADatabase
from pivori.translation import N_, Phrase

MAGIC: Final = b"SQLite format 3\0"
_SMALLEST: Final = 512
_ODD_NAMES: Final = (".sqlite", ".sqlite3", ".db3", ".s3db", ".sl3")
_WILD: Final = frozenset("*?[")


@dataclass(kw_only=True)
class Found:
    """Databases, each once; what there is to say of other files; ``is_whole`` when the search came to its end."""

    databases: list[Path] = field(default_factory=list)
    warnings: list[Phrase] = field(default_factory=list)
    is_whole: bool = True


def find_databases(component: str, paths: Sequence[Path], *, go_on: Callable[[], bool] = lambda: True) -> Found:
    """The databases in files, folders and patterns, as long as ``go_on`` says so.

    Raises DatabaseMissing and NotADatabase for what is named without wildcards.
    """
    found = Found()
    seen: set[Path] = set()
    for path in paths:
        for file, is_named in _files(component, path, found):
            if not go_on():
                found.is_whole = False
                return found
            place = file.resolve()
            if place not in seen:
                seen.add(place)
                _take(component, place, is_named, found)
    found.databases.sort()
    return found


def _files(component: str, path: Path, found: Found) -> Iterator[tuple[Path, bool]]:
    """The files of a path, each with whether it is named itself."""
    if not os.path.lexists(path):
        if not _WILD & set(str(path)):
            raise DatabaseMissing(component=component, path=path)
        for name in sorted(glob.iglob(str(path), recursive=True, include_hidden=True)):  # noqa: PTH207 - of an absolute pattern
            yield from ((file, False) for file in _below(Path(name), found))
    elif path.is_dir():
        yield from ((file, False) for file in _below(path, found))
    elif path.exists():
        yield path, True
    else:
        raise DatabaseMissing(component=component, path=path)


def _below(path: Path, found: Found) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return

    def unread(error: OSError) -> None:
        found.warnings.append(Phrase(N_("{path} could not be read"), path=str(error.filename)))

    for folder, folders, names in os.walk(path, onerror=unread):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if not file.is_symlink():
                yield file


def _take(component: str, path: Path, is_named: bool, found: Found) -> None:
    try:
        begin, size = _beginning(path)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = error.strerror or str(error)
        found.warnings.append(Phrase(N_("{path} could not be read: {reason}"), path=str(path), reason=reason))
        return
    if begin == MAGIC:
        found.databases.append(path)
    elif size == 0 and is_named:
        found.warnings.append(Phrase(N_("{path} is empty: there is no database in it yet"), path=str(path)))
    elif is_named:
        raise NotADatabase(component=component, path=path)
    elif size >= _SMALLEST and path.suffix in _ODD_NAMES:
        text = N_("{path} has the name of a SQLite database and is none, or an encrypted one")
        found.warnings.append(Phrase(text, path=str(path)))


def _beginning(path: Path) -> tuple[bytes, int]:
    """The first bytes of a regular file, and its length; ``-1`` for what is none. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return b"", -1
        return os.pread(descriptor, len(MAGIC), 0), facts.st_size
    finally:
        os.close(descriptor)
