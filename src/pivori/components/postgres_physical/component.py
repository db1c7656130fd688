"""The kind ``postgres-physical``: a cluster that can be brought back to any moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pivori.components.base import (
    ComponentFailed,
    Finding,
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
from pivori.components.postgres.server import Server, refused
from pivori.components.postgres_physical.by_hand import commands
from pivori.components.postgres_physical.capturing import Capturing, admitted, confirm
from pivori.components.postgres_physical.cluster import cluster_findings, lag_findings, look_at, look_at_slot, size_of
from pivori.components.postgres_physical.facts import Facts
from pivori.components.postgres_physical.recovering import Recovering, clear_up_after_kill
from pivori.components.postgres_physical.verifying import verify
from pivori.components.postgres_physical.walsender import Walsender
from pivori.errors import PivoriError
from pivori.translation import Phrase

DAY: Final = 86400.0

_PATIENT: Final = "-c idle_session_timeout=0 -c statement_timeout=0"
"""The ordinary connection waits while a base is received."""


@dataclass(frozen=True, kw_only=True)
class PostgresPhysical:
    """A PostgreSQL cluster, captured over the replication protocol.

    ``base_every`` in seconds is how old a base may become; ``lag_warning`` in bytes is how much log the slot may hold
    back without a word. ``data_directory`` is where a restore in place goes; ``account`` is whom its files belong to,
    when that is not seen by the directory. ``programs`` is the folder of the server's programs when they are not where
    they usually are. With ``scratch`` a verification brings the cluster back, in ``scratch_directory``.
    """

    kind: ClassVar[str] = "postgres-physical"

    name: str
    server: Server
    slot: str
    base_every: float = DAY
    lag_warning: int = 1 << 30
    data_directory: Path | None = None
    account: str = ""
    programs: Path | None = None
    scratch: bool = False
    scratch_directory: Path | None = None

    def places(self) -> Sequence[Path]:
        """The data directory, where it is known."""
        return () if self.data_directory is None else (self.data_directory,)

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at the server, its rights and the slot."""
        try:
            with self.server.connect(timeout=2) as sql, refused(self.server):
                cluster = look_at(sql)
                slot = look_at_slot(sql, self.slot)
                size = size_of(sql)
            findings = cluster_findings(cluster, slot)
            if not findings:
                with Walsender.connect(self.server) as sender:
                    sender.rows("IDENTIFY_SYSTEM")
        except PivoriError as error:
            return Inspection(findings=(failure_of(error),))
        held = {} if slot is None else {"bytes held back": slot.held}
        return Inspection(
            versions={"server": cluster.version},
            size=size,
            counts={"databases": cluster.databases, **held},
            findings=[*findings, *lag_findings(cluster, slot, warn_above=self.lag_warning)],
        )

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Take a base when one is due, and the log. Raises ComponentFailed and what the sink raises."""
        with self.server.connect(options=_PATIENT) as sql:
            cluster, slot = admitted(self.server, sql, self.slot)
            with Walsender.connect(self.server) as sender:
                return Capturing(
                    server=self.server,
                    sink=sink,
                    clock=surroundings.clock,
                    slot=self.slot,
                    base_every=self.base_every,
                    cluster=cluster,
                    found_slot=slot,
                    sql=sql,
                    sender=sender,
                ).run()

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Tell the server that it may forget the log that is in the repository now. Raises ComponentFailed."""
        facts = Facts.of(report)
        if facts is None:
            return
        with self.server.connect() as sql, refused(self.server):
            confirm(facts, sql, surroundings.clock)

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Compare the base with its manifest and look for gaps in the log; with ``scratch``, bring it back."""
        findings = list(verify(source))
        if findings or not self.scratch:
            return findings
        try:
            self._recovering(source, surroundings).try_out(self.scratch_directory)
        except ComponentFailed as error:
            findings.append(failure_of(error))
        return findings

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """Say what a restore would do."""
        return self._recovering(source, surroundings).plan(request)

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring the cluster back as a data directory that is ready to be started. Raises ComponentFailed."""
        return self._recovering(source, surroundings).restore(request)

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Stop and remove what a restore that was killed has left."""
        return clear_up_after_kill(surroundings.state)

    def manual(self, report: Report) -> Sequence[str]:
        """The shell commands that bring it back without this program."""
        return commands(Facts.of(report))

    def _recovering(self, source: Source, surroundings: Surroundings) -> Recovering:
        return Recovering(
            name=self.name,
            source=source,
            surroundings=surroundings,
            data_directory=self.data_directory,
            account=self.account,
            programs=self.programs,
        )
