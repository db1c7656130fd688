"""The scenarios: each makes what it needs, runs the tools in turn and returns a table of rows."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import measure
from compare import differences
from dataset import sql_rows
from rows import Row, Table, machine, medium, today
from tools import FIRST_BACKUP, FULL_RESTORE, NOTHING_CHANGED, OPERATIONS, Pivori, Place, Tool, remove

HUGE_FILE_BYTES = 4 << 30
DIRECTORY_FILES = 200_000
START_UP_RUNS = 10
BLOCK = 64 << 20
UNCHECKED = ("--verify-blobs", "none")
CHECKED = ("--verify-blobs", "all")
"""The options of `pivori backup` that store blobs without, or each only after, decoding and comparing them."""


class Failed(Exception):
    """A tool ended with an error, or restored something else than it was given."""


def new_table(scenario: str, subject: str, work: Path, tools: Sequence[Tool], date: str | None) -> Table:
    """An empty table with its head filled in."""
    versions = {tool.name: tool.version() for tool in tools}
    return Table(scenario, medium(work), subject, machine(work), date or today(), versions)


def compare_tools(
    table: Table, tools: Sequence[Tool], source: Path, work: Path, *, runs: int, operations: Sequence[str] = OPERATIONS
) -> None:
    """Runs every operation of every tool `runs` times, the tools in turn, and adds the rows to the table.

    Every repetition begins with empty repositories and empty caches. What is restored is compared with the source
    once for each tool, in the first repetition. A tool that fails is left out from then on, and the table says so.
    """
    left = list(tools)
    for repetition in range(runs):
        places = {tool.name: Place(work / tool.name.replace(" ", "-")) for tool in left}
        read_everything(source)
        try:
            for tool in list(left):
                with leaving_out(tool, left, table):
                    create(tool, places[tool.name])
            for operation in operations:
                # Whoever comes second may find the machine busy with what the first one left: take turns.
                for tool in left[:] if repetition % 2 == 0 else left[::-1]:
                    with leaving_out(tool, left, table):
                        step(table, tool, operation, places[tool.name], source, repetition)
        finally:
            for place in places.values():
                place.remove()


@contextmanager
def leaving_out(tool: Tool, left: list[Tool], table: Table) -> Iterator[None]:
    """Notes a failure in the table and takes the tool from those that are left."""
    try:
        yield
    except Failed as failure:
        table.failures.append(str(failure))
        left.remove(tool)


def step(table: Table, tool: Tool, operation: str, place: Place, source: Path, repetition: int) -> None:
    """One operation with what belongs to it. Raises Failed."""
    if row := run_once(tool, operation, place, source, repetition):
        table.rows.append(row)
        if tool.restores(operation):
            finish_restore(tool, place, source, check=repetition == 0)


def create(tool: Tool, place: Place) -> None:
    """Makes an empty repository; not a measured step. Raises Failed."""
    place.make()
    if words := tool.create(place):
        result = measure.run(words, cwd=place.root, environment=tool.environment(place), log=place.log)
        refuse_failure(tool, "creating the repository", place, result)


def run_once(
    tool: Tool, operation: str, place: Place, source: Path, repetition: int, *, called: str | None = None
) -> Row | None:
    """One measured run, after everything dirty has been written out; None when the tool has no such operation.

    `called` is the operation's name in the table, where that is another one. Raises Failed.
    """
    words = tool.words(operation, place, source)
    if words is None:
        return None
    if tool.restores(operation):
        place.target.mkdir()
    os.sync()
    result = measure.run(
        words, cwd=tool.directory(operation, place), environment=tool.environment(place), log=place.log
    )
    refuse_failure(tool, operation, place, result)
    written = tool.written(operation, place)
    row = Row(tool.name, called or operation, repetition, result, None if written is None else size_of(written))
    tell(row)
    return row


def refuse_failure(tool: Tool, operation: str, place: Place, result: measure.Measurement) -> None:
    """Raises Failed with the last lines that the program wrote, unless it succeeded."""
    if result.status:
        last = place.log.read_text(errors="replace")[-2000:]
        raise Failed(f"{tool.name}: {operation} ended with status {result.status}:\n{last}")


def finish_restore(tool: Tool, place: Place, source: Path, *, check: bool) -> None:
    """Compares what was restored where asked, and removes it. Raises Failed."""
    restored = tool.restored(place, source)
    found = differences(source, restored, whole_seconds=tool.whole_seconds) if check else []
    remove(place.target)
    if found:
        raise Failed(f"{tool.name} restored something else:\n" + "\n".join(found))


def size_of(written: Path) -> int:
    """The length of a file, or the lengths of all files of a folder, summed."""
    if written.is_file():
        return written.stat().st_size
    return sum(os.lstat(f"{where}/{name}").st_size for where, _, names in os.walk(written) for name in names)


def read_everything(source: Path) -> None:
    """Reads every file once, so that all tools find the page cache warm."""
    buffer = bytearray(1 << 20)
    for where, _, names in os.walk(source):
        for name in names:
            if not os.path.islink(path := f"{where}/{name}"):
                with open(path, "rb", buffering=0) as content:
                    while content.readinto(buffer):
                        pass


def tell(row: Row) -> None:
    """One line about a run that has just ended."""
    figures = row.measurement
    size = f"  written {row.repository_bytes / 1e6:8.1f} MB" if row.repository_bytes is not None else ""
    print(
        f"  [{row.repetition + 1}] {row.operation:<22} {row.tool:<26} wall {figures.wall:7.2f}  "
        f"user {figures.user:7.2f}  system {figures.system:6.2f}  peak {figures.peak / 1e6:7.1f} MB{size}",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def huge_file(table: Table, tools: Sequence[Tool], work: Path, size: int = HUGE_FILE_BYTES) -> None:
    """Backs up and restores one huge file, half text and half incompressible."""
    source = work / "huge"
    source.mkdir()
    try:
        write_huge_file(source / "disk.img", size)
        compare_tools(table, tools, source, work, runs=1, operations=(FIRST_BACKUP, NOTHING_CHANGED, FULL_RESTORE))
    finally:
        remove(source)


def write_huge_file(path: Path, size: int) -> None:
    """Blocks of text and of random bytes in turn; no block is like another, so nothing deduplicates."""
    generator = random.Random(4)
    rows = sql_rows()
    text = b""
    while len(text) < BLOCK:
        text += next(rows)
    letters = b"abcdefghijklmnopqrstuvwxyz0123456789"
    with path.open("wb") as out:
        for number in range(-(-size // BLOCK)):
            length = min(BLOCK, size - number * BLOCK)
            shuffled = bytes(generator.sample(letters, len(letters)))
            block = text.translate(bytes.maketrans(letters, shuffled)) if number % 2 else generator.randbytes(BLOCK)
            out.write(block[:length])


def large_directory(table: Table, tools: Sequence[Tool], work: Path, runs: int, files: int = DIRECTORY_FILES) -> None:
    """Backs up and restores one directory with very many small files."""
    source = work / "large"
    source.mkdir()
    try:
        generator = random.Random(5)
        for number in range(files):
            content = generator.randbytes(generator.randrange(20, 400)).hex()
            with open(f"{source}/message-{number:07}.eml", "w") as out:
                out.write(content)
        operations = (FIRST_BACKUP, NOTHING_CHANGED, FULL_RESTORE)
        compare_tools(table, tools, source, work, runs=runs, operations=operations)
    finally:
        remove(source)


def start_up(table: Table, tools: Sequence[Tool], work: Path) -> None:
    """Asks for the version and the help text many times."""
    asked: dict[str, Callable[[Tool], list[str]]] = {
        "--version": lambda tool: tool.version_words(),
        "--help": lambda tool: tool.help_words(),
    }
    place = Place(work / "start-up")
    place.make()
    try:
        for repetition in range(-1, START_UP_RUNS):
            for operation, words_of in asked.items():
                for tool in tools:
                    environment = tool.environment(place)
                    result = measure.run(words_of(tool), cwd=place.root, environment=environment, log=place.log)
                    refuse_failure(tool, operation, place, result)
                    if repetition >= 0:
                        table.rows.append(Row(tool.name, operation, repetition, result))
    finally:
        place.remove()


def blob_check(table: Table, pivori: Pivori, source: Path, work: Path, runs: int) -> None:
    """The first backup as it is by default, and with no blob or every blob decoded before it is stored."""
    others = [Pivori(pivori.program, name=f"pivori {' '.join(extra)}", extra=extra) for extra in (UNCHECKED, CHECKED)]
    compare_tools(table, [pivori, *others], source, work, runs=runs, operations=(FIRST_BACKUP,))
