"""What can be asked of a running server over an ordinary connection: its settings, its rights, the slot."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pivori.components.base import Finding, Gravity
from pivori.components.postgres_physical.lsn import parse_lsn
from pivori.translation import N_, ByteCount, Phrase

if TYPE_CHECKING:
    from psycopg import Connection

OLDEST: Final = 15
"""The first version whose base backups come as this program reads them."""

_SETTINGS: Final = (
    "max_connections",
    "max_worker_processes",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)

_CLUSTER: Final = """
    select current_setting('server_version_num')::int, current_setting('server_version'),
           current_setting('wal_level'), current_setting('max_wal_senders')::int,
           current_setting('max_replication_slots')::int,
           (select setting::bigint from pg_settings where name = 'max_slot_wal_keep_size'),
           (select count(*) from pg_replication_slots),
           (select rolsuper or rolreplication from pg_roles where rolname = current_user),
           (select rolname from pg_roles where oid = 10), current_database(),
           (select count(*) from pg_database where datallowconn),
           (select setting::bigint from pg_settings where name = 'wal_segment_size'),
           (select coalesce(array_agg(oid::text), '{}') from pg_tablespace where oid >= 16384)
"""

_SLOT: Final = """
    select slot_type, coalesce(wal_status, ''), restart_lsn::text,
           pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end,
                           restart_lsn)::bigint
    from pg_replication_slots where slot_name = %s
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A server. ``keep_limit`` is the megabytes that a slot may hold back, -1 for no limit."""

    number: int
    version: str
    wal_level: str
    senders: int
    slots: int
    keep_limit: int
    slots_used: int
    may_replicate: bool
    superuser: str
    database: str
    databases: int
    segment_size: int
    tablespaces: list[str]
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def major(self) -> int:
        """Its major version."""
        return self.number // 10000


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The replication slot. ``restart`` is where the log begins that it holds, None when it holds none."""

    physical: bool
    status: str
    restart: int | None
    held: int

    @property
    def is_lost(self) -> bool:
        """Whether the server has thrown away what it should have held."""
        return self.status == "lost" or self.restart is None


def look_at(sql: "Connection[Any]") -> Cluster:
    """Ask a server what it is. Raises psycopg.Error."""
    row = sql.execute(_CLUSTER).fetchone()
    assert row is not None  # noqa: S101 - a row without a table
    names = (
        "number",
        "version",
        "wal_level",
        "senders",
        "slots",
        "keep_limit",
        "slots_used",
        "may_replicate",
        "superuser",
        "database",
        "databases",
        "segment_size",
        "tablespaces",
    )
    settings = {name: _setting(sql, name) for name in _SETTINGS}
    return Cluster(**dict(zip(names, row, strict=True)), settings=settings)


def _setting(sql: "Connection[Any]", name: str) -> str:
    row = sql.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None  # noqa: S101 - a row without a table
    return str(row[0])


def look_at_slot(sql: "Connection[Any]", name: str) -> Slot | None:
    """The slot of a name; None when there is none. Raises psycopg.Error."""
    row = sql.execute(_SLOT, [name]).fetchone()
    if row is None:
        return None
    kind, status, restart, held = row
    return Slot(
        physical=kind == "physical",
        status=status,
        restart=parse_lsn(restart) if restart else None,
        held=max(int(held or 0), 0),
    )


def cluster_findings(cluster: Cluster, slot: Slot | None) -> list[Finding]:
    """What keeps a server from being captured."""
    found: list[tuple[bool, Phrase, Phrase]] = [
        (
            cluster.major < OLDEST,
            Phrase(
                N_("PostgreSQL {version} is too old: it has to be {oldest} or later."),
                version=cluster.version,
                oldest=OLDEST,
            ),
            Phrase(N_("Capture this server with a component of the kind `postgres`.")),
        ),
        (
            not cluster.may_replicate,
            Phrase(N_("The server's user may not replicate.")),
            Phrase(N_("Run: ALTER ROLE … REPLICATION.")),
        ),
        (
            cluster.wal_level == "minimal",
            Phrase(N_("The server writes too little into its transaction log: wal_level is minimal.")),
            Phrase(N_("Set wal_level = replica and start the server again.")),
        ),
        (
            cluster.senders == 0,
            Phrase(N_("The server lets nobody receive its transaction log: max_wal_senders is 0.")),
            Phrase(N_("Set max_wal_senders to 4 or more and start the server again.")),
        ),
        (
            slot is None and cluster.slots_used >= cluster.slots,
            Phrase(N_("All {number} replication slots of the server are taken."), number=cluster.slots),
            Phrase(N_("Raise max_replication_slots, or drop a slot that nobody uses.")),
        ),
        (
            slot is not None and not slot.physical,
            Phrase(N_("The replication slot is a logical one.")),
            Phrase(N_("Name another one with the option slot.")),
        ),
    ]
    return [Finding(gravity=Gravity.FAILURE, message=what, hint=hint) for bad, what, hint in found if bad]


def lag_findings(cluster: Cluster, slot: Slot | None, *, warn_above: int) -> list[Finding]:
    """What somebody should know of the log that the slot holds back on the server's disk."""
    found: list[tuple[bool, Phrase, Phrase]] = []
    if slot is not None:
        found = [
            (
                slot.is_lost,
                Phrase(
                    N_(
                        "The server has thrown away a part of the transaction log that the replication slot"
                        " should have held."
                    )
                ),
                Phrase(N_("The next capture takes a new base. Raise max_slot_wal_keep_size, or capture more often.")),
            ),
            (
                slot.held > warn_above,
                Phrase(N_("The replication slot holds back {size} of the transaction log."), size=ByteCount(slot.held)),
                Phrase(N_("Capture more often; see why the last captures were not stored.")),
            ),
            (
                slot.status == "unreserved",
                Phrase(
                    N_("The server is about to throw away a part of the transaction log that was not captured yet.")
                ),
                Phrase(N_("Capture now.")),
            ),
        ]
    found.append(
        (
            cluster.keep_limit < 0,
            Phrase(
                N_(
                    "Nothing limits the transaction log that a replication slot holds back: it can fill the server's "
                    "disk."
                )
            ),
            Phrase(N_("Set max_slot_wal_keep_size to less than the free space of the server's disk.")),
        )
    )
    return [Finding(gravity=Gravity.WARNING, message=what, hint=hint) for bad, what, hint in found if bad]


def size_of(sql: "Connection[Any]") -> int | None:
    """The bytes of all databases; None when the user may not ask."""
    import psycopg

    try:
        row = sql.execute("select sum(pg_database_size(oid))::bigint from pg_database").fetchone()
    except psycopg.Error:
        return None
    return int(row[0]) if row is not None and row[0] is not None else None
