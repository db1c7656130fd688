"""What a report knows of each database."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pivori.components.base import Report, RestoreRequest
from pivori.components.sqlite.errors import DatabaseNotCaptured
from pivori.host.owners import group_name, group_number, user_name, user_number


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database in a capture: where it was, whose, how it is stored, and the rows of its tables."""

    path: str
    stored: str
    mode: int
    uid: int
    gid: int
    user: str
    group: str
    size: int = 0
    sha256: str = ""
    tables: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, path: Path) -> "Database":
        """What can be seen of a database from outside. Raises OSError."""
        facts = path.stat()
        return cls(
            path=str(path),
            stored=str(path).lstrip("/"),
            mode=facts.st_mode & 0o7777,
            uid=facts.st_uid,
            gid=facts.st_gid,
            user=user_name(facts.st_uid),
            group=group_name(facts.st_gid),
        )

    def fact(self) -> Mapping[str, Any]:
        """As JSON."""
        return asdict(self)

    def owner(self) -> tuple[int, int]:
        """The numbers of its owner and group on this machine."""
        uid = user_number(self.user) if self.user else None
        gid = group_number(self.group) if self.group else None
        return self.uid if uid is None else uid, self.gid if gid is None else gid

    def target(self, root: Path, request: RestoreRequest) -> Path:
        """Where a restore writes it; ``root`` was the folder of the stack then."""
        original = Path(self.path)
        if original.is_relative_to(root):
            return request.root / original.relative_to(root)
        return original if request.to is None else request.to / original.relative_to("/")


def root_of(report: Report) -> Path:
    """The folder of the stack then."""
    return Path(report.facts["root"])


def databases_of(report: Report) -> Sequence[Database]:
    """All databases of a capture."""
    return [Database(**fact) for fact in report.facts["databases"]]


def wanted(report: Report, request: RestoreRequest) -> Sequence[Database]:
    """Those that a restore is to write: all, or the one of the setting ``path``. Raises DatabaseNotCaptured."""
    databases = databases_of(report)
    asked = request.settings.get("path")
    if not asked:
        return databases
    path = os.path.normpath(root_of(report) / asked)
    chosen = [database for database in databases if database.path == path]
    if not chosen:
        raise DatabaseNotCaptured(path=asked, paths=", ".join(database.path for database in databases))
    return chosen
