"""The scenario of components: a database beside its own programs, a git repository, a stack of all kinds.

The servers are children of this process, so that nothing outlives it; what is measured therefore runs below a
process of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import measure
from component_tools import (
    CAPTURE,
    GIT_BACKUP,
    GIT_CAPTURE,
    INSPECTION,
    NEWEST,
    PG_DUMP,
    PG_RESTORE,
    RESTORE,
    SCATTERED,
    UNCHANGED,
    Clients,
    Stacks,
    all_components,
    database_component,
    write_stack,
)
from git_history import COMMITS, FILES
from postgres import COPY, DATABASE, Database, Missing, database, is_there, servers_of_the_tests
from rows import Row, Table
from scenarios import Failed, refuse_failure, size_of, tell
from tools import Pivori, Place

KEYS = 10_000
SETTLING = 5
"""Seconds until a repository counts as at rest."""
SOURCE_ALONE = ("--component", "source")


@dataclass(frozen=True)
class Ground:
    """The servers that run while the scenario is measured, and where repositories and stacks go."""

    database: Database
    redis_socket: str | None
    work: Path

    def sentence(self) -> str:
        """What is measured."""
        kinds = "PostgreSQL, git, files, SQLite, secrets" + (", Redis" if self.redis_socket else "")
        return (
            f"A PostgreSQL database of {self.database.bytes() / 1e9:.2f} GB; a git repository of {COMMITS:,} commits "
            f"and {FILES:,} files, nothing of which changed; a stack of one component of each of these kinds: {kinds}. "
            "`pg_dump` writes to /dev/null, `pg_restore` reads a local file. What both restored equals what was there."
        )

    def clients(self) -> Clients:
        """PostgreSQL's own programs."""
        return Clients(self.database.programs)


@contextlib.contextmanager
def ground(work: Path, rows: int) -> Iterator[Ground]:
    """Starts the servers, and stops them whatever happens. Raises Failed where there is no PostgreSQL."""
    with contextlib.ExitStack() as stack:
        try:
            it = stack.enter_context(database(rows))
            redis = servers_of_the_tests("redis")
        except Missing as missing:
            raise Failed(str(missing)) from None
        socket = None
        if is_there(redis.redis_program):
            server = stack.enter_context(redis.redis_server())
            with server.client() as client:
                client.mset({f"key:{number}": f"value {number}" for number in range(KEYS)})
            socket = server.socket
        yield Ground(it, socket, work)


def components(table: Table, pivori: Pivori, on: Ground, runs: int) -> None:
    """Everything, `runs` times in turn. A failure is noted in the table, which is then not kept."""
    table.versions.update(on.clients().versions())
    program = Stacks(pivori)
    for act in (database_alone, other_kinds):
        bench = Bench(table, program, on, Place(on.work / act.__name__.replace("_", "-")))
        try:
            act(bench, runs)
        except Failed as failure:
            table.failures.append(str(failure))
        finally:
            bench.place.remove()


class Bench:
    """One stack with a repository of its own, the table its rows go to, and the commands that are measured."""

    def __init__(self, table: Table, program: Stacks, on: Ground, place: Place) -> None:
        self.table = table
        self.program = program
        self.database = on.database
        self.clients = on.clients()
        self.redis_socket = on.redis_socket
        self.place = place
        self.environment = {
            **program.environment(place),
            "PGHOST": str(on.database.server.folder),
            "PGUSER": "postgres",
        }

    def database_component(self) -> str:
        """The database, as the file of a stack has it."""
        return database_component(self.database.server.url, self.database.programs)

    def begin(self) -> Path:
        """An empty repository, and the stack of the database alone."""
        self.place.make()
        stack = write_stack(self.place, [self.database_component()])
        self.run("pivori", "creating the repository", self.program.create(self.place))
        return stack

    def run(self, tool: str, operation: str, words: Sequence[str]) -> measure.Measurement:
        """Runs a command in the folder of the stack, after everything dirty was written out. Raises Failed."""
        self.database.settle()
        os.sync()
        result = measure.run_apart(
            words, cwd=self.place.root / "stack", environment=self.environment, log=self.place.log
        )
        named = Pivori(self.program.program, name=tool)
        refuse_failure(named, operation, self.place, result)
        return result

    def add(self, tool: str, operation: str, repetition: int, words: Sequence[str], *, is_stored: bool = False) -> None:
        """A measured run as a row, where asked with what it added to the repository. Raises Failed."""
        before = size_of(self.place.repository)
        result = self.run(tool, operation, words)
        stored = size_of(self.place.repository) - before if is_stored else None
        self.keep(Row(tool, operation, repetition, result, stored))

    def keep(self, row: Row) -> None:
        """Takes a row into the table."""
        self.table.rows.append(row)
        tell(row)

    def capture(self, operation: str, repetition: int) -> None:
        """A backup of the stack, with what it stored."""
        self.add("pivori", operation, repetition, self.program.backup(self.place), is_stored=True)


