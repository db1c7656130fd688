"""On which line of a TOML text each key stands.

The standard parser says what a text means and not where; this one says where and not what. It is meant for texts that
the standard parser has accepted. Of any other it tells what it understands: it never fails.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

Path = tuple[str | int, ...]
"""Keys and numbers of items from the top: ``("components", 2, "hooks", 0, "before")``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_PLAIN_VALUE: Final = re.compile(r"[^,\]}#\n]*")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}
_DEEPEST: Final = 100


class Lines:
    """The lines of a text, by the paths of its keys. They count from 1."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines

    @property
    def known(self) -> Mapping[Path, int]:
        """Those of all keys, tables and items that were found."""
        return self._lines

    def of(self, path: Path) -> int | None:
        """The line of a key; of the nearest table around it when the key is not there. None when that is the file."""
        while path:
            if (line := self._lines.get(path)) is not None:
                return line
            path = path[:-1]
        return None


def find_lines(text: str) -> Lines:
    """Find the lines of all keys, tables and items."""
    scan = _Scan(text)
    with suppress(_Odd):
        scan.run()
    return Lines(scan.lines)


class _Odd(Exception):
    """Something that is no TOML."""


class _Scan:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = (0, 1)
        self._sizes: dict[Path, int] = {}
        """How many tables each array of tables has so far."""
        self.lines: dict[Path, int] = {}

    def run(self) -> None:
        """Read tables and keys to the end. Raises _Odd."""
        table: Path = ()
        while not self._at_end():
            table = self._header() if self._text[self._at] == "[" else self._pair(table)

    def _at_end(self) -> bool:
        self._skip(_BLANK)
        return self._at >= len(self._text)

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``: the path of what follows."""
        line = self._line()
        is_item = self._text.startswith("[[", self._at)
        self._at += 1 + is_item
        keys = self._keys()
        self._expect("]" * (1 + is_item))
        path = self._through(keys[:-1], line)
        path += (keys[-1],)
        self.lines.setdefault(path, line)
        if is_item:
            number = self._sizes.get(path, 0)
            self._sizes[path] = number + 1
            path += (number,)
            self.lines.setdefault(path, line)
        return path

    def _through(self, keys: list[str], line: int) -> Path:
        """The path that keys mean in a header, where the name of an array of tables stands for its latest table."""
        path: Path = ()
        for key in keys:
            path += (key,)
            self.lines.setdefault(path, line)
            if path in self._sizes:
                path += (self._sizes[path] - 1,)
        return path

    def _pair(self, table: Path, depth: int = 0) -> Path:
        """``a.b = value`` in a table: the table's path."""
        line = self._line()
        path = table
        for key in self._keys():
            path += (key,)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._skip(_SPACE)
        self._value(path, depth)
        return table

    def _keys(self) -> list[str]:
        """A key with its dots."""
        keys = [self._key()]
        while self._text.startswith(".", self._at):
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_SPACE)
        if (found := _BARE_KEY.match(self._text, self._at)) is not None:
            key = found[0]
        elif (found := self._string()) is not None:
            key = found[0][1:-1]
            if found[0].startswith('"'):
                key = _ESCAPE.sub(_unescaped, key)
        else:
            raise _Odd
        self._at = found.end()
        self._skip(_SPACE)
        return key

    def _value(self, path: Path, depth: int) -> None:
        mark = self._text[self._at : self._at + 1]
        if mark in ("[", "{"):
            if depth > _DEEPEST:
                raise _Odd
            self._at += 1
            (self._items if mark == "[" else self._pairs)(path, depth + 1)
            return
        found = self._string() or _PLAIN_VALUE.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _items(self, path: Path, depth: int) -> None:
        """The items of an array, after its bracket."""
        number = 0
        while not self._closes("]"):
            place = (*path, number)
            self.lines.setdefault(place, self._line())
            self._value(place, depth)
            number += 1
            self._comma("]")

    def _pairs(self, path: Path, depth: int) -> None:
        """The pairs of an inline table, after its brace."""
        while not self._closes("}"):
            self._pair(path, depth)
            self._comma("}")

    def _closes(self, mark: str) -> bool:
        if self._at_end():
            raise _Odd
        is_closed = self._text[self._at] == mark
        self._at += is_closed
        return is_closed

    def _comma(self, mark: str) -> None:
        if self._at_end():
            raise _Odd
        if self._text[self._at] == ",":
            self._at += 1
        elif self._text[self._at] != mark:
            raise _Odd

    def _string(self) -> re.Match[str] | None:
        return next((found for kind in _STRINGS if (found := kind.match(self._text, self._at)) is not None), None)

    def _expect(self, mark: str) -> None:
        if not self._text.startswith(mark, self._at):
            raise _Odd
        self._at += len(mark)

    def _skip(self, kind: re.Pattern[str]) -> None:
        found = kind.match(self._text, self._at)
        self._at = found.end() if found is not None else self._at

    def _line(self) -> int:
        """The line of where the scan is."""
        position, line = self._counted
        line += self._text.count("\n", position, self._at)
        self._counted = (self._at, line)
        return line


def _unescaped(found: re.Match[str]) -> str:
    digits = found[1] or found[2]
    if digits is None:
        return _ESCAPES.get(found[3], found[3])
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"
