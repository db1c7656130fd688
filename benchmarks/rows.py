"""What a measurement is about, and how rows are kept from one run to the next."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from measure import Measurement

DISK = "disk"
TMPFS = "tmpfs"


@dataclass(frozen=True)
class Row:
    """One measured run of one tool."""

    tool: str
    operation: str
    repetition: int
    measurement: Measurement
    repository_bytes: int | None = None
    """Size of the repository after the first backup, of an archive, or of what a snapshot added."""


@dataclass(frozen=True)
class Table:
    """All rows of one scenario on one medium, with what a reader must know to judge them."""

    scenario: str
    medium: str
    subject: str
    """What was backed up, in one sentence."""
    machine: str
    date: str
    versions: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What went wrong; a table with failures is shown but never kept."""

    def pairs(self) -> list[tuple[str, str]]:
        """The (operation, tool) pairs of the table, in the order in which they first appear."""
        operations = list(dict.fromkeys(row.operation for row in self.rows))
        tools = list(dict.fromkeys(row.tool for row in self.rows))
        there = {(row.operation, row.tool) for row in self.rows}
        return [(o, t) for o in operations for t in tools if (o, t) in there]

    def of(self, operation: str, tool: str) -> list[Row]:
        """The rows of one tool's operation."""
        return [row for row in self.rows if (row.operation, row.tool) == (operation, tool)]

    def median(self, operation: str, tool: str, figure: Callable[[Row], float | None]) -> float | None:
        """The median of a figure over the repetitions; None when it was not measured."""
        values = [value for row in self.of(operation, tool) if (value := figure(row)) is not None]
        return median(values) if values else None


def wall(row: Row) -> float:
    """Seconds from start to end."""
    return row.measurement.wall


def user(row: Row) -> float:
    """Seconds of processor time in the program."""
    return row.measurement.user


def system(row: Row) -> float:
    """Seconds of processor time in the kernel."""
    return row.measurement.system


def peak(row: Row) -> float:
    """Bytes of memory of all processes together."""
    return row.measurement.peak


def repository(row: Row) -> float | None:
    """Bytes of the repository, or of what stands for it."""
    return row.repository_bytes


FIGURES: dict[str, Callable[[Row], float | None]] = {
    "wall": wall, "peak": peak, "repository": repository, "size": repository,
}  # fmt: skip


def machine(folder: Path) -> str:
    """The machine in one sentence, with the file system of `folder`."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return (
        f"{cores} cores ({model}), {memory / 1e9:.0f} GB of memory, {platform.system()} {platform.release()}, "
        f"{file_system(folder)}"
    )


def file_system(folder: Path) -> str:
    """The kind of the file system that holds `folder`."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [words for words in mounts if folder.is_relative_to(words[1])]
    return max(holding, key=lambda words: len(words[1]))[2]


def medium(folder: Path) -> str:
    """What the tables call the medium of `folder`."""
    return TMPFS if file_system(folder) == "tmpfs" else DISK


def today() -> str:
    """The date for the head of a table."""
    return time.strftime("%Y-%m-%d")


def load(path: Path) -> list[Table]:
    """The tables that were kept, or none."""
    if not path.exists():
        return []
    tables = []
    for stored in json.loads(path.read_bytes()):
        rows = [Row(**{**row, "measurement": Measurement(**row["measurement"])}) for row in stored.pop("rows")]
        tables.append(Table(**stored, rows=rows))
    return tables


def keep(path: Path, fresh: Iterable[Table]) -> list[Table]:
    """Puts fresh tables in the place of those of the same scenario and medium; returns all, and writes them."""
    tables = {(table.scenario, table.medium): table for table in load(path)}
    tables.update({(table.scenario, table.medium): table for table in fresh if not table.failures})
    path.write_text(json.dumps([asdict(table) for table in tables.values()], indent=1) + "\n")
    return list(tables.values())
