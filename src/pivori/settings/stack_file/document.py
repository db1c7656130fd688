"""A configuration file as TOML, before anything is made of it, and the error that tells what is wrong in it."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pivori.settings.load import Environment
from pivori.settings.stack_file.lines import Lines, find_lines
from pivori.settings.stack_file.mistakes import ConfigurationUnreadable, ConfigurationWrong, Found, Mistake, dotted
from pivori.settings.stack_file.options import Building
from pivori.translation import N_, Phrase

_LARGEST: Final = 4 << 20
_PLACE: Final = re.compile(r" \(at (?:line (?P<line>[0-9]+), column [0-9]+|end of document)\)$")


class Document(NamedTuple):
    """A configuration file that is TOML: its bytes, what they say, and where."""

    path: Path
    content: bytes
    data: dict[str, Any]
    lines: Lines


def read_document(path: Path) -> Document:
    """Read a file as TOML. Raises ConfigurationUnreadable and ConfigurationWrong."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationUnreadable(path=path, reason=error.strerror or str(error)) from None
    if len(content) > _LARGEST:
        raise ConfigurationUnreadable(path=path, reason=N_("it is far too large for a configuration"))
    return document_of(path, content)


def document_of(path: Path, content: bytes) -> Document:
    """Read the bytes of a file as TOML; ``path`` is where it is, or would be. Raises ConfigurationWrong."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationWrong.of(path, [Mistake(line, "", Phrase(N_("this is no UTF-8 text")))]) from None
    text = text.replace("\r\n", "\n")
    return Document(path, content, _parsed(path, text), find_lines(text))


def refuse(document: Document, found: Sequence[Found]) -> None:
    """Raise ConfigurationWrong when anything was found. Of several mistakes at one key the first is told."""
    components = document.data.get("components")
    names = [name_of(item) for item in components] if isinstance(components, list) else []
    mistakes: dict[tuple[str | int, ...], Mistake] = {}
    for path, problem, near in found:
        line = document.lines.of(path)
        mistakes.setdefault(path, Mistake(line, dotted(path, names), problem, near))
    if mistakes:
        raise ConfigurationWrong.of(document.path, list(mistakes.values()))


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        place = _PLACE.search(reason)
        if place is not None:
            reason = reason[: place.start()]
        line = int(place["line"]) if place is not None and place["line"] else text.count("\n") + 1
        problem = Phrase(N_("this is no TOML: {reason}"), reason=reason)
        raise ConfigurationWrong.of(path, [Mistake(line, "", problem)]) from None
    except (ValueError, RecursionError):
        # Numbers of thousands of digits, and brackets within brackets within brackets.
        problem = Phrase(N_("this is no TOML that can be understood"))
        raise ConfigurationWrong.of(path, [Mistake(None, "", problem)]) from None


def root_of(document: Document, environment: Environment) -> Path:
    """The folder of the stack: as the file says, otherwise the one the file lies in."""
    stack = document.data.get("stack")
    root = stack.get("root") if isinstance(stack, Mapping) else None
    return Building(document.path.parent, environment).path(root if isinstance(root, str) else ".")


def name_of(component: object) -> str:
    """The name of a component; empty where it has none."""
    name = component.get("name") if isinstance(component, Mapping) else None
    return name if isinstance(name, str) else ""


def located(location: str | None, building: Building) -> str | None:
    """Where the repository is: an address as it is, a path as an absolute one."""
    if location is None or ":" in location.partition("/")[0]:
        return location
    return str(building.path(location))
