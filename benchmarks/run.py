"""Measures this program side by side with the tools a user would pick instead.

`python benchmarks/run.py` builds the data set where it is missing, runs every scenario and writes RESULTS.md.
README.md beside this file says more.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import archive_scenarios
import component_scenarios
import dataset
import postgres
import scenarios
from million import million_blobs
from report import (
    ARCHIVES,
    BLOB_CHECK,
    COMMANDS,
    COMPONENTS,
    HUGE,
    LARGE,
    MEMBER,
    MILLION,
    SCENARIOS,
    SEVEN_ZIPS,
    STACK,
    START_UP,
    STRATEGIES,
    WITHOUT_RESTIC,
    render,
)
from rows import Table, keep
from script_commands import script_commands, services_of
from strategies import ADDED, CHANGED, REMOVED, strategies
from tools import Pivori, Tool, find, remove

HERE = Path(__file__).resolve().parent
SHARED_MEMORY = Path("/dev/shm")
READ_BACK = "`pivori` reads back what it has written before it is done."
STREAMS = f"{READ_BACK} The rows of the writing alone are without that."


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, default=dataset.DEFAULT_FOLDER, help="folder of the data set")
    parser.add_argument("--source", type=Path, help="measure with this folder instead of the data set; nothing is kept")
    parser.add_argument("--work", type=Path, help="folder for repositories and restored trees (the data set's)")
    parser.add_argument("--runs", type=int, default=3, help="repetitions, of which the medians are shown (3)")
    parser.add_argument("--rows", type=int, default=postgres.ROWS, help="rows of the database; the default: 1 GB")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario alone; may be repeated")
    parser.add_argument("--tools", default="pivori,restic,borg,tar", help="which tools, separated by commas")
    parser.add_argument("--restic", help="the restic program to compare with")
    parser.add_argument("--pivori", metavar="COMMAND", help="another command than this checkout's own program")
    parser.add_argument("--tmpfs", action="store_true", help="repeat the table of the application stack on a tmpfs")
    parser.add_argument("--tmpfs-only", action="store_true", help="measure the application stack on a tmpfs alone")
    parser.add_argument("--date", help="date to write beside the figures (today)")
    parser.add_argument("--output", type=Path, help="folder for RESULTS.md and results.json (this one; - for none)")
    return parser.parse_args()


class Session:
    """One run of this script: what was asked for, and the tables that came out."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.tools = find(asked.tools.split(","), asked.restic, asked.pivori)
        self.tables: list[Table] = []

    def measure(
        self, scenario: str, subject: str, work: Path, tools: Sequence[Tool], act: Callable[[Table], None]
    ) -> None:
        """Fills one table. A failure is noted in it and does not keep the other scenarios from running."""
        if not tools:
            return
        table = scenarios.new_table(scenario, subject, work, tools, self.asked.date)
        print(f"{scenario}, {table.medium}", file=sys.stderr, flush=True)
        try:
            act(table)
        except scenarios.Failed as failure:
            table.failures.append(str(failure))
        self.tables.append(table)

    def note_failure(self, scenario: str, work: Path, failure: scenarios.Failed) -> None:
        """A scenario that could not begin: a table with nothing but the reason."""
        table = scenarios.new_table(scenario, "Not measured.", work, [], self.asked.date)
        table.failures.append(str(failure))
        self.tables.append(table)

    def named(self, *names: str) -> list[Tool]:
        """The chosen tools among those that were asked for."""
        return [tool for tool in self.tools if tool.name in names]

    def wants(self, scenario: str) -> bool:
        """Whether a scenario was asked for."""
        return not self.asked.only or scenario in [SCENARIOS[name] for name in self.asked.only]

    def wants_data(self) -> bool:
        """Whether a scenario was asked for that is about the data set, or tells its size."""
        return any(self.wants(scenario) for scenario in SCENARIOS.values() if scenario != COMPONENTS)


def stack(session: Session, source: Path, work: Path, facts: dataset.Facts) -> None:
    """The main table, on the disk and where asked on a tmpfs."""
    runs, subject = session.asked.runs, f"{facts.sentence()}."

    def act(table: Table, where: Path, tree: Path) -> None:
        scenarios.compare_tools(table, session.tools, tree, where, runs=runs)

    if not session.asked.tmpfs_only:
        session.measure(STACK, subject, work, session.tools, lambda table: act(table, work, source))
    if session.asked.tmpfs or session.asked.tmpfs_only:
        with scratch(SHARED_MEMORY) as memory:
            subprocess.run(["cp", "-a", str(source), str(memory / source.name)], check=True)
            tree = memory / source.name
            session.measure(STACK, subject, memory, session.tools, lambda table: act(table, memory, tree))


def others(session: Session, source: Path, work: Path, facts: dataset.Facts) -> None:
    """The scenarios beside the main table."""
    runs = session.asked.runs
    pair = session.named("pivori", "restic")
    pivori = [tool for tool in pair if isinstance(tool, Pivori)]
    if session.wants(MILLION):
        subject = "A repository of 2,000 packs with 500 blobs each, made up; opened by a backup of one small file."
        session.measure(MILLION, subject, work, pair, lambda table: million_blobs(table, pair, work, runs))
    if session.wants(HUGE):
        subject = "4 GiB, half text and half incompressible; nothing in it repeats. One run of each."
        session.measure(HUGE, subject, work, pair, lambda table: scenarios.huge_file(table, pair, work))
    if session.wants(LARGE):
        subject = "200,000 files of 40 to 800 bytes in one directory."
        session.measure(LARGE, subject, work, pair, lambda table: scenarios.large_directory(table, pair, work, runs))
    if session.wants(START_UP):
        subject = f"The median of {scenarios.START_UP_RUNS} runs, after one that is not counted."
        session.measure(START_UP, subject, work, pair, lambda table: scenarios.start_up(table, pair, work))
    if session.wants(BLOB_CHECK) and pivori:
        session.measure(
            BLOB_CHECK, f"{facts.sentence()}.", work, pivori,
            lambda table: scenarios.blob_check(table, pivori[0], source, work, runs),
        )  # fmt: skip


