"""One capture: a base when one is due, and the log from where the last capture ended to the server's present position.

Nothing is confirmed to the server here: what it holds back for the slot stays until the recovery point is durable.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pivori.clock import Clock
from pivori.components.base import ComponentFailed, Consistency, Report, Sink, has_failure
from pivori.components.postgres.server import Server, refused
from pivori.components.postgres_physical.base_backup import MANIFEST, BaseBackup
from pivori.components.postgres_physical.cluster import Cluster, Slot, cluster_findings, look_at, look_at_slot
from pivori.components.postgres_physical.facts import BaseFacts, Facts, history_path
from pivori.components.postgres_physical.log_stream import LogStream
from pivori.components.postgres_physical.lsn import format_lsn, parse_lsn
from pivori.components.postgres_physical.walsender import ReplicationFailed, Walsender, first_row
from pivori.translation import N_, ByteCount, Phrase

if TYPE_CHECKING:
    from psycopg import Connection

_IN_USE: Final = "55006"
_NO_SUCH_FILE: Final = "58P01"
_ATTEMPTS: Final = 20
_PAUSE: Final = 0.5
"""Seconds between two attempts at a slot that another connection has not let go of yet."""

_SMALLEST: Final = 0.5
"""The share of the base before it below which a base is called small."""

_COMMITTED: Final = """
    select case when current_setting('track_commit_timestamp') = 'on'
                then (select timestamp from pg_last_committed_xact()) end