def in_turn(repetition: int, *acts: Callable[[int], None]) -> None:
    """Whoever comes second may find the machine busy with what the first one left: take turns."""
    for act in acts if repetition % 2 == 0 else acts[::-1]:
        act(repetition)


def database_alone(bench: Bench, runs: int) -> None:
    """Captures beside `pg_dump`, captures after changes, restores beside `pg_restore`."""

    def by_client(repetition: int) -> None:
        bench.add(PG_DUMP, CAPTURE, repetition, bench.clients.dump())

    def by_capture(repetition: int) -> None:
        bench.capture(CAPTURE, repetition)

    for repetition in range(runs):
        bench.database.renew()
        bench.begin()
        in_turn(repetition, by_client, by_capture)
        bench.capture(UNCHANGED, repetition)
        for which, operation in (("newest", NEWEST), ("scattered", SCATTERED)):
            bench.database.change(which)
            bench.capture(operation, repetition)
    restores(bench, runs)


def restores(bench: Bench, runs: int) -> None:
    """Brings back what the last capture has, and what a dump of the same rows in a local file has."""
    dump = bench.place.root / "local.dump"
    subprocess.run(bench.clients.dump_to(dump), env=bench.environment, check=True)
    wanted = bench.database.fingerprint()

    def by_client(repetition: int) -> None:
        bench.database.make_copy()
        bench.add(PG_RESTORE, RESTORE, repetition, bench.clients.restore(dump))
        compare(bench, PG_RESTORE, COPY, wanted, repetition)

    def by_recovery(repetition: int) -> None:
        bench.database.drop_restored()
        bench.add("pivori", RESTORE, repetition, bench.program.recover(bench.place))
        compare(bench, "pivori", DATABASE, wanted, repetition)

    for repetition in range(runs):
        in_turn(repetition, by_client, by_recovery)
    bench.database.drop_restored()


def compare(bench: Bench, tool: str, name: str, wanted: list[tuple[object, ...]], repetition: int) -> None:
    """Once for each tool: what it restored says what the database said. Raises Failed."""
    if repetition == 0 and bench.database.fingerprint(name) != wanted:
        raise Failed(f"{tool} restored something else")


def other_kinds(bench: Bench, runs: int) -> None:
    """A git repository in which nothing changed, and the inspection of a stack of all kinds."""
    stack = bench.begin()
    write_stack(bench.place, all_components(stack, bench.database_component(), bench.redis_socket))
    # What was written a moment ago is not taken for unchanged, neither by git nor by the component.
    time.sleep(SETTLING)
    bench.run("pivori", "the first backup of git", bench.program.backup(bench.place, *SOURCE_ALONE))
    note = bench.place.root / "seconds"
    for repetition in range(runs):
        note.unlink(missing_ok=True)
        words = bench.program.timed_backup(bench.place, note, *SOURCE_ALONE)
        result = bench.run("pivori", GIT_CAPTURE, words)
        seconds = dataclasses.replace(result, wall=float(note.read_text()))
        bench.keep(Row("pivori", GIT_CAPTURE, repetition, seconds))
        bench.add("pivori", GIT_BACKUP, repetition, bench.program.backup(bench.place, *SOURCE_ALONE))
        bench.add("pivori", INSPECTION, repetition, bench.program.backup(bench.place, "--dry-run"))
