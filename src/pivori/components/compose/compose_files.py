"""Compose files: found, read, merged, and shown without what may be secret.

They are YAML 1.2 from somebody else's hands: their size, depth and number of nodes are bounded, aliases cannot blow
them up, and nothing in them is carried out.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pivori.components.base import ComponentFailed
from pivori.components.env_files import parse_env
from pivori.translation import N_, ByteCount, Phrase

USUAL_NAMES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In the order in which docker compose prefers them."""

_MOST_BYTES: Final = 256 << 10
_MOST_NODES: Final = 50_000
_DEEPEST: Final = 40
_TOO_LARGE: Final = "it is too deep or too large"
_BRACKET: Final = re.compile(r"[\[\]{}]")
_ITEMS_IN_ITEMS: Final = re.compile(r"^[ ]*(?:[-?:] ){40}", re.MULTILINE)


class ComposeFileUnreadable(ComponentFailed):
    """A compose file cannot be read or understood."""

    code = "compose-file-unreadable"
    message = N_("The compose file {path} cannot be read: {reason}.")
    hint = N_("Run `docker compose config` to see what is wrong with it.")


class ComposeFileMissing(ComponentFailed):
    """There is no compose file."""

    code = "compose-file-missing"
    message = N_("There is no compose file in {path}.")
    hint = N_("Name it with `file`.")


@dataclass(frozen=True, kw_only=True)
class ComposeFile:
    """A file as it is, and what it says as plain mappings, lists and scalars. ``lines`` are those of its keys."""

    path: Path
    content: bytes
    data: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]

    def line(self, *keys: str) -> int:
        """The line of a key, or of the nearest key around it; counts from 1."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)


def find_compose_files(folder: Path) -> Sequence[Path]:
    """The file that docker compose takes in a folder, and the one that overrides it; empty when there is none."""
    for name in USUAL_NAMES:
        path = folder / name
        if path.is_file():
            override = path.with_name(f"{path.stem}.override{path.suffix}")
            return [path, override] if override.is_file() else [path]
    return []


def read_compose_file(path: Path) -> ComposeFile:
    """Read one. Raises ComposeFileUnreadable."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ComposeFileUnreadable(path=path, reason=error.strerror or str(error)) from None
    if len(content) > _MOST_BYTES:
        raise ComposeFileUnreadable(
            path=path, reason=Phrase(N_("it has more than {most}"), most=ByteCount(_MOST_BYTES))
        )
    return parse_compose_file(path, content)


def parse_compose_file(path: Path, content: bytes) -> ComposeFile:
    """Understand the content of one. Raises ComposeFileUnreadable."""
    from ruamel.yaml import YAML  # only who has compose files pays for it
    from ruamel.yaml.error import YAMLError

    try:
        text = content.decode()
        if _is_nested_without_end(text):
            raise ValueError(_TOO_LARGE)
        yaml = YAML(typ="rt")
        yaml.max_depth = _DEEPEST
        with warnings.catch_warnings():
            # An anchor that is used twice, a number as YAML 1.1 writes it: docker compose takes both.
            warnings.simplefilter("ignore")
            loaded = yaml.load(text)
        reading = _Reading()
        data = reading.plain(loaded, ())
    except (YAMLError, ValueError, RecursionError, AttributeError, TypeError) as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())[:200] or type(error).__name__
        raise ComposeFileUnreadable(path=path, reason=reason) from None
    if not isinstance(data, dict):
        raise ComposeFileUnreadable(path=path, reason=N_("it is no mapping"))
    return ComposeFile(path=path, content=content, data=data, lines=reading.lines)


def _is_nested_without_end(text: str) -> bool:
    """Whether the reader would go in so deep that it takes seconds to find no way out."""
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        if depth > 2 * _DEEPEST:
            return True
    return _ITEMS_IN_ITEMS.search(text) is not None