def archives(session: Session, source: Path, work: Path, facts: dataset.Facts) -> None:
    """The scenarios about archives: this program beside the ordinary tools, which are always all taken."""
    pivori = next((tool for tool in session.tools if isinstance(tool, Pivori)), None)
    if pivori is None:
        return
    if session.wants(ARCHIVES):
        streamed, runs = archive_scenarios.streamed_tools(pivori), session.asked.runs
        session.measure(
            ARCHIVES, f"{facts.sentence()}. {STREAMS}", work, archive_scenarios.heads(streamed),
            lambda table: archive_scenarios.archives(table, streamed, source, work, runs),
        )  # fmt: skip
    if session.wants(SEVEN_ZIPS):
        writers = archive_scenarios.seven_zip_tools(pivori)
        with archive_scenarios.part_of(source, work) as part:
            subject = (
                f"{archive_scenarios.part_sentence(source)}: {dataset.count(part).sentence()}. One run. {READ_BACK}"
            )
            session.measure(
                SEVEN_ZIPS, subject, work, archive_scenarios.heads(writers),
                lambda table: archive_scenarios.seven_zip(table, writers, part, work),
            )  # fmt: skip
    if session.wants(STRATEGIES):
        subject = (
            f"{facts.sentence()}, in a git work tree; the differential ones after a change of about "
            f"{CHANGED + ADDED + REMOVED} files. One run. The size of a snapshot is what it added to the repository."
        )
        session.measure(STRATEGIES, subject, work, [pivori], lambda table: strategies(table, pivori, source, work))
    if session.wants(COMMANDS):
        with services_of(source, work) as part:
            subject = (
                f"{dataset.count(part).sentence()}, in a git work tree: the commands of `backup-scripts-expert.sh` in "
                "turn, each once. Some files of the project itself changed before the differential archive. What was "
                "restored equals what was there."
            )
            session.measure(COMMANDS, subject, work, [pivori], lambda table: script_commands(table, pivori, part, work))
    if session.wants(MEMBER):
        subject = f"4 GiB, half text and half incompressible; beside them 1 GiB of the same. One run. {STREAMS}"
        session.measure(
            MEMBER, subject, work, archive_scenarios.heads(archive_scenarios.streamed_tools(pivori)),
            lambda table: archive_scenarios.member(table, pivori, work),
        )  # fmt: skip


def components(session: Session, work: Path) -> None:
    """The scenario of databases, git and stacks: this program beside the database's own."""
    pivori = next((tool for tool in session.tools if isinstance(tool, Pivori)), None)
    if pivori is None or not session.wants(COMPONENTS):
        return
    try:
        with component_scenarios.ground(work, session.asked.rows) as on:
            session.measure(
                COMPONENTS, on.sentence(), work, [pivori],
                lambda table: component_scenarios.components(table, pivori, on, session.asked.runs),
            )  # fmt: skip
    except scenarios.Failed as failure:
        session.note_failure(COMPONENTS, work, failure)


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A folder of its own that is removed at the end, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="pivori-benchmark-", dir=parent)).resolve()
    try:
        yield folder
    finally:
        remove(folder)


def main() -> None:
    """Runs what was asked for, prints the report, and keeps it where all tools of the verdicts were there."""
    asked = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    session = Session(asked)
    parent = (asked.work or asked.dataset).resolve()
    parent.mkdir(parents=True, exist_ok=True)
    with scratch(parent) as work:
        if session.wants_data():
            source, facts = subject(asked)
            if session.wants(STACK):
                stack(session, source, work, facts)
            others(session, source, work, facts)
            archives(session, source, work, facts)
        components(session, work)
    print(render(session.tables))
    finish(session)


def subject(asked: argparse.Namespace) -> tuple[Path, dataset.Facts]:
    """The folder to back up and what it holds; the data set is built where it is missing."""
    if asked.source:
        return asked.source.resolve(), dataset.count(asked.source.resolve())
    folder = asked.dataset.resolve()
    return dataset.data_path(folder), dataset.ensure(folder)


def finish(session: Session) -> None:
    """Keeps the tables and tells the failures; one about backups without both pivori and restic is only printed."""
    folder = session.asked.output or HERE
    both = len(session.named("pivori", "restic")) == 2
    fresh = [table for table in session.tables if both or table.scenario in WITHOUT_RESTIC]
    if fresh and str(folder) != "-" and not session.asked.source:
        tables = keep(folder / "results.json", fresh)
        (folder / "RESULTS.md").write_text(render(tables))
        print(f"kept in {folder / 'RESULTS.md'}", file=sys.stderr)
    failures = [
        f"{table.scenario}, {table.medium}: {failure}" for table in session.tables for failure in table.failures
    ]
    if failures:
        raise SystemExit("\n\n".join(failures))


if __name__ == "__main__":
    main()
