"""Shell patterns in the gitignore dialect, turned into regular expressions over text paths.

``*`` stands for any run of characters but ``/``, ``?`` for one, ``[a-z]``, ``[!a]`` and ``[[:digit:]]`` for one of a
set, ``\\`` takes the next character as it is, and a segment ``**`` stands for any number of directories. Names are
matched as text decoded with ``surrogateescape``, so that ``?`` is one character of a UTF-8 name, or one byte of a name
that is not UTF-8, and any name at all can be matched.
"""

import re
from collections.abc import Iterator, Sequence

from pivori.errors import PivoriError
from pivori.translation import N_

ANY_DEPTH = "**"
_ANY = "[^/]*"
_DIRECTORIES = "(?:[^/]+/)*"
_POSIX_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_SPECIAL = frozenset("*?[\\")


class BadPattern(PivoriError):
    """A pattern that can match nothing."""

    code = "bad-pattern"
    message = N_("The pattern “{pattern}” cannot be read: a bracket is left open or a backslash ends it.")
    hint = N_("Put a backslash in front of a “[” or “\\” that stands for itself.")
    exit_status = 2


def is_literal(segment: str) -> bool:
    """Whether the segment stands for itself alone."""
    return _SPECIAL.isdisjoint(segment)


def path_expression(segments: Sequence[str]) -> str:
    """The expression whose full match is a path of these segments; no segment matches no path.

    A last ``**`` stands for everything below, at any depth, but not for the directory itself. Raises BadPattern.
    """
    if not segments:
        return r"(?!)"
    expression = ""
    last = len(segments) - 1
    for position, segment in enumerate(segments):
        if segment == ANY_DEPTH:
            expression += "[^/]+(?:/[^/]+)*" if position == last else _DIRECTORIES
        else:
            expression += expression_of(segment) + ("" if position == last else "/")
    return expression


def expression_of(segment: str) -> str:
    """The expression whose full match is one name. Raises BadPattern."""
    runs: list[str] = [""]
    for token in _tokens(segment):
        if token == _ANY:
            runs.append("")
        else:
            runs[-1] += token
    first, *others = runs
    if not others:
        return first
    *middle, tail = others
    # Every run has a fixed length, so the first place where a middle one fits is as good as any: atomic groups say
    # so, and a pattern with many stars costs no more than its length.
    return first + "".join(f"(?>[^/]*?{run})" for run in middle if run) + _ANY + tail


def _tokens(segment: str) -> Iterator[str]:
    """The expression of each element of a segment in turn."""
    position = 0
    while position < len(segment):
        character = segment[position]
        position += 1
        if character == "*":
            yield _ANY
        elif character == "?":
            yield "[^/]"
        elif character == "[":
            expression, position = _bracket(segment, position)
            yield expression
        elif character == "\\":
            if position == len(segment):
                raise BadPattern(pattern=segment)
            yield re.escape(segment[position])
            position += 1
        else:
            yield re.escape(character)


def _bracket(segment: str, position: int) -> tuple[str, int]:
    """The expression of the set that opens before ``position``, and the position after its closing bracket."""
    negated = segment[position : position + 1] in ("!", "^")
    position += negated
    parts: list[str] = []
    start = position
    while segment[position : position + 1] != "]" or position == start:
        if segment.startswith("[:", position) and (end := segment.find(":]", position)) > 0:
            name = segment[position + 2 : end]
            if name not in _POSIX_CLASSES:
                raise BadPattern(pattern=segment)
            parts.append(_POSIX_CLASSES[name])
            position = end + 2
            continue
        low, position = _set_member(segment, position)
        high = low
        if segment[position : position + 1] == "-" and segment[position + 1 : position + 2] not in ("", "]"):
            high, position = _set_member(segment, position + 1)
        # The lower end of a range is in the set even when the upper one lies before it: so it is in git.
        parts.append(f"{re.escape(low)}-{re.escape(max(low, high))}")
    members = "".join(parts)
    if negated:
        return f"[^/{members}]", position + 1
    return (f"(?!/)[{members}]" if members else r"(?!)"), position + 1


def _set_member(segment: str, position: int) -> tuple[str, int]:
    """One character of a set, and the position after it."""
    if segment[position : position + 1] == "\\":
        position += 1
    if position >= len(segment):
        raise BadPattern(pattern=segment)
    return segment[position], position + 1
