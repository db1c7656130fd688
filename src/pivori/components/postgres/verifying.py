"""Checking a capture: its files as they were written, and whether ``pg_restore`` understands them; on request, by
restoring it into a server of its own and comparing."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pivori.components.base import Finding, Gravity, NotCaptured, Source, Surroundings, failure_of
from pivori.components.postgres.archive import Archive, run_client
from pivori.components.postgres.bringing_back import OWN_SETTINGS, PREFIX, Bringing
from pivori.components.postgres.catalogue import connect_anywhere
from pivori.components.postgres.choosing import Wish
from pivori.components.postgres.dumping import GLOBALS
from pivori.components.postgres.facts import Captured, CapturedDatabase, captured_in
from pivori.components.postgres.own_server import make_cluster, running, server_owner, workplace
from pivori.components.postgres.programs import Programs, client_programs, server_programs_from
from pivori.components.postgres.server import Access, Server
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase


@dataclass(frozen=True, kw_only=True)
class Verifying:
    """How captures are checked."""

    bringing: Bringing

    def verify(self, source: Source, surroundings: Surroundings) -> list[Finding]:
        """What is wrong with a capture's files."""
        captured = captured_in(source.report)
        findings = []
        try:
            programs = client_programs(["pg_restore"], captured.dumped_with, self.bringing.folder)
        except PivoriError as error:
            programs = None
            hint = Phrase(error.hint, **error.details)
            findings.append(Finding(gravity=Gravity.WARNING, message=error.as_reason, hint=hint))
        findings += _look_at_globals(source)
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=surroundings.state) as folder:
            for database in captured.databases:
                try:
                    findings += _look_at_dump(source, database, programs, Path(folder))
                except NotCaptured as error:
                    findings.append(failure_of(error))
        return findings

    def prove(self, source: Source, surroundings: Surroundings) -> list[Finding]:
        """Restore a capture into a server of its own, compare the rows, and have ``amcheck`` look at it."""
        captured = captured_in(source.report)
        try:
            programs = server_programs_from(captured.major, self.bringing.server_folder)
            owner = server_owner()
            with workplace(surroundings.state, surroundings.state, owner) as place:
                make_cluster(programs, place / "data", owner, captured.superuser)
                with running(programs, place, owner, captured.superuser, OWN_SETTINGS) as server:
                    wish = Wish(databases=captured.databases, everything=True)
                    self.bringing.into(server, source, wish, surroundings, keep=False, own=True)
                    return list(_amcheck(server, programs, captured))
        except PivoriError as error:
            return [failure_of(error)]


def _look_at_globals(source: Source) -> Iterator[Finding]:
    facts = source.report.facts["globals"]
    try:
        content = source.read(GLOBALS, most=256 << 20)
    except NotCaptured as error:
        yield failure_of(error)
        return
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        yield _changed(GLOBALS)


def _look_at_dump(
    source: Source, database: CapturedDatabase, programs: Programs | None, folder: Path
) -> Iterator[Finding]:
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for piece in source.pieces(database.file):
            digest.update(piece)
            yield piece

    stream = pieces()
    if programs is not None:
        try:
            archive = Archive(database.file, stream, folder, programs, database.encoding)
        except PivoriError as error:
            yield failure_of(error)
        else:
            yield from _look_at_list(archive, database)
    for _piece in stream:
        pass
    if digest.hexdigest() != database.sha256:
        yield _changed(database.file)


def _look_at_list(archive: Archive, database: CapturedDatabase) -> Iterator[Finding]:
    """Every table whose rows were counted has to be in the list, with rows."""
    there = {entry.text for entry in archive.entries}
    for table, _rows in database.tables:
        text = f"TABLE DATA {table.schema} {table.name} {table.owner}"
        if text.replace("\n", " ") not in there:
            yield Finding(
                gravity=Gravity.FAILURE,
                message=Phrase(
                    N_("The dump {file} lacks the rows of the table {table}."),
                    file=database.file,
                    table=f"{table.schema}.{table.name}",
                ),
                hint=Phrase(N_("Choose an earlier recovery point with --at.")),
            )


def _changed(file: str) -> Finding:
    return Finding(
        gravity=Gravity.FAILURE,
        message=Phrase(N_("The file {file} is not what was captured."), file=file),
        hint=Phrase(N_("Choose an earlier recovery point with --at, and check the repository with `pivori verify`.")),
    )


def _amcheck(server: Server, programs: Programs, captured: Captured) -> Iterator[Finding]:
    """Have the server look at its tables and indexes."""
    with closing(connect_anywhere(server)) as connection:
        query = "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"
        available = connection.execute(query).fetchone() is not None
    if not available or not programs.has("pg_amcheck"):
        yield Finding(
            gravity=Gravity.WARNING,
            message=Phrase(N_("The restored server was not checked by amcheck, which is not on this machine.")),
            hint=Phrase(N_("Install it: {package}."), package=f"postgresql-{captured.major}, postgresql-contrib"),
        )
        return
    words = server.words()
    options = [f"--host={words['host']}", f"--port={words['port']}", f"--username={words['user']}", "--no-password"]
    options += ["--all", "--install-missing", "--heapallindexed", "--jobs=2"]
    status, output, said = run_client(programs, Access({}, ()), "pg_amcheck", options)
    if status:
        lines: Sequence[str] = (output.decode(errors="replace") or said).splitlines() or [str(status)]
        yield Finding(
            gravity=Gravity.FAILURE,
            message=Phrase(N_("amcheck found damage in the restored server: {reason}."), reason=" ".join(lines[:2])),
        )