"""


class CannotCapture(ComponentFailed):
    """Something about the server, or about the capture before, keeps it from being captured."""

    code = "postgres-cannot-capture"
    message = N_("The server {server} cannot be captured: {reason}.")
    hint = "{advice}"


@dataclass(frozen=True, kw_only=True)
class _Identity:
    """Which cluster answers, and how far its log is on its disk."""

    system: str
    timeline: int
    flushed: int


@dataclass(kw_only=True)
class Capturing:
    """A capture that is being made, over two connections of the caller's; used once. ``base_every`` is in seconds."""

    server: Server
    sink: Sink
    clock: Clock
    slot: str
    base_every: float
    cluster: Cluster
    found_slot: Slot | None
    sql: "Connection[Any]"
    sender: Walsender

    def __post_init__(self) -> None:
        self._before = Facts.of(self.sink.previous)
        self._warnings: list[str] = []

    def run(self) -> Report:
        """Take it. Raises ComponentFailed and what the sink raises."""
        cluster, slot = self.cluster, self.found_slot
        identity = self._identify()
        bases = self._continued(cluster, identity, slot)
        self._hold_log(slot)
        for base in bases:
            self._keep_base(base)
        if not bases or self._is_due(bases[0], cluster):
            bases = [*bases, self._take_base()]
        facts = self._facts(cluster, identity, bases)
        self._take_log(facts)
        return self._report(cluster, facts)

    def _identify(self) -> _Identity:
        system, timeline, flushed = first_row(self.sender.rows("IDENTIFY_SYSTEM"))[:3]
        return _Identity(system=system, timeline=int(timeline), flushed=parse_lsn(flushed))

    def _continued(self, cluster: Cluster, identity: _Identity, slot: Slot | None) -> list[BaseFacts]:
        """The base that this capture goes on from; none when the log since then has a gap, or there is no base."""
        if self.sink.previous is None:
            return []
        reason = self._gap(cluster, identity, slot)
        if reason is None and self._before is not None:
            return [self._before.bases[-1]]
        self._warnings.append(Phrase(N_("A new base was taken: {reason}."), reason=reason))
        return []

    def _gap(self, cluster: Cluster, identity: _Identity, slot: Slot | None) -> Phrase | None:
        """Why the log cannot be continued; None when it can."""
        before = self._before
        if before is None:
            return Phrase(N_("what the last capture says of itself cannot be read"))
        size = before.segment_size
        checks: list[tuple[Callable[[], bool], Phrase]] = [
            (lambda: identity.system != before.system, Phrase(N_("this is another cluster"))),
            (
                lambda: identity.timeline != before.timeline,
                Phrase(N_("the server is on timeline {now} now"), now=identity.timeline),
            ),
            (lambda: cluster.segment_size != size, Phrase(N_("the segments of the transaction log have another size"))),
            (
                lambda: identity.flushed < before.end,
                Phrase(N_("the transaction log ends before the last capture does")),
            ),
            (lambda: slot is None, Phrase(N_("the replication slot was gone"))),
            (
                lambda: (
                    slot is None or slot.restart is None or slot.is_lost or slot.restart // size > before.end // size
                ),
                Phrase(N_("the server no longer has the transaction log since {lsn}"), lsn=before.position),
            ),
            (lambda: not self._has_all(before), Phrase(N_("the last capture lacks files"))),
        ]
        return next((reason for is_so, reason in checks if is_so()), None)

    def _has_all(self, before: Facts) -> bool:
        """Whether everything can be taken over from the last capture."""
        base = before.bases[-1]
        names = {*self.sink.names(base.folder), *self.sink.names("wal")}
        wanted = {f"{base.folder}/{name}" for name in (*base.archives, MANIFEST)}
        return wanted | {path for path, *_rest in before.log_files(base)} <= names

    def _hold_log(self, slot: Slot | None) -> None:
        """Make the slot, which holds the log from now on, when it is not there or holds nothing."""
        if slot is not None and not slot.is_lost:
            return
        if slot is not None:
            self.sender.rows(f'DROP_REPLICATION_SLOT "{self.slot}"')
        self.sender.rows(f'CREATE_REPLICATION_SLOT "{self.slot}" PHYSICAL (RESERVE_WAL)')

    def _is_due(self, base: BaseFacts, cluster: Cluster) -> bool:
        """Whether a base is too old, or from before a tablespace: replaying its log would make that where it was."""
        if any(f"{tablespace}.tar" not in base.archives for tablespace in cluster.tablespaces):
            return True
        return (self.clock.now() - base.taken).total_seconds() >= self.base_every

    def _keep_base(self, base: BaseFacts) -> None:
        for name in (*base.archives, MANIFEST):
            self._keep(f"{base.folder}/{name}")

    def _keep(self, path: str) -> None:
        if self.sink.keep(path) is None:
            raise CannotCapture(
                server=str(self.server),
                reason=Phrase(N_("the last capture lacks {path}"), path=path),
                advice=Phrase(N_("Verify the repository with `pivori verify`.")),
            )

    def _take_base(self) -> BaseFacts:
        """Receive a base backup and store its files while they come."""
        taken = self.clock.now()
        backup = BaseBackup(self.sender)
        name = f"{taken.astimezone(UTC):%Y%m%dT%H%M%SZ}-{backup.timeline}-{backup.start:X}"
        archives: dict[str, str] = {}
        size = 0
        for part in backup.parts():
            size += self.sink.stream(f"base/{name}/{part.name}", part.read).size
            if part.name != MANIFEST:
                archives[part.name] = part.location
        end = backup.end()
        self._compare(size)
        return BaseFacts(
            id=name,
            start=format_lsn(backup.start),
            end=format_lsn(end),
            timeline=backup.timeline,
            taken=taken,
            ended=self._server_time(),
            size=size,
            archives=archives,
        )

    def _compare(self, size: int) -> None:
        """Say so when a base is far smaller than the one before it. The server vouches for it: that is no failure."""
        usual = self._before.bases[-1].size if self._before is not None else 0
        if size < usual * _SMALLEST:
            sentence = N_("The base backup has {size}, the one before it had {usual}.")
            self._warnings.append(Phrase(sentence, size=ByteCount(size), usual=ByteCount(usual)))

    def _server_time(self) -> datetime:
        with refused(self.server):
            row = self.sql.execute("select clock_timestamp()").fetchone()
        assert row is not None  # noqa: S101 - a row without a table
        time: datetime = row[0]
        return time.astimezone(UTC)

    def _facts(self, cluster: Cluster, identity: _Identity, bases: list[BaseFacts]) -> Facts:
        """Choose the moment of this capture: what the server has on its disk now."""
        # The time before the position: whatever was committed until then is in the log before that position.
        time = self._server_time()
        now = self._identify()
        if (now.system, now.timeline) != (identity.system, identity.timeline) or bases[-1].timeline != now.timeline:
            raise CannotCapture(
                server=str(self.server),
                reason=Phrase(N_("it changed its timeline meanwhile")),
                advice=Phrase(N_("Run the command again: a new base is taken then.")),
            )
        return Facts(
            system=now.system,
            timeline=now.timeline,
            segment_size=cluster.segment_size,
            major=cluster.major,
            position=format_lsn(max(now.flushed, parse_lsn(bases[-1].end))),
            time=time,
            slot=self.slot,
            superuser=cluster.superuser,
            database=cluster.database,
            bases=bases,
            settings=cluster.settings,
        )

    def _take_log(self, facts: Facts) -> None:
        """Keep the segments that the last capture has whole, and receive the others."""
        self._take_history(facts)
        files = facts.log_files(facts.bases[0])
        known = self._known_segments(facts)
        while files and files[0][0] in known:
            self._keep(files.pop(0)[0])
        if not files:
            return
        stream = self._stream(facts, files[0][2])
        for path, _name, first, length in files:
            self.sink.stream(path, stream.reader(first + length))
        stream.close()

    def _known_segments(self, facts: Facts) -> set[str]:
        """The files of the log that are in the last capture as they are in this one."""
        before = self._before
        if before is None or before.bases[-1].id != facts.bases[0].id:
            return set()
        now = {path for path, *_rest in facts.log_files(facts.bases[0])}
        if before.position != facts.position:
            now = {path for path in now if not path.endswith(".partial")}
        return now & set(self.sink.names("wal"))

    def _stream(self, facts: Facts, start: int) -> LogStream:
        """Begin to receive the log. A connection that was killed may still have the slot for a moment."""
        for attempt in range(_ATTEMPTS):
            try:
                return LogStream(self.sender, slot=self.slot, timeline=facts.timeline, start=start)
            except ReplicationFailed as error:
                if error.sqlstate != _IN_USE or attempt == _ATTEMPTS - 1:
                    raise
            self.clock.sleep(_PAUSE)
        raise AssertionError

    def _take_history(self, facts: Facts) -> None:
        """The history of the timeline says which ones it came from; the first one has none."""
        if facts.timeline == 1:
            return
        try:
            _name, content = first_row(self.sender.rows(f"TIMELINE_HISTORY {facts.timeline}"))
        except ReplicationFailed as error:
            # Recovery on this timeline alone does without it.
            if error.sqlstate != _NO_SUCH_FILE:
                raise
            return
        self.sink.document(history_path(facts.timeline), content.encode(errors="surrogateescape"))

    def _report(self, cluster: Cluster, facts: Facts) -> Report:
        position = {"lsn": facts.position, "timeline": str(facts.timeline), "system": facts.system}
        position["time"] = facts.time.isoformat()
        with refused(self.server):
            row = self.sql.execute(_COMMITTED).fetchone()
        if row is not None and row[0] is not None:
            position["last-commit"] = row[0].astimezone(UTC).isoformat()
        return Report(
            consistency=Consistency.TRANSACTION,
            versions={"server": cluster.version},
            position=position,
            counts={
                "databases": cluster.databases,
                "bases": len(facts.bases),
                "segments": len(facts.log_files(facts.bases[0])),
            },
            facts=facts.encoded(),
            warnings=tuple(self._warnings),
            replay_from=facts.bases[0].ended.isoformat(),
        )


