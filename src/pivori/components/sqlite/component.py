"""The component: every SQLite database in some files and folders.

In a capture each database lies below its full path, as one file, without ``-wal`` and the like: all of it is in that.
"""

import os
import shlex
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from pivori.components.sqlite.copying import (
    PATIENCE,
    check_copy,
    copies_folder,
    copy_database,
    count_rows,
    dangling_rows,
    remove_copies,
    side_files,
)
from pivori.components.sqlite.errors import NoDatabase
from pivori.components.sqlite.facts import Database, databases_of, root_of, wanted
from pivori.components.sqlite.finding import find_databases
from pivori.components.sqlite.restoring import bring_back, check_stored, is_back
from pivori.errors import PivoriError
from pivori.translation import N_, ByteCount, Phrase

_LOOK_SECONDS: Final = 1.5


@dataclass(frozen=True, kw_only=True)
class SqliteComponent:
    """SQLite databases. ``paths`` are absolute: files, folders or patterns."""

    kind: ClassVar[str] = "sqlite"
    name: str
    paths: Sequence[Path]
    patience: float = PATIENCE

    def places(self) -> Sequence[Path]:
        """The files, and something in each folder: whoever writes the folder itself comes before."""
        return [place / "**" if place.is_dir() else place for place in (_fixed(path).resolve() for path in self.paths)]

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Find the databases, as far as that goes in some seconds."""
        versions = {"sqlite": sqlite3.sqlite_version}
        clock = surroundings.clock
        until = clock.monotonic() + _LOOK_SECONDS
        try:
            found = find_databases(self.name, self.paths, go_on=lambda: clock.monotonic() < until)
            if not found.databases and found.is_whole:
                raise NoDatabase(component=self.name)
        except PivoriError as error:
            return Inspection(versions=versions, findings=[failure_of(error)])
        findings = [Finding(gravity=Gravity.WARNING, message=warning) for warning in found.warnings]
        size = 0
        for path in found.databases:
            if not os.access(path, os.R_OK):
                message = Phrase(N_("{path} cannot be read by this user."), path=str(path))
                findings.append(Finding(gravity=Gravity.FAILURE, message=message))
            size += sum(file.stat().st_size for file in (path, *side_files(path)[:1]) if file.exists())
        counts = {"databases": len(found.databases)}
        return Inspection(versions=versions, size=size if found.is_whole else None, counts=counts, findings=findings)

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Copy, check and store each database. Raises NoDatabase and the other errors of this kind."""
        found = find_databases(self.name, self.paths)
        databases: list[Database] = []
        warnings = list(found.warnings)
        with copies_folder(surroundings.state) as folder:
            for path in found.databases:
                try:
                    database = Database.at(path)
                except FileNotFoundError:
                    warnings.append(Phrase(N_("{path} went away before it was copied"), path=str(path)))
                    continue
                databases.append(self._capture_one(database, folder / "copy.db", sink, surroundings, warnings))
        if not databases:
            raise NoDatabase(component=self.name)
        rows = sum(sum(database.tables.values()) for database in databases)
        return Report(
            consistency=Consistency.TRANSACTION,
            versions={"sqlite": sqlite3.sqlite_version},
            counts={
                "databases": len(databases),
                "tables": sum(len(database.tables) for database in databases),
                "rows": rows,
            },
            facts={
                "root": str(surroundings.root.resolve()),
                "databases": [database.fact() for database in databases],
            },
            warnings=warnings,
        )

    def _capture_one(
        self, database: Database, copy: Path, sink: Sink, surroundings: Surroundings, warnings: list[Phrase]
    ) -> Database:
        path = Path(database.path)
        copy_database(path, copy, self.name, surroundings.clock, self.patience)
        try:
            dangling = check_copy(copy, path, self.name)
            if dangling:
                warnings.append(dangling_rows(path, dangling))
            tables = count_rows(copy, surroundings.clock)
            with copy.open("rb", buffering=0) as file:
                stored = sink.stream(database.stored, file.readinto)
        finally:
            copy.unlink(missing_ok=True)
        return replace(database, size=stored.size, sha256=stored.sha256, tables=tables)

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing waits for it."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Read each database and compare it with the digest of what was checked when it was captured."""
        findings = []
        for database in databases_of(source.report):
            try:
                check_stored(source, database)
            except PivoriError as error:
                findings.append(failure_of(error))
        return findings

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """Say which databases are written. Raises DatabaseNotCaptured."""
        root = root_of(source.report)
        steps, replaces, space = [], [], {}
        for database in wanted(source.report, request):
            target = database.target(root, request)
            if is_back(database, target):
                steps.append(Phrase(N_("Leave {path}: it is as it was captured."), path=str(target)))
                continue
            steps.append(Phrase(N_("Write the database {path}."), path=str(target)))
            replaces += [
                Phrase(N_("{path} is moved aside."), path=str(file))
                for file in (target, *side_files(target))
                if os.path.lexists(file)
            ]
            space[target] = ByteCount(database.size)
        return RestorePlan(steps=steps, replaces=replaces, space=space)

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Write, check, and put in place. Raises DatabaseNotCaptured, DatabaseDiffers, DatabaseCorrupt, NotCaptured."""
        root = root_of(source.report)
        written = rows = 0
        checked: list[Phrase] = []
        remaining: list[Phrase] = []
        for database in wanted(source.report, request):
            target = database.target(root, request)
            if not is_back(database, target):
                remaining += bring_back(source, database, target, request, self.name)
                written += database.size
            rows += sum(database.tables.values())
            checked.append(
                Phrase(
                    N_("{path}: integrity_check is ok, {tables} tables with as many rows as captured."),
                    path=str(target),
                    tables=len(database.tables),
                )
            )
        return Restored(bytes=written, checked=checked, remaining=remaining, counts={"rows": rows})

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Remove copies that a run that was killed has left."""
        if remove_copies(surroundings.state):
            return [Phrase(N_("A copy of a database of {component} was removed."), component=self.name)]
        return []

    def manual(self, report: Report) -> Sequence[str]:
        """Copy each file to where it was, after what is there has been moved away with its journals."""
        lines = []
        for database in databases_of(report):
            path = shlex.quote(database.path)
            lines.append(
                f'for f in {path} {path}-wal {path}-shm {path}-journal; do [ ! -e "$f" ] || mv "$f" "$f.old"; done'
            )
            lines.append(f"mkdir -p {shlex.quote(str(Path(database.path).parent))}")
            lines.append(f"cp {shlex.quote('./' + database.stored)} {path}")
            owner = f"{database.user or database.uid}:{database.group or database.gid}"
            lines.append(f"chown {owner} {path} && chmod {database.mode:04o} {path}")
            lines.append(f"sqlite3 {path} 'PRAGMA integrity_check'")
        return lines


def _fixed(path: Path) -> Path:
    parts = path.parts
    wild = next((number for number, part in enumerate(parts) if set("*?[") & set(part)), None)
    return path if wild is None or os.path.lexists(path) else Path(*parts[:wild])
