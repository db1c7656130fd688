"""Which files the patterns of a configuration mean, and what is in them."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Final

from pivori.components.base import ComponentFailed
from pivori.host.partial import is_partial
from pivori.translation import N_

MOST: Final = 16 << 20
"""Bytes a secret may have: it is in memory as a whole."""

_WILD: Final = frozenset("*?[")
_ATTEMPTS: Final = 5
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Without waiting: a pipe that has taken the place of a file would be waited for."""


class SecretUnreadable(ComponentFailed):
    """A file that is to be sealed cannot be read."""

    code = "secret-unreadable"
    message = N_("The secret {path} of the component {component} cannot be read: {reason}.")
    hint = N_("Mend what the reason says, or take it out of the option `files`.")


@dataclass
class FoundFiles:
    """The files, each once and in order; ``missing`` are named files that are not there, ``idle`` patterns without a
    file, ``closed`` folders that could not be looked into."""

    files: Sequence[Path] = ()
    missing: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def find_files(root: Path, patterns: Sequence[str]) -> FoundFiles:
    """The files that are meant by paths and patterns, relative ones seen from ``root``.

    A folder means all files in it. ``*``, ``?`` and ``[…]`` stand for letters of a name, ``**`` for any folders; links
    to folders are not followed.
    """
    found = FoundFiles()
    files: set[Path] = set()
    for pattern in patterns:
        place = place_of(root, pattern)
        before = len(files)
        head, tail = _split(place)
        if tail:
            matching = list(_walk(head, tail, found))
            files.update(matching)
            if not matching:
                found.idle.append(pattern)
        elif place.is_dir():
            files.update(_walk(place, ("**",), found))
            if len(files) == before:
                found.idle.append(pattern)
        elif place.is_file():
            files.add(place)
        else:
            found.missing.append(pattern)
    found.files = sorted(files)
    return found


def place_of(root: Path, pattern: str) -> Path:
    """The full path of a pattern, without ``.`` and ``..``."""
    return Path(os.path.normpath(root / pattern))


def read_secret(path: Path, component: str) -> tuple[bytes, os.stat_result]:
    """The content of a file at one moment, and its status. Raises SecretUnreadable, also when it is too large."""
    try:
        for _ in range(_ATTEMPTS):
            content, before, after = _read_once(path)
            if len(content) > MOST:
                raise SecretUnreadable(path=str(path), component=component, reason=N_("it has more than 16 MiB"))
            if before.st_mtime_ns == after.st_mtime_ns and before.st_size == after.st_size == len(content):
                return content, after
    except OSError as error:
        reason = error.strerror or str(error)
        raise SecretUnreadable(path=str(path), component=component, reason=reason) from None
    raise SecretUnreadable(path=str(path), component=component, reason=N_("it changes all the time"))


def _read_once(path: Path) -> tuple[bytes, os.stat_result, os.stat_result]:
    descriptor = os.open(path, _READ)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(None, N_("it is no regular file"))
        parts, size = [], 0
        while size <= MOST and (part := os.read(descriptor, MOST + 1 - size)):
            parts.append(part)
            size += len(part)
        return b"".join(parts), before, os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _split(place: Path) -> tuple[Path, tuple[str, ...]]:
    """The part of a path without wildcards, and the names from the first wildcard on."""
    for number, name in enumerate(place.parts):
        if _WILD & set(name):
            return Path(*place.parts[:number]), place.parts[number:]
    return place, ()


def _walk(head: Path, tail: tuple[str, ...], found: FoundFiles) -> Iterator[Path]:
    """The files below a folder whose names match."""
    deepest = None if "**" in tail else len(tail)
    for folder, folders, names in os.walk(head, onerror=lambda error: found.closed.append(str(error.filename))):
        parts = PurePath(folder).relative_to(head).parts
        folders.sort()
        if deepest is not None and len(parts) + 1 >= deepest:
            folders.clear()
        for name in names:
            path = Path(folder, name)
            if _matches((*parts, name), tail) and not is_partial(os.fsencode(name)) and path.is_file():
                yield path


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return pattern == ("**",) or any(_matches(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
