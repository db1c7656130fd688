"""The SQL that ``pg_dumpall`` and ``pg_restore`` print, statement by statement, and what a restore changes in it."""

import re
from collections.abc import Iterator
from typing import Final

_IDENTIFIER: Final = r'(?:"(?:[^"]|"")*"|[^\s";,()]+)'
_PART: Final = re.compile(
    r"""
    (?P<comment>--[^\n]*)
    | [eE]'(?:[^'\\]|''|\\.)*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?P<end>;)
    | \w+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_ROLE: Final = re.compile(rf"\s*(?P<verb>CREATE|ALTER) ROLE (?P<name>{_IDENTIFIER})(?P<rest>.*)", re.DOTALL)
_DATABASE: Final = re.compile(rf'(?P<before>(?:"(?:[^"]|"")*"|[^"\'])*?\bDATABASE )(?P<name>{_IDENTIFIER})', re.DOTALL)
_TABLESPACE: Final = re.compile(rf" TABLESPACE = {_IDENTIFIER}")


def statements(script: str) -> Iterator[str]:
    """The statements of a script, without their semicolons. Comments, and commands of psql on lines of their own, are
    left out."""
    current: list[str] = []
    position = 0
    while position < len(script):
        if script[position] == "\\" and not "".join(current).strip():
            # A command of psql (\connect, \restrict) goes to the end of its line.
            end = script.find("\n", position)
            position = len(script) if end < 0 else end
            continue
        found = _PART.match(script, position)
        assert found is not None  # noqa: S101 - the last alternative matches anything
        position = found.end()
        if found["end"]:
            yield "".join(current).strip()
            current = []
        elif not found["comment"]:
            current.append(found[0])
    if rest := "".join(current).strip():
        yield rest


def quoted(name: str) -> str:
    """A name as an identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def unquoted(identifier: str) -> str:
    """The name that an identifier stands for."""
    if identifier.startswith('"'):
        return identifier[1:-1].replace('""', '"')
    return identifier


def created_role(statement: str) -> str | None:
    """The name of the role that a statement creates; None for any other statement."""
    found = _ROLE.match(statement)
    return unquoted(found["name"]) if found is not None and found["verb"] == "CREATE" else None


def altered_role(statement: str) -> str | None:
    """The name of the role whose rights and password a statement sets; None for any other statement."""
    found = _ROLE.match(statement)
    if found is None or found["verb"] != "ALTER" or not found["rest"].lstrip().startswith("WITH "):
        return None
    return unquoted(found["name"])


def without_texts(statement: str) -> str:
    """A statement without what stands in quotes."""
    return re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", statement)


def for_database(statement: str, name: str, *, tablespaces: bool) -> str:
    """A statement about a database, about another one now; ``tablespaces`` says whether it stays in its own."""
    found = _DATABASE.match(statement)
    changed = statement if found is None else found["before"] + quoted(name) + statement[found.end() :]
    if not tablespaces and changed.startswith("CREATE DATABASE "):
        changed = _TABLESPACE.sub("", changed)
    return changed
