"""The kind ``postgres``: each database as a dump of one moment, and what belongs to none of them as SQL."""

import shlex
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from pivori.components.base import (
    ComponentFailed,
    Consistency,
    Finding,
    Inspection,
    Json,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
    has_failure,
)
from pivori.components.postgres.bringing_back import Bringing, clear_folders
from pivori.components.postgres.catalogue import (
    Excluded,
    ServerFacts,
    connect_anywhere,
    databases_of,
    look_at_server,
    sizes_of,
    tablespaces_of,
)
from pivori.components.postgres.dumping import GLOBALS, Dumper
from pivori.components.postgres.facts import captured_in
from pivori.components.postgres.inspecting import Looking, chosen_databases
from pivori.components.postgres.own_server import clear_away, forsaken
from pivori.components.postgres.planning import Planning
from pivori.components.postgres.programs import installed
from pivori.components.postgres.server import Server, refused
from pivori.components.postgres.verifying import Verifying
from pivori.translation import N_, Phrase

_ALWAYS_THERE: Final = ("postgres",)
"""Databases that a new server has."""

_SIZES: Final = 10_000
"""Milliseconds for asking how large the databases are: only the estimate of the space for a restore needs it."""


class DatabaseMissing(ComponentFailed):
    """A database that is to be captured is not there, or lets nobody in."""

    code = "postgres-database-missing"
    message = N_("The server has no database {database} that can be captured.")
    hint = N_("Correct the option `databases`.")


@dataclass(frozen=True, kw_only=True)
class PostgresComponent:
    """A PostgreSQL server, or some of its databases, through its own client programs.

    ``programs`` is the folder of the client programs, ``server_programs`` that of ``initdb`` and ``postgres``; None:
    wherever they are. ``scratch`` has :meth:`verify` restore into a server of its own. ``jobs`` work at the same time
    in a restore; None: one for each processor.
    """

    kind: ClassVar[str] = "postgres"

    name: str
    server: Server
    databases: Sequence[str] = ()
    excluded: Excluded = field(default_factory=Excluded)
    count_rows: bool = True
    programs: Path | None = None
    server_programs: Path | None = None
    scratch: bool = False
    jobs: int | None = None

    def places(self) -> Sequence[Path]:
        """None: what a restore writes is the server's."""
        return ()

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at the server."""
        return self._looking.inspect()

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Dump it.

        Raises DatabaseMissing, ServerUnreachable, QueryFailed, ClientMissing, ClientTooOld, ProgramFailed, DumpEmpty.
        """
        with closing(connect_anywhere(self.server)) as connection, refused(self.server):
            facts = look_at_server(connection)
            chosen = chosen_databases(databases_of(connection), self.databases)
            sizes = sizes_of(connection, [database.name for database in chosen], milliseconds=_SIZES)
            tablespaces = tablespaces_of(connection)
        names = [database.name for database in chosen if database.lets_in]
        for wanted in self.databases:
            if wanted not in names:
                raise DatabaseMissing(database=wanted)
        programs = self._looking.programs(facts.version)
        warnings: list[str] = []
        with self.server.access(surroundings.state) as access:
            dumper = Dumper(
                server=self.server,
                programs=programs,
                access=access,
                excluded=self.excluded,
                count_rows=self.count_rows,
            )
            globals_ = dumper.globals(sink, passwords=facts.reads_passwords)
            dumped = [dumper.database(sink, name, warnings) | {"bytes": sizes.get(name, 0)} for name in names]
        if not facts.reads_passwords:
            warnings.append(Phrase(N_("The passwords of roles are not captured: the user may not read them.")))
        return _report(facts, programs.version, tablespaces, dumped, warnings, globals_.sha256)

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing: a dump leaves no trace on the server."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Check the files of a capture; with ``scratch``, restore it into a server of its own and look at that."""
        verifying = Verifying(bringing=self._bringing)
        findings = verifying.verify(source, surroundings)
        if self.scratch and not has_failure(findings):
            findings += verifying.prove(source, surroundings)
        return findings

    def prove(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Restore a capture into a server of its own, count its rows, and have ``amcheck`` look at it."""
        return Verifying(bringing=self._bringing).prove(source, surroundings)

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """What a restore would do."""
        return Planning(component=self.name, bringing=self._bringing).plan(source, request, surroundings)

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring it back; settings are ``database``, ``table``, ``server``, ``as`` and ``jobs``."""
        return self._bringing.restore(source, request, surroundings)

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Stop servers of our own that a killed run has left, and remove its files."""
        programs = next(iter(installed("pg_ctl", self.server_programs)), None) if forsaken(surroundings.state) else None
        done = clear_away(surroundings.state, programs)
        if clear_folders(surroundings.state) or done:
            return [Phrase(N_("What an interrupted restore of {component} had left is removed."), component=self.name)]
        return []

    def manual(self, report: Report) -> Sequence[str]:
        """The commands of PostgreSQL that bring it back."""
        captured = captured_in(report)
        lines = [
            "# $SERVER: postgresql://USER@HOST:PORT/postgres; roles that exist already are reported as errors",
            f'psql --dbname="$SERVER" --file={GLOBALS}',
        ]
        for database in captured.databases:
            file = shlex.quote(database.file)
            create = "--create " if database.name not in _ALWAYS_THERE else ""
            lines.append(f'pg_restore {create}--exit-on-error --dbname="$SERVER" ./{file}')
        return lines

    @property
    def _looking(self) -> Looking:
        return Looking(server=self.server, folder=self.programs, wanted=self.databases)

    @property
    def _bringing(self) -> Bringing:
        return Bringing(server=self.server, folder=self.programs, server_folder=self.server_programs, jobs=self.jobs)


def _report(
    facts: ServerFacts,
    client: str,
    tablespaces: Sequence[str],
    dumped: Sequence[dict[str, Json]],
    warnings: Sequence[str],
    globals_digest: str,
) -> Report:
    first = dumped[0] if dumped else {}
    rows = [rows for database in dumped for _schema, _name, _owner, rows, _bytes in database["tables"]]
    counts = {"databases": len(dumped), "tables": len(rows), "roles": facts.roles}
    if any(row is not None for row in rows):
        counts["rows"] = sum(row or 0 for row in rows)
    return Report(
        consistency=Consistency.TRANSACTION,
        versions={"postgres": facts.version, "pg_dump": client},
        position={key: str(first[key]) for key in ("lsn", "timeline", "transactions") if first.get(key)},
        counts=counts,
        statuses={"pg_dumpall": 0, "pg_dump": 0},
        facts={
            "superuser": facts.bootstrap,
            "tablespaces": list(tablespaces),
            "globals": {"sha256": globals_digest, "passwords": facts.reads_passwords},
            "databases": list(dumped),
        },
        warnings=list(warnings),
    )
