"""Bringing one table back into a database: with its rows, indexes, constraints, rights and the sequences it owns.

What has its name there is renamed before, with its indexes, constraints and sequences, so that nothing is lost; foreign
keys and views of others go on to refer to it.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

from pivori.components.base import Source
from pivori.components.postgres.archive import Entry
from pivori.components.postgres.catalogue import Table
from pivori.components.postgres.dumping import start_client
from pivori.components.postgres.facts import CapturedDatabase
from pivori.components.postgres.filling import Filling, RowsDiffer, cut_name, open_archive
from pivori.components.postgres.loading import feed_all
from pivori.components.postgres.server import Server, refused
from pivori.components.postgres.statements import quoted

if TYPE_CHECKING:
    import psycopg

_OF_TABLE: Final = (
    "TABLE DATA",
    "ACL",
    "COMMENT",
    "SECURITY LABEL",
    "DEFAULT",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "CONSTRAINT",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "INDEX",
    "STATISTICS",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "TABLE ATTACH",
    "INDEX ATTACH",
)
"""What belongs to a table when it depends on it; views, functions and publications do not."""

_NAMED_BY_TABLE: Final = ("CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "POLICY")
"""What other tables can have too that depends on this one; its name begins with its own table's."""

_PARTS: Final = """
    SELECT c.relkind::text, c.relname::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s
       AND d.deptype IN ('a', 'i') AND c.relkind IN ('i', 'I', 'S')
    UNION
    SELECT 'i', c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %(table)s
"""
_REFERRING: Final = """
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(table)s AND d.deptype = 'n'
       AND d.classid IN ('pg_constraint'::regclass, 'pg_rewrite'::regclass)
     ORDER BY 1
"""


def entries_of(entries: Sequence[Entry], table: Table) -> list[Entry]:
    """The entries of a dump that make up a table, in their order."""
    own = f"{table.schema} {table.name} "
    chosen = {entry.number for entry in entries if entry.text == f"TABLE {own}{table.owner}"}
    while True:
        more = {entry.number for entry in entries if entry.number not in chosen and _belongs(entry, chosen, own)}
        more |= _owned_sequences(entries, chosen)
        if not more - chosen:
            return [entry for entry in entries if entry.number in chosen]
        chosen |= more


def bring_table(
    filling: Filling, source: Source, captured: CapturedDatabase, table: Table, database: str, moment: str
) -> tuple[str | None, Sequence[str]]:
    """Bring a table back: the name that the one before has now, and what goes on to refer to that.

    Raises what :meth:`Filling.make` raises; then the table is as it was.
    """
    archive = open_archive(source, captured, filling.folder, filling.programs)
    chosen = archive.write_list(entries_of(archive.entries, table))
    options = ["--exit-on-error", "--single-transaction", "--no-password", f"--use-list={chosen}"]
    options += [f"--dbname={filling.server.conninfo(database)}", *([] if filling.tablespaces else ["--no-tablespaces"])]
    with closing(filling.server.connect(database)) as connection, refused(filling.server):
        referring = referring_to(connection, table)
        aside, renamed = _move_aside(connection, table, moment)
        try:
            with start_client(filling.programs, filling.access, "pg_restore", options) as process:
                feed_all([(process, archive.content())])
            _check(connection, captured, table)
        except BaseException:
            _move_back(connection, filling.server, table, renamed)
            raise
        connection.execute(b"ANALYZE " + _name(table.schema, table.name))
    archive.path.unlink()
    return aside, referring


def referring_to(connection: "psycopg.Connection", table: Table) -> list[str]:
    """The foreign keys and views of others that refer to a table, in the server's words. Raises psycopg.Error."""
    number = _number(connection, table)
    if number is None:
        return []
    own = f"on table {table.name}"
    rows = connection.execute(_REFERRING.encode(), {"table": number})
    return [str(text) for (text,) in rows if not str(text).endswith(own)]


def _belongs(entry: Entry, chosen: set[int], own: str) -> bool:
    """Whether an entry is a part of what was chosen already."""
    if not chosen.intersection(entry.depends):
        return False
    kind = next((kind for kind in sorted(_OF_TABLE, key=len, reverse=True) if entry.text.startswith(f"{kind} ")), None)
    return kind is not None and (kind not in _NAMED_BY_TABLE or entry.text.startswith(f"{kind} {own}"))


def _owned_sequences(entries: Sequence[Entry], chosen: set[int]) -> set[int]:
    """The sequences that the chosen table owns: what says so depends on both."""
    sequences = {entry.number for entry in entries if entry.text.startswith("SEQUENCE ")}
    owning = [entry for entry in entries if entry.number in chosen and entry.text.startswith("SEQUENCE OWNED BY ")]
    return {number for entry in owning for number in entry.depends if number in sequences}


def _move_aside(
    connection: "psycopg.Connection", table: Table, moment: str
) -> tuple[str | None, Sequence[tuple[str, str, str]]]:
    """Rename a table and its parts: its new name, and (kind, old name, new name) of all of them."""
    number = _number(connection, table)
    if number is None:
        return None, []
    parts = [("TABLE", table.name)]
    parts += [
        ("SEQUENCE" if kind == "S" else "INDEX", str(name))
        for kind, name in connection.execute(_PARTS.encode(), {"table": number})
    ]
    renamed = [(kind, name, cut_name(name, f"_aside_{moment}")) for kind, name in parts]
    with connection.transaction():
        for kind, old, new in renamed:
            connection.execute(_rename(kind, table.schema, old, new))
    return renamed[0][2], renamed


def _move_back(
    connection: "psycopg.Connection", server: Server, table: Table, renamed: Sequence[tuple[str, str, str]]
) -> None:
    """Undo what was renamed. What was restored in its place and is wrong goes."""
    with refused(server), connection.transaction():
        if renamed:
            connection.execute(b"DROP TABLE IF EXISTS " + _name(table.schema, table.name))
        for kind, old, new in renamed:
            connection.execute(_rename(kind, table.schema, new, old))


def _check(connection: "psycopg.Connection", captured: CapturedDatabase, table: Table) -> None:
    expected = captured.rows.get((table.schema, table.name))
    row = connection.execute(b"SELECT count(*) FROM ONLY " + _name(table.schema, table.name)).fetchone()
    found = int(row[0]) if row is not None else 0
    if expected is not None and found != expected:
        raise RowsDiffer(database=captured.name, table=f"{table.schema}.{table.name}", found=found, expected=expected)


def _number(connection: "psycopg.Connection", table: Table) -> int | None:
    query = (
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = %s AND relname = %s"
    )
    row = connection.execute(query, [table.schema, table.name]).fetchone()
    return int(row[0]) if row is not None else None


def _name(schema: str, name: str) -> bytes:
    return f"{quoted(schema)}.{quoted(name)}".encode()


def _rename(kind: str, schema: str, old: str, new: str) -> bytes:
    return f"ALTER {kind} ".encode() + _name(schema, old) + f" RENAME TO {quoted(new)}".encode()
