"""Lists of gitignore patterns, parsed and compiled: what a backup leaves out and what a restore picks.

In a list the last pattern that matches decides, and ``!`` in front turns its verdict round. A pattern without a
slash (``*.pyc``, ``cache/``) means a name at any depth; one with a slash in front or in the middle
(``/build``, ``docs/*.html``) is read from the root of the backup; with a slash in front (``/home/me/cache``) it is
read from the root of the file system too, so that absolute paths work. A slash at the end means directories only.

The lists are compiled for speed, because they are asked for every file: literal names become a set, ``*.ext`` a tuple
for ``str.endswith``, the rest one regular expression over the name or over the path.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pivori.engine.globs import ANY_DEPTH, BadPattern, expression_of, is_literal, path_expression
from pivori.errors import PivoriError
from pivori.translation import N_

_BYTE_ORDER_MARK = "\ufeff"


class UnreadablePatternFile(PivoriError):
    """A file of patterns that cannot be read."""

    code = "unreadable-pattern-file"
    message = N_("The pattern file {path} cannot be read: {reason}.")
    hint = N_("Check the path and the permissions of the file.")


@dataclass(frozen=True)
class Pattern:
    """One parsed pattern. ``segments`` are the names between the slashes; a name at any depth begins with ``**``.

    ``is_absolute``: it has a slash in front and may be meant from the root of the file system.
    """

    segments: tuple[str, ...]
    is_absolute: bool = False
    is_negated: bool = False
    only_directories: bool = False

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Read one pattern; spaces at its end do not count unless a backslash precedes them. Raises BadPattern."""
        body = _without_trailing_spaces(text)
        is_negated = body.startswith("!")
        body = body[is_negated:]
        only_directories = body.endswith("/")
        if only_directories:
            body = body[:-1]
        segments = _segments(body)
        try:
            for segment in segments:
                expression_of(segment)
        except BadPattern:
            raise BadPattern(pattern=text) from None
        is_absolute = body.startswith("/") and segments[0] != ANY_DEPTH
        return cls(segments, is_absolute, is_negated, only_directories)

    @property
    def name(self) -> str | None:
        """The glob of a name at any depth, or None for a pattern about a path."""
        is_about_names = len(self.segments) == 2 and self.segments[0] == ANY_DEPTH
        return self.segments[1] if is_about_names else None

    def rests(self, directory: Sequence[str]) -> set[tuple[str, ...]]:
        """What the pattern asks of paths below ``directory``; no segments at all mean the directory itself."""
        return set(_rests(self.segments, tuple(directory)))


def _rests(segments: tuple[str, ...], directory: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not directory:
        yield segments
    elif segments and segments[0] == ANY_DEPTH:
        yield from _rests(segments[1:], directory)
        yield from _rests(segments, directory[1:])
        if len(segments) == 1 and len(directory) == 1:
            yield ()  # a last `**` means everything below, so this directory too
    elif segments and re.fullmatch(expression_of(segments[0]), directory[0]):
        yield from _rests(segments[1:], directory[1:])


def _segments(body: str) -> tuple[str, ...]:
    if "/" not in body:
        return (ANY_DEPTH, "*" if body == ANY_DEPTH else body) if body else ()
    found: list[str] = []
    for segment in body.removeprefix("/").split("/"):
        if found[-1:] != [ANY_DEPTH] or segment != ANY_DEPTH:
            found.append(segment)
    return tuple(found)


def read_pattern_file(path: Path) -> list[str]:
    """The patterns of a file in gitignore's form: one per line, ``#`` comments, any line ends.

    Raises UnreadablePatternFile.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UnreadablePatternFile(path=str(path), reason=error.strerror or str(error)) from error
    lines = (line.removesuffix("\r") for line in text.removeprefix(_BYTE_ORDER_MARK).split("\n"))
    return [line for line in lines if line.strip(" ") and not line.startswith("#")]


def _without_trailing_spaces(text: str) -> str:
    """The text without the spaces at its end, up to one that a backslash protects."""
    bare = text.rstrip(" ")
    backslashes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if backslashes % 2 and bare != text else bare


class Verdicts:
    """Patterns compiled for the paths below one directory. Truth: whether there are any."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._for_directories = _blocks(patterns)
        self._for_files = _blocks([pattern for pattern in patterns if not pattern.only_directories])

    def __bool__(self) -> bool:
        return bool(self._for_directories)

    def decide(self, directory: str, name: str, is_directory: bool) -> bool | None:
        """What the last pattern that matches says: True (it is meant), False (``!``); None when none matches.

        ``directory`` is the relative path of the parent with a slash at its end, or empty.
        """
        for verdict, names, endings, matches_name, matches_path in (
            self._for_directories if is_directory else self._for_files
        ):
            if (
                name in names
                or name.endswith(endings)
                or (matches_name is not None and matches_name(name) is not None)
                or (matches_path is not None and matches_path(directory + name) is not None)
            ):
                return verdict
        return None


class _Block(NamedTuple):
    """Neighbouring patterns of one sign, in the forms that are quick to try."""

    verdict: bool
    names: frozenset[str]
    endings: tuple[str, ...]
    matches_name: Callable[[str], re.Match[str] | None] | None
    matches_path: Callable[[str], re.Match[str] | None] | None


def _blocks(patterns: Sequence[Pattern]) -> tuple[_Block, ...]:
    """The patterns in blocks of one sign, the last first."""
    runs = groupby(reversed(patterns), key=lambda pattern: pattern.is_negated)
    return tuple(_block(not is_negated, list(members)) for is_negated, members in runs)


def _block(verdict: bool, patterns: Sequence[Pattern]) -> _Block:
    names, endings, globs, paths = set(), set(), set(), set()
    for pattern in patterns:
        if pattern.name is None:
            paths.add(path_expression(pattern.segments))
        elif is_literal(pattern.name):
            names.add(pattern.name)
        elif pattern.name.startswith("*") and is_literal(pattern.name[1:]):
            endings.add(pattern.name[1:])
        else:
            globs.add(expression_of(pattern.name))
    return _Block(verdict, frozenset(names), tuple(sorted(endings)), _any_of(globs), _any_of(paths))


def _any_of(expressions: set[str]) -> Callable[[str], re.Match[str] | None] | None:
    return re.compile("|".join(sorted(expressions))).fullmatch if expressions else None


def below(patterns: Sequence[Pattern], root: Sequence[str]) -> list[Pattern]:
    """The patterns as they apply to paths relative to the directory ``root``, in their order.

    An absolute pattern is there as it is, and as what it asks when it is read from the file system's root.
    """
    found = []
    for pattern in patterns:
        found.append(pattern)
        if pattern.is_absolute:
            absolute = sorted(rest for rest in pattern.rests(root) if rest and rest != pattern.segments)
            found.extend(replace(pattern, segments=rest) for rest in absolute)
    return found


def components(path: bytes) -> tuple[str, ...]:
    """The names in a path, as the text that patterns are matched on."""
    return tuple(name.decode("utf-8", "surrogateescape") for name in path.split(b"/") if name)
