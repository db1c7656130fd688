"""Restores of logical captures: into the server they were taken from, another one, or a new one in a folder."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Final

from pivori.components.base import ClientMissing, Restored, RestoreRequest, Source, Surroundings
from pivori.components.postgres.bringing_table import bring_table
from pivori.components.postgres.catalogue import connect_anywhere, databases_of, tablespaces_of
from pivori.components.postgres.choosing import Wish, wish_of
from pivori.components.postgres.dumping import GLOBALS
from pivori.components.postgres.facts import Captured, CapturedDatabase, captured_in
from pivori.components.postgres.filling import Filling, aside_name, drop, swap, temporary_name
from pivori.components.postgres.globals import restore_globals
from pivori.components.postgres.own_server import (
    make_cluster,
    running,
    server_owner,
    sync_cluster,
    workplace,
)
from pivori.components.postgres.programs import Programs, client_programs, major_of, server_programs_from
from pivori.components.postgres.server import Server, refused
from pivori.host.process import available_processors
from pivori.translation import N_, Phrase

PREFIX: Final = "restore-"
"""How the folders below the state folder begin in which restores keep what they need."""

OWN_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "256MB",
    "shared_buffers": "128MB",
    "autovacuum": "off",
    "max_locks_per_transaction": "256",
}
"""What a server of ours is started with: what it makes is checked, and thrown away when the power goes."""

_ACCESS_FILE: Final = """\
# Written by a restore of Pivori Backup: put your own rules here.
local all all peer
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
local replication all peer
"""


@dataclass(frozen=True, kw_only=True)
class Bringing:
    """A restore of a capture. ``folder`` are the client programs, ``server_folder`` those of a server, None: found."""

    server: Server
    folder: Path | None
    server_folder: Path | None
    jobs: int | None

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring it back where the request says. Raises the errors of the parts."""
        clear_folders(surroundings.state)
        wish = wish_of(request, captured_in(source.report))
        if request.to is not None:
            return self.beside(source, wish, request, surroundings)
        return self.into(wish.server or self.server, source, wish, surroundings, keep=True)

    def into(
        self, server: Server, source: Source, wish: Wish, surroundings: Surroundings, *, keep: bool, own: bool = False
    ) -> Restored:
        """Bring databases back into a server; ``keep`` what is replaced, or drop it. ``own`` has no tablespaces."""
        captured = captured_in(source.report)
        with closing(connect_anywhere(server)) as connection, refused(server):
            script = source.read(GLOBALS, most=256 << 20).decode()
            made = restore_globals(
                connection,
                script,
                only_missing=not wish.everything,
                tablespaces=not own,
                passwords=bool(source.report.facts["globals"]["passwords"]),
            )
            version = str(connection.info.server_version // 10000)
            tablespaces = not own and set(captured.tablespaces) <= set(tablespaces_of(connection))
        programs = self._programs(captured, version)
        remaining = [
            Phrase(N_("A part of globals.sql was refused by the server, do it by hand: {reason}."), reason=reason)
            for reason in made.refused
        ]
        if not own and captured.tablespaces and not tablespaces:
            remaining.append(Phrase(N_("The tablespaces could not be made: everything is in the default one.")))
        with _filling(server, programs, surroundings, wish.jobs or self.jobs, tablespaces=tablespaces) as filling:
            if wish.table is not None:
                done = self._bring_table(filling, source, wish, surroundings)
            else:
                done = self._bring_databases(filling, source, wish, surroundings, keep=keep)
        return replace(done, remaining=[*done.remaining, *remaining])

    def beside(self, source: Source, wish: Wish, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Make a new server's data directory below a folder; without programs for that, put the dumps there."""
        assert request.to is not None  # noqa: S101 - that is what beside means
        captured = captured_in(source.report)
        request.to.mkdir(parents=True, exist_ok=True)
        data = request.to / "data"
        try:
            programs = server_programs_from(captured.major, self.server_folder)
        except ClientMissing as error:
            return _dumps_only(source, request.to, str(error.details["package"]))
        owner = server_owner()
        with workplace(request.to, surroundings.state, owner) as place:
            made = place / "data"
            make_cluster(programs, made, owner, captured.superuser)
            with running(programs, place, owner, captured.superuser, OWN_SETTINGS) as server:
                done = self.into(server, source, wish, surroundings, keep=False, own=True)
            (made / "pg_hba.conf").write_text(_ACCESS_FILE)
            sync_cluster(programs, made, owner)
            if data.exists():
                request.aside(data)
            shutil.move(made, data)
        start = f"{programs.path('pg_ctl')} -D {data} start"
        remaining = [
            Phrase(N_("Set up postgresql.conf and pg_hba.conf in {folder} as your server had them."), folder=data),
            Phrase(N_("Start the server as the owner of that folder: {command}"), command=start),
        ]
        return replace(done, remaining=[*done.remaining, *remaining])

    def _bring_databases(
        self, filling: Filling, source: Source, wish: Wish, surroundings: Surroundings, *, keep: bool
    ) -> Restored:
        """All databases under temporary names first, then all of them into their places."""
        names = {database.name: temporary_name(wish.target_of(database)) for database in wish.databases}
        done = 0
        checked: list[Phrase] = []
        try:
            for database in wish.databases:
                done += filling.make(source, database, names[database.name])
                checked.append(_checked(database))
            replaced = self._swap_all(filling, wish, names, _moment(surroundings))
        finally:
            drop(filling.server, list(names.values()))
        if not keep:
            drop(filling.server, replaced)
        remaining = [
            Phrase(N_("What was there before is the database {name}: drop it when nobody needs it."), name=name)
            for name in replaced
            if keep
        ]
        return Restored(bytes=done, checked=checked, remaining=remaining, counts=_counts(wish))

    def _swap_all(self, filling: Filling, wish: Wish, names: Mapping[str, str], moment: str) -> list[str]:
        """Put databases into their places: the names of what was there before."""
        replaced = []
        for database in wish.databases:
            target = wish.target_of(database)
            with closing(connect_anywhere(filling.server)) as connection, refused(filling.server):
                there = [item.name for item in databases_of(connection)]
            aside = aside_name(target, moment, there) if target in there else None
            swap(filling.server, names[database.name], target, aside)
            replaced += [aside] if aside is not None else []
        return replaced

    def _bring_table(self, filling: Filling, source: Source, wish: Wish, surroundings: Surroundings) -> Restored:
        database, table = wish.databases[0], wish.table
        assert table is not None  # noqa: S101 - that is what we are called for
        aside, referring = bring_table(filling, source, database, table, database.name, _moment(surroundings))
        remaining = []
        if aside is not None:
            text = N_("What was there before is the table {name}: drop it when nobody needs it.")
            remaining.append(Phrase(text, name=aside))
        if referring:
            text = N_("These go on to refer to the table that was there before: {names}.")
            remaining.append(Phrase(text, names="; ".join(referring)))
        rows = database.rows.get((table.schema, table.name), 0)
        text = N_("The table {table} has all rows that were counted at its capture: {rows}.")
        return Restored(
            bytes=database.size,
            checked=[Phrase(text, table=f"{table.schema}.{table.name}", rows=rows)],
            remaining=remaining,
            counts={"tables": 1, "rows": rows},
        )

    def _programs(self, captured: Captured, version: str) -> Programs:
        """Those that can read the dumps and talk to the server."""
        return client_programs(["pg_restore"], max(captured.dumped_with, version, key=major_of), self.folder)


def clear_folders(state: Path) -> bool:
    """Remove what killed restores have left on the disk; whether there was anything."""
    left = list(state.glob(f"{PREFIX}*"))
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return bool(left)


@contextmanager
def _filling(
    server: Server, programs: Programs, surroundings: Surroundings, jobs: int | None, *, tablespaces: bool
) -> Iterator[Filling]:
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=surroundings.state) as folder,
        server.access(surroundings.state) as access,
    ):
        yield Filling(
            server=server,
            programs=programs,
            access=access,
            folder=Path(folder),
            jobs=jobs or available_processors(),
            tablespaces=tablespaces,
        )


