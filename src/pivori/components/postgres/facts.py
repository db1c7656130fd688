"""What the report of a logical capture says, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pivori.components.base import Report
from pivori.components.postgres.catalogue import Table
from pivori.components.postgres.programs import major_of


@dataclass(frozen=True, kw_only=True)
class CapturedDatabase:
    """A database in a capture: its file with length and SHA-256, and its tables with their rows, None if uncounted.

    ``bytes`` is what it took on the server, 0 when that was not known; ``table_bytes`` is that of its tables.
    """

    name: str
    file: str
    size: int
    sha256: str
    tables: Sequence[tuple[Table, int | None]]
    bytes: int = 0
    encoding: str = "UTF8"
    table_bytes: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def rows(self) -> Mapping[tuple[str, str], int]:
        """The rows of the tables that were counted."""
        return {(table.schema, table.name): rows for table, rows in self.tables if rows is not None}

    def weight(self, table: Table) -> int:
        """The bytes that a table took on the server."""
        return self.table_bytes.get((table.schema, table.name), 0)


@dataclass(frozen=True, kw_only=True)
class Captured:
    """A capture: of which server, with which ``pg_dump``. ``superuser`` is the one that the server was made with."""

    server: str
    dumped_with: str
    superuser: str
    tablespaces: Sequence[str]
    databases: Sequence[CapturedDatabase]

    @property
    def major(self) -> int:
        """The major version of the server."""
        return major_of(self.server)

    def database(self, name: str) -> CapturedDatabase | None:
        """The database of a name; None when it was not captured."""
        return next((database for database in self.databases if database.name == name), None)


def captured_in(report: Report) -> Captured:
    """What a report says."""
    return Captured(
        server=report.versions["postgres"],
        dumped_with=report.versions["pg_dump"],
        superuser=str(report.facts["superuser"]),
        tablespaces=report.facts.get("tablespaces", []),
        databases=[
            CapturedDatabase(
                name=item["name"],
                file=item["file"],
                size=item["size"],
                sha256=item["sha256"],
                bytes=item.get("bytes", 0),
                encoding=item["encoding"],
                tables=[
                    (Table(schema=schema, name=name, owner=owner), rows)
                    for schema, name, owner, rows, _bytes in item["tables"]
                ],
                table_bytes={(table[0], table[1]): table[4] for table in item["tables"]},
            )
            for item in report.facts["databases"]
        ],
    )
