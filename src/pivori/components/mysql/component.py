"""The kind ``mysql``: databases of a server of MariaDB or MySQL, of one moment, and its accounts."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pivori.components.base import (
    Consistency,
    Finding,
    Gravity,
    Inspection,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
    failure_of,
)
from pivori.components.mysql.bringing_back import Bringing
from pivori.components.mysql.catalogue import excluded, look
from pivori.components.mysql.dumping import DATA, DATABASES, USERS, Dumper, Taking, routines_file, triggers_file
from pivori.components.mysql.filling import Captured
from pivori.components.mysql.private_server import clear_away
from pivori.components.mysql.programs import programs_for
from pivori.components.mysql.server import QueryFailed, Server
from pivori.components.mysql.verifying import verify
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class MysqlComponent:
    """A server, or some of its databases, through its own client programs.

    ``exclude_tables`` are patterns like ``shop.log_*``; ``programs`` is the folder of the clients, None: wherever they
    are.
    """

    kind: ClassVar[str] = "mysql"

    name: str
    server: Server
    databases: Sequence[str] = ()
    exclude_tables: Sequence[str] = ()
    programs: Path | None = None

    def places(self) -> Sequence[Path]:
        """None: what a restore writes is the server's."""
        return ()

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at the server."""
        try:
            with self.server.connect() as connection:
                facts = look(connection, self.databases)
        except PivoriError as error:
            return Inspection(findings=[failure_of(error)])
        versions = {facts.version.flavour.lower(): facts.version.text}
        findings = [*_unsafe(facts.unsafe)]
        try:
            programs = programs_for(facts.version, self.programs)
            versions[Path(programs.dump).name] = programs.version.text
        except PivoriError as error:
            findings.append(failure_of(error))
        if not facts.logs:
            findings.append(
                Finding(
                    gravity=Gravity.WARNING,
                    message=Phrase(N_("The server keeps no binary log: captures do not say where it was.")),
                    hint=Phrase(N_("Set log_bin to be able to go on from a capture with mariadb-binlog.")),
                )
            )
        return Inspection(
            versions=versions,
            size=sum(table.bytes for table in facts.tables),
            counts={"databases": len(facts.databases), "tables": len(facts.tables)},
            findings=findings,
        )

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Dump it.

        Raises DatabaseMissing, ServerUnreachable, QueryFailed, ClientMissing, ClientTooOld, ProgramFailed,
        DumpNotWhole.
        """
        with self.server.connect() as connection:
            facts = look(connection, self.databases)
        programs = programs_for(facts.version, self.programs)
        dumper = Dumper(
            server=self.server,
            programs=programs,
            state=surroundings.state,
            facts=facts,
            leave_out=excluded(facts.tables, self.exclude_tables),
        )
        taking = Taking(stream=sink.stream, document=sink.document)
        found = dumper.dump(taking)
        warnings = [finding.message for finding in _unsafe(facts.unsafe)]
        counts = {"databases": len(facts.databases), **_counts(found["databases"])}
        try:
            counts["accounts"], users = dumper.accounts(taking)
            found["files"][USERS] = {"size": users.size, "sha256": users.sha256}
        except QueryFailed as error:
            warnings.append(Phrase(N_("Users and rights are not captured: {reason}."), reason=error.details["reason"]))
        return Report(
            consistency=Consistency.TRANSACTION,
            versions={facts.version.flavour.lower(): facts.version.text, "dump": programs.version.text},
            position=found.pop("position"),
            counts=counts,
            statuses={Path(programs.dump).name: 0},
            facts={**found, "made": facts.databases, "bytes": sum(table.bytes for table in facts.tables)},
            warnings=warnings,
        )

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing: a dump leaves no trace on the server."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Read the files to their ends and compare them with what the capture says of them."""
        return verify(source)

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """What a restore would do."""
        return self._bringing.plan(source, request, surroundings)

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring it back; settings are ``database``, ``as`` and ``server``."""
        return self._bringing.restore(source, request, surroundings)

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Stop the server of its own that a killed restore has left."""
        if clear_away(surroundings.state, surroundings.clock):
            sentence = N_("The server that an interrupted restore of {component} had left is stopped.")
            return [Phrase(sentence, component=self.name)]
        return []

    def manual(self, report: Report) -> Sequence[str]:
        """The commands that bring it back."""
        captured = Captured.of(report)
        client = "mariadb" if "mariadb" in report.versions else "mysql"
        lines = [
            "# into an empty server, or one where these databases are dropped; add --host, --user and --password",
            f"{client} < {DATABASES}",
        ]
        for database in captured.databases:
            lines.append(f"{client} {shlex.quote(database)} < {shlex.quote('./' + routines_file(database))}")
        if captured.databases:
            lines.append(f"{client} < {DATA}")
        for database in captured.databases:
            lines.append(f"{client} {shlex.quote(database)} < {shlex.quote('./' + triggers_file(database))}")
        if USERS in captured.files:
            lines.append(f"{client} --force < {USERS}")
        return lines

    @property
    def _bringing(self) -> Bringing:
        return Bringing(server=self.server, folder=self.programs)


def _counts(databases: Mapping[str, Mapping[str, int | None]]) -> dict[str, int]:
    rows = [count for tables in databases.values() for count in tables.values()]
    counts = {"tables": len(rows)}
    if any(count is not None for count in rows):
        counts["rows"] = sum(count or 0 for count in rows)
    return counts


def _unsafe(tables: Sequence[str]) -> list[Finding]:
    """A warning of tables whose engine knows no transactions."""
    if not tables:
        return []
    names = ", ".join(tables[:_SHOWN]) + (" …" if len(tables) > _SHOWN else "")
    return [
        Finding(
            gravity=Gravity.WARNING,
            message=Phrase(
                N_("Tables without transactions are captured as they are when their turn comes: {names}."), names=names
            ),
            hint=Phrase(N_("Change them with ALTER TABLE … ENGINE=InnoDB.")),
        )
    ]