def _dumps_only(source: Source, to: Path, package: str) -> Restored:
    """The files of a capture, for who has a server elsewhere."""
    size = source.write_tree("", to)
    names = ", ".join(database.name for database in captured_in(source.report).databases)
    text = N_("There are no server programs here ({package}): restore the dumps in {folder} with pg_restore: {names}.")
    return Restored(
        bytes=size,
        checked=[Phrase(N_("The dumps are written to {folder}."), folder=to)],
        remaining=[Phrase(text, package=package, folder=to, names=names)],
    )


def _checked(database: CapturedDatabase) -> Phrase:
    if not database.rows:
        return Phrase(N_("The database {database} is restored without an error."), database=database.name)
    text = N_("The database {database} has all rows that were counted at its capture: {rows} (tables: {tables}).")
    return Phrase(text, database=database.name, rows=sum(database.rows.values()), tables=len(database.rows))


def _counts(wish: Wish) -> dict[str, int]:
    return {
        "databases": len(wish.databases),
        "tables": sum(len(database.tables) for database in wish.databases),
        "rows": sum(sum(database.rows.values()) for database in wish.databases),
    }


def _moment(surroundings: Surroundings) -> str:
    """Now, as a part of a name."""
    return f"{surroundings.clock.now().astimezone(UTC):%Y%m%dt%H%M%Sz}"
