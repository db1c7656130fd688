"""What is found, and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pivori.translation import Phrase


class Topic(StrEnum):
    """What a discovery is about."""

    COMPOSE = "compose"
    ENVIRONMENT = "environment"
    GIT = "git"
    PACKAGES = "packages"
    DATABASE = "database"
    SQLITE = "sqlite"
    UPLOADS = "uploads"
    SECRETS = "secrets"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A place that says so: a path relative to the folder, and a line where there is one (from 1)."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """One thing that was found: ``what`` as a sentence, and ``why``. Never a value of an ``.env`` file."""

    topic: Topic
    what: Phrase
    why: Sequence[Evidence] = field(default_factory=tuple)
