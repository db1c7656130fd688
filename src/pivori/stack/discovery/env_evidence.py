"""``.env`` files: which there are, and the variables in them, which are looked at in memory and never shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pivori.components.env_files import Variable, parse_env
from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.stack.discovery.walk import Inventory
from pivori.translation import N_, Phrase

_MOST: Final = 256 << 10
_MOST_FILES: Final = 200
_PATTERNS: Final = frozenset({"example", "sample", "template", "tmpl", "dist", "defaults", "default", "tpl"})
"""Endings of files that are published as patterns and hold no secret."""
_FIRST: Final = ("", "production", "prod", "local")
"""The files that are believed first, by what follows ``.env.``."""
_NOT_BELIEVED: Final = frozenset({"test", "testing", "ci", "e2e"})


@dataclass(frozen=True, kw_only=True)
class EnvFile:
    """A ``.env`` file by its relative path. ``is_believed`` says that a running application is likely to use it."""

    path: str
    variables: Sequence[Variable]
    is_believed: bool

    def find(self, *names: str) -> Variable | None:
        """The last assignment of the first of these names that has a value."""
        for name in names:
            for variable in reversed(self.variables):
                if variable.name == name and variable.value:
                    return variable
        return None


def is_env_file(name: str) -> bool:
    """Whether a file of this name holds the variables of an application; patterns for one do not."""
    words = PurePosixPath(name).name.lower().split(".")
    is_one = words[:2] == ["", "env"] or (len(words) > 1 and words[-1] == "env" and words[0] != "")
    return is_one and not _PATTERNS.intersection(words)


def find_env_files(inventory: Inventory) -> Sequence[EnvFile]:
    """The ``.env`` files, those first that matter most: near the top, for production."""
    found: list[EnvFile] = []
    for path in inventory.files:
        if len(found) < _MOST_FILES and is_env_file(path):
            content = inventory.read(path, _MOST) or b""
            suffix = _suffix(path)
            variables = tuple(parse_env(content.decode(errors="replace")))
            found.append(EnvFile(path=path, variables=variables, is_believed=suffix not in _NOT_BELIEVED))
    return sorted(found, key=lambda file: (file.path.count("/"), _rank(file.path), file.path))


def describe_env_files(files: Sequence[EnvFile]) -> Sequence[Discovery]:
    """The files, each with how many variables it has."""
    return [
        Discovery(
            topic=Topic.ENVIRONMENT,
            what=Phrase(N_("Variables in {path}: {count}."), path=file.path, count=len(file.variables)),
            why=[Evidence(path=file.path)],
        )
        for file in files
    ]


def _suffix(path: str) -> str:
    return PurePosixPath(path).name.lower().removeprefix(".env").lstrip(".")


def _rank(path: str) -> int:
    suffix = _suffix(path)
    return _FIRST.index(suffix) if suffix in _FIRST else len(_FIRST)
