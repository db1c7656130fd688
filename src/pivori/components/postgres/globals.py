"""Bringing back what belongs to no database: roles, memberships, settings of roles, tablespaces."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pivori.components.postgres.server import first_line
from pivori.components.postgres.statements import altered_role, created_role, quoted, statements, without_texts

if TYPE_CHECKING:
    import psycopg

_EXISTS: Final = "42710"
"""The state of an error that says: it is there already."""

_UNSET: Final = ("CONNECTION LIMIT -1", "PASSWORD NULL")
"""What a role has that nobody gave a limit or a password."""

_TABLESPACE: Final = re.compile(r"(CREATE|ALTER|COMMENT ON) TABLESPACE |(GRANT|REVOKE) \S+ ON TABLESPACE ")


@dataclass(frozen=True, kw_only=True)
class GlobalsRestored:
    """The roles that were made, and what the server refused, as sentences of its own."""

    made: Sequence[str]
    refused: Sequence[str]


def restore_globals(
    connection: "psycopg.Connection", script: str, *, only_missing: bool, tablespaces: bool, passwords: bool
) -> GlobalsRestored:
    """Execute what ``pg_dumpall --globals-only`` wrote.

    Roles that exist get the rights, settings and passwords of the capture, but for our own; with ``only_missing`` they
    stay as they are. ``tablespaces`` are made when their folders are there; without ``passwords`` in the capture
    nobody loses one.
    """
    import psycopg

    existing = {str(name) for (name,) in connection.execute("SELECT rolname::text FROM pg_roles")}
    row = connection.execute("SELECT session_user::text").fetchone()
    ourselves = str(row[0]) if row is not None else ""
    made: list[str] = []
    refused: list[str] = []
    for statement in _exactly(statements(script), existing - {ourselves}, _UNSET if passwords else _UNSET[:1]):
        role = created_role(statement)
        if role in existing or altered_role(statement) == ourselves:
            continue
        if only_missing and role is None and not _is_about(statement, made):
            continue
        if not tablespaces and _TABLESPACE.match(statement):
            continue
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            # Never the statement itself: it may hold a password.
            if error.sqlstate != _EXISTS:
                refused.append(first_line(error))
        else:
            made += [role] if role is not None else []
    return GlobalsRestored(made=made, refused=list(dict.fromkeys(refused)))


def _exactly(script: Iterable[str], existing: set[str], unset: Sequence[str]) -> Iterator[str]:
    """The statements, completed for roles that exist: what ``pg_dumpall`` leaves out because nobody had set it."""
    for statement in script:
        role = altered_role(statement)
        if role is None or role not in existing:
            yield statement
            continue
        yield f"ALTER ROLE {quoted(role)} RESET ALL"
        bare = without_texts(statement)
        lacking = [words for words in unset if words.rpartition(" ")[0] not in bare]
        yield " ".join([statement, *lacking])


def _is_about(statement: str, roles: Sequence[str]) -> bool:
    """Whether a statement is a setting of the session, or names one of the roles."""
    if statement.startswith("SET "):
        return True
    return any(quoted(role) in statement or f" {role} " in f"{statement} " for role in roles)
