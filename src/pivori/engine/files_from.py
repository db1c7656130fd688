"""Lists of what to back up, read from files: ``--files-from`` and its two literal relatives.

- ``--files-from``: one pattern per line; blank lines, ``#`` comments and the spaces around a line do not count; ``*``,
  ``?`` and ``[a-z]`` are expanded, hidden names included, and a backslash takes the next character as it is.
- ``--files-from-verbatim``: one path per line, as it stands; only empty lines do not count.
- ``--files-from-raw``: paths that each end with a zero byte, so that any name can be listed.

Relative paths start from the working directory. Paths are bytes, because names need not be text.
"""

import codecs
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pivori.engine.globs import expression_of, is_literal
from pivori.errors import PivoriError
from pivori.translation import N_


class UnreadableList(PivoriError):
    """A list of paths that cannot be read."""

    code = "unreadable-list"
    message = N_("The list of files {path} cannot be read: {reason}.")
    hint = N_("Check the path and the permissions of the list.")


class BrokenRawList(PivoriError):
    """A list of zero-terminated paths that was cut short, or holds an empty path."""

    code = "broken-raw-list"
    message = N_("The list of files is broken: its last path does not end with a zero byte, or a path is empty.")
    hint = N_("Make the list again, for example with `find … -print0`; nothing was backed up.")


@dataclass(frozen=True)
class Listing:
    """The paths a list names, and the patterns in it that matched nothing (worth a warning)."""

    paths: tuple[bytes, ...]
    unmatched: tuple[bytes, ...] = ()


def read_list(path: Path, parse: Callable[[bytes], Listing]) -> Listing:
    """Read a list with one of the parsers below. Raises UnreadableList, and what the parser raises."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableList(path=str(path), reason=error.strerror or str(error)) from error
    return parse(content)


def parse_patterns(content: bytes) -> Listing:
    """Read a ``--files-from`` list and expand its patterns, each in the order of the names. Raises BadPattern."""
    paths: list[bytes] = []
    unmatched: list[bytes] = []
    for line in map(bytes.strip, _lines(content)):
        if not line or line.startswith(b"#"):
            continue
        found = expand(line)
        paths += found
        if not found:
            unmatched.append(line)
    return Listing(tuple(paths), tuple(unmatched))


def parse_verbatim(content: bytes) -> Listing:
    """Read a ``--files-from-verbatim`` list."""
    return Listing(tuple(line for line in _lines(content) if line))


def parse_raw(content: bytes) -> Listing:
    """Read a ``--files-from-raw`` list. Raises BrokenRawList rather than back up half of what was meant."""
    *paths, rest = content.split(b"\0")
    if rest or not all(paths):
        raise BrokenRawList()
    return Listing(tuple(paths))


def expand(pattern: bytes) -> list[bytes]:
    """The existing paths that a pattern means, sorted by directory; directories that cannot be read match nothing.

    Raises BadPattern.
    """
    text = pattern.decode("utf-8", "surrogateescape")
    if is_literal(text):
        return [pattern] if os.path.lexists(pattern) else []
    parent, slash, last = text.rstrip("/").rpartition("/")
    directories = expand(parent.encode("utf-8", "surrogateescape")) if parent else [slash.encode()]
    return [
        os.path.join(directory, name)  # noqa: PTH118 - names are bytes here
        for directory in directories
        for name in _names(directory, last)
    ]


def _names(directory: bytes, segment: str) -> list[bytes]:
    """The entries of a directory that one segment of a pattern means, sorted."""
    if is_literal(segment):
        name = segment.encode("utf-8", "surrogateescape")
        return [name] if os.path.lexists(os.path.join(directory, name)) else []  # noqa: PTH118 - as above
    matches = re.compile(expression_of(segment)).fullmatch
    try:
        names = os.listdir(directory or b".")  # noqa: PTH208 - as above
    except OSError:
        return []
    return sorted(name for name in names if matches(name.decode("utf-8", "surrogateescape")))


def _lines(content: bytes) -> list[bytes]:
    """The lines of a text in UTF-8, or in UTF-16 with a byte order mark, without their ends."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode()
    return [line.removesuffix(b"\r") for line in content.removeprefix(codecs.BOM_UTF8).split(b"\n")]