def admitted(server: Server, sql: "Connection[Any]", slot: str) -> tuple[Cluster, Slot | None]:
    """Look at a server and at the slot before a capture. Raises CannotCapture when there is no point in trying."""
    with refused(server):
        cluster, found = look_at(sql), look_at_slot(sql, slot)
    findings = cluster_findings(cluster, found)
    if has_failure(findings):
        raise CannotCapture(server=str(server), reason=findings[0].message, advice=findings[0].hint or "")
    return cluster, found


def confirm(facts: Facts, sql: "Connection[Any]", clock: Clock) -> None:
    """Tell the server that it may forget the log before the position of a capture. Raises psycopg.Error.

    A server that is another one by now, or whose slot is gone or further on, is left alone.
    """
    import psycopg

    slot = look_at_slot(sql, facts.slot)
    row = sql.execute("select system_identifier::text from pg_control_system()").fetchone()
    if row is None or row[0] != facts.system:
        return
    if slot is None or not slot.physical or slot.restart is None or slot.restart >= facts.end:
        return
    for attempt in range(_ATTEMPTS):
        try:
            sql.execute("select pg_replication_slot_advance(%s, %s::pg_lsn)", [facts.slot, facts.position])
        except psycopg.errors.ObjectInUse:
            if attempt == _ATTEMPTS - 1:
                raise
            clock.sleep(_PAUSE)
        else:
            return
