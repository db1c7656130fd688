"""``.env`` files as docker compose and the dotenv libraries read them: names, values, and the lines they are on.

``NAME=value`` per line, ``export`` in front or not; single quotes keep everything as it is, double quotes know
``\\n`` and friends and may span lines, ``${NAME}`` stands for an earlier value. What cannot be understood is left out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

_START: Final = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*")
_QUOTED: Final = {
    "'": re.compile(r"'([^']*)'"),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
_VARIABLE: Final = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<mark>:?[-?+])(?P<word>[^{}]*))?\})"
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


class Variable(NamedTuple):
    """One assignment. ``line`` counts from 1."""

    name: str
    value: str
    line: int


class Unresolved(KeyError):
    """A text names a variable that has no value here."""


def parse_env(text: str) -> Sequence[Variable]:
    """The assignments of a file in their order; a later one of the same name wins, as everywhere."""
    found: list[Variable] = []
    values: dict[str, str] = {}
    position, line = 0, 1
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        start = _START.match(text, position, end)
        if start is not None:
            value, end = _value(text, start.end(), end, values)
            values[start[1]] = value
            found.append(Variable(start[1], value, line))
        line += text.count("\n", position, end + 1)
        position = end + 1
    return found


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """``text`` with its ``$NAME`` and ``${NAME:-default}`` filled in. Raises Unresolved where there is no value."""

    def fill(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        name = found["plain"] or found["name"]
        value, mark, word = values.get(name), found["mark"] or "", found["word"] or ""
        is_set = bool(value) if mark.startswith(":") else value is not None
        if mark.endswith("+"):
            return word if is_set else ""
        if is_set:
            return value or ""
        if mark.endswith("-"):
            return word
        raise Unresolved(name)

    return _VARIABLE.sub(fill, text)


def password_in(value: str) -> str:
    """The password of a URL, or ``value`` itself when it is none. Empty when the URL has no password."""
    if "://" not in value:
        return value
    try:
        return unquote(urlsplit(value).password or "")
    except ValueError:
        return ""


def _value(text: str, position: int, end: int, values: Mapping[str, str]) -> tuple[str, int]:
    """The value that begins at ``position``, and where its last line ends."""
    mark = text[position : position + 1]
    quoted = _QUOTED[mark].match(text, position) if mark in _QUOTED else None
    if quoted is None:
        plain = re.split(r"[ \t]#|^#", text[position:end], maxsplit=1)[0].strip()
        return _filled(plain, values), end
    after = text.find("\n", quoted.end())
    end = len(text) if after < 0 else after
    if mark == "'":
        return quoted[1], end
    unescaped = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), quoted[1], flags=re.DOTALL)
    return _filled(unescaped, values), end


def _filled(text: str, values: Mapping[str, str]) -> str:
    """``text`` with earlier values in it, and as it stands where one is missing."""
    try:
        return interpolated(text, values)
    except Unresolved:
        return text
