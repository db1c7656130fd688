"""What of a capture a restore is about, as its settings say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pivori.components.base import ComponentFailed, RestoreRequest
from pivori.components.postgres.catalogue import Table
from pivori.components.postgres.facts import Captured, CapturedDatabase
from pivori.components.postgres.server import Server, url_has_password
from pivori.translation import N_, Phrase

_KNOWN: Final = ("database", "table", "server", "as", "jobs")
_UNTIL: Final = ("target-time",)
"""Settings of a whole recovery that say nothing to this kind."""


class SettingUnknown(ComponentFailed):
    """A restore is given a setting that this kind does not have."""

    code = "postgres-setting-unknown"
    message = N_("A restore of PostgreSQL has no setting {setting}.")
    hint = N_("The settings are: {known}.")


class SettingsClash(ComponentFailed):
    """The settings of a restore do not go together."""

    code = "postgres-settings-clash"
    message = N_("The settings of the restore do not go together: {reason}.")
    hint = "{advice}"


class NotInCapture(ComponentFailed):
    """A database is asked for that was not captured."""

    code = "postgres-not-in-capture"
    message = N_("The recovery point has no database {name}.")
    hint = N_("It has: {names}.")


class TableNotInCapture(NotInCapture):
    """A table is asked for that was not captured."""

    code = "postgres-table-not-in-capture"
    message = N_("The recovery point has no table {name}.")
    hint = N_("Write it as SCHEMA.TABLE; looked for in the databases: {names}.")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The databases to bring back, or the one table of the only one; under another name, into another server."""

    databases: Sequence[CapturedDatabase]
    table: Table | None = None
    new_name: str | None = None
    server: Server | None = None
    jobs: int | None = None
    everything: bool = False

    def target_of(self, database: CapturedDatabase) -> str:
        """The name of the database that it becomes."""
        return self.new_name or database.name


def wish_of(request: RestoreRequest, captured: Captured) -> Wish:
    """What a request means. Raises SettingUnknown, SettingsClash, NotInCapture."""
    settings = request.settings
    for setting in settings:
        if setting not in _KNOWN + _UNTIL:
            raise SettingUnknown(setting=setting, known=", ".join(_KNOWN))
    _check_together(settings, beside=request.to is not None)
    databases = _databases(settings, captured)
    table = None
    if "table" in settings:
        database, table = _table(settings["table"], databases)
        databases = [database]
    if "as" in settings and len(databases) > 1:
        raise SettingsClash(
            reason=N_("`as` is for one database, named by `database`"),
            advice=Phrase(N_("Name the database with `database`, or leave `as` out.")),
        )
    return Wish(
        databases=databases,
        table=table,
        new_name=settings.get("as"),
        server=Server(url=settings["server"]) if "server" in settings else None,
        jobs=_jobs(settings),
        everything="database" not in settings and table is None,
    )


def _jobs(settings: Mapping[str, str]) -> int | None:
    if "jobs" not in settings:
        return None
    if not settings["jobs"].isdecimal() or not int(settings["jobs"]):
        raise SettingsClash(
            reason=N_("`jobs` is a number from 1"),
            advice=Phrase(N_("Write a whole number of 1 or more, or leave `jobs` out.")),
        )
    return int(settings["jobs"])


def _check_together(settings: Mapping[str, str], *, beside: bool) -> None:
    if "table" in settings and "as" in settings:
        raise SettingsClash(
            reason=N_("`as` is for databases, not for a table"), advice=Phrase(N_("Leave `as` or `table` out."))
        )
    if beside and "table" in settings:
        raise SettingsClash(
            reason=N_("a table is brought back into a server, not into a folder"),
            advice=Phrase(N_("Leave `table` or --to out.")),
        )
    if beside and "server" in settings:
        raise SettingsClash(
            reason=N_("it goes either into a folder or into a server"), advice=Phrase(N_("Leave `server` or --to out."))
        )
    if url_has_password(settings.get("server", "")):
        raise SettingsClash(
            reason=N_("there is a password in `server`"),
            advice=Phrase(N_("Take the password out of the address, and write it into ~/.pgpass.")),
        )


def _databases(settings: Mapping[str, str], captured: Captured) -> Sequence[CapturedDatabase]:
    if "database" not in settings:
        return captured.databases
    database = captured.database(settings["database"])
    if database is None:
        names = ", ".join(item.name for item in captured.databases)
        raise NotInCapture(name=settings["database"], names=names)
    return [database]


def _table(wanted: str, databases: Sequence[CapturedDatabase]) -> tuple[CapturedDatabase, Table]:
    """The table of a name with or without its schema; ``public`` goes before other schemas."""
    found = [
        (database, table)
        for database in databases
        for table, _rows in database.tables
        if wanted in (table.name, f"{table.schema}.{table.name}")
    ]
    if len(found) > 1:
        found = [pair for pair in found if pair[1].schema == "public"] or found
    if not found:
        names = ", ".join(item.name for item in databases)
        raise TableNotInCapture(name=wanted, names=names)
    if len(found) > 1:
        raise SettingsClash(
            reason=N_("several tables have that name"),
            advice=Phrase(N_("Write `table` as SCHEMA.TABLE, and name its database with `database`.")),
        )
    return found[0]