class _Reading:
    """Makes plain values of what the YAML reader gives, within bounds."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, ...], int] = {}
        self._nodes = 0

    def plain(self, value: Any, keys: tuple[str, ...]) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(keys) > _DEEPEST:
            raise ValueError(_TOO_LARGE)
        if isinstance(value, Mapping):
            return {str(key): self._item(value, key, (*keys, str(key))) for key in value}
        if isinstance(value, (list, tuple, set)):
            return [self.plain(item, (*keys, "")) for item in value]
        return _scalar(value)

    def _item(self, mapping: Any, key: object, keys: tuple[str, ...]) -> Any:
        places = getattr(getattr(mapping, "lc", None), "data", None) or {}
        if key in places:
            self.lines.setdefault(keys, places[key][0] + 1)
        return self.plain(mapping[key], keys)


def _scalar(value: Any) -> Any:
    """A YAML scalar as JSON has it."""
    value = getattr(value, "value", value) if type(value).__name__ == "TaggedScalar" else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value)


def merged(files: Sequence[ComposeFile]) -> dict[str, Any]:
    """What several files say together, later ones over earlier ones, as docker compose merges them.

    Commands are replaced, other lists are joined, mappings are merged.
    """
    result: dict[str, Any] = {}
    for file in files:
        result = _over(result, file.data, "")
    return result


def _over(below: Any, above: Any, key: str) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {
            name: _over(below[name], above[name], name) if name in below and name in above else {**below, **above}[name]
            for name in [*below, *(name for name in above if name not in below)]
        }
    if isinstance(below, list) and isinstance(above, list) and key not in ("command", "entrypoint", "test"):
        return [*below, *(item for item in above if item not in below)]
    if key in ("environment", "labels", "args", "depends_on") and {type(below), type(above)} == {dict, list}:
        return _over(_as_mapping(below), _as_mapping(above), key)
    return above


def _as_mapping(value: Any) -> dict[str, Any]:
    """``["NAME=value"]`` as ``{"NAME": "value"}``."""
    if isinstance(value, Mapping):
        return dict(value)
    pairs = [str(item).partition("=") for item in value]
    return {name: text if sign else None for name, sign, text in pairs}


def names_of(environment: Any) -> list[str]:
    """The names of the variables in an ``environment``, whichever way it is written."""
    return sorted(_as_mapping(environment)) if isinstance(environment, (dict, list)) else []


def values_of(environment: Any) -> dict[str, str]:
    """The variables that an ``environment`` gives a value to."""
    if not isinstance(environment, (dict, list)):
        return {}
    return {name: str(value) for name, value in _as_mapping(environment).items() if value is not None}


def without_values(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the values of variables, build arguments and inline files left out: their names stay."""
    result = dict(configuration)
    services = configuration.get("services")
    if isinstance(services, Mapping):
        result["services"] = {name: _service_without_values(service) for name, service in services.items()}
    for part in ("secrets", "configs"):
        if isinstance(definitions := configuration.get(part), Mapping):
            result[part] = {name: _without_content(value) for name, value in definitions.items()}
    # Fragments that are only there to be merged into services may be made of the same values.
    return {name: value for name, value in result.items() if not name.startswith("x-")}


def _service_without_values(service: Any) -> Any:
    if not isinstance(service, Mapping):
        return None
    result = {name: value for name, value in service.items() if not name.startswith("x-")}
    if "environment" in result:
        result["environment"] = names_of(result["environment"])
    if isinstance(build := result.get("build"), Mapping):
        result["build"] = dict(build)
        if "args" in build:
            result["build"]["args"] = names_of(build["args"])
    return result


def _without_content(definition: Any) -> Any:
    if not isinstance(definition, Mapping):
        return definition
    return {name: value for name, value in definition.items() if name != "content"}


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a ``.env`` file; empty when it cannot be read or is larger than any."""
    try:
        if not path.is_file():
            return {}
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError:
        return {}
    if len(content) > _MOST_BYTES:
        return {}
    return {variable.name: variable.value for variable in parse_env(content.decode(errors="replace"))}
