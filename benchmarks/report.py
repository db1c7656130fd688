"""Turns tables of rows into Markdown: what was wanted and what came out, then every figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from archive_tools import (
    INFO_ZIP_NAME,
    ORDINARY,
    SEVEN_ZIP,
    SEVEN_ZIP_NAME,
    SMALL_MEMBER,
    STREAMED,
    TAR,
    ZIP,
    ZIP_RESTORE,
    ZIP_VERIFY,
)
from component_tools import (
    CAPTURE,
    CLIENTS,
    GIT_CAPTURE,
    INSPECTION,
    NEWEST,
    PG_DUMP,
    PG_RESTORE,
    RESTORE,
)
from rows import DISK, FIGURES, TMPFS, Row, Table, peak, repository, system, user, wall
from tools import FIRST_BACKUP, FORCED, FULL_RESTORE, NOTHING_CHANGED, OPERATIONS, VERIFY, Tar

STACK = "application stack"
MILLION = "index of 1,000,000 blobs"
HUGE = "one file of 4 GiB"
LARGE = "one directory of 200,000 files"
START_UP = "start-up"
BLOB_CHECK = "check before store"
ARCHIVES = "archives"
SEVEN_ZIPS = "archives, 7z"
STRATEGIES = "strategies"
MEMBER = "one member of 4 GiB"
COMMANDS = "commands of the script"
COMPONENTS = "components"
SCENARIOS = {
    "stack": STACK, "million": MILLION, "huge": HUGE, "large": LARGE, "start-up": START_UP, "blob-check": BLOB_CHECK,
    "archives": ARCHIVES, "seven-zip": SEVEN_ZIPS, "strategies": STRATEGIES, "member": MEMBER,
    "commands": COMMANDS, "components": COMPONENTS,
}  # fmt: skip
"""Short names for the command line, and the names that the tables carry."""

WITHOUT_RESTIC = (ARCHIVES, SEVEN_ZIPS, STRATEGIES, MEMBER, COMMANDS, COMPONENTS)
"""The scenarios in which no other backup program takes part."""

FIRST_OPENING = "opening, first time"
SECOND_OPENING = "opening, second time"
UNITS = {"wall": (1, "s", 2), "peak": (1e6, "MB", 0), "repository": (1e6, "MB", 1), "size": (1e6, "MB", 1)}
"""For each figure: the divisor, the unit, the decimals."""


@dataclass(frozen=True)
class Ratio:
    """A column of a table: a figure in relation to that of `other`; None is the ordinary tool of the operation."""

    title: str
    other: str | None
    figure: Callable[[Row], float | None]


@dataclass(frozen=True)
class Columns:
    """What the tables of a scenario call what was written, and their ratios."""

    size: str
    ratios: tuple[Ratio, ...]


OF_BACKUPS = Columns(
    "repository MB",
    (
        Ratio("wall × restic", "restic", wall),
        Ratio("wall × tar", Tar.name, wall),
        Ratio("peak × restic", "restic", peak),
    ),
)
BESIDE_ORDINARY = Columns(
    "archive MB",
    (
        Ratio("wall × ordinary", None, wall),
        Ratio("size × ordinary", None, repository),
        Ratio("peak × ordinary", None, peak),
    ),
)
BESIDE_COMPLETE = Columns(
    "size MB", (Ratio("wall × complete", "complete", wall), Ratio("size × complete", "complete", repository))
)
BESIDE_CLIENTS = Columns(
    "stored MB", (Ratio("wall × its own program", None, wall), Ratio("peak × its own program", None, peak))
)
ALONE = Columns("archive MB", ())
COLUMNS = {
    ARCHIVES: BESIDE_ORDINARY, SEVEN_ZIPS: BESIDE_ORDINARY, MEMBER: BESIDE_ORDINARY, STRATEGIES: BESIDE_COMPLETE,
    COMMANDS: ALONE, COMPONENTS: BESIDE_CLIENTS,
}  # fmt: skip
"""The columns of the scenarios that are not about backups beside restic."""


@dataclass(frozen=True)
class Wanted:
    """A limit on one figure of `tool`: a ratio to the same figure of `against`, or absolute when that is None.

    `than` is the operation of `against`, where that is another one.
    """

    scenario: str
    operation: str
    figure: str
    limit: float
    against: str | None = "restic"
    tool: str = "pivori"
    than: str = ""


WANTED = (
    Wanted(STACK, FIRST_BACKUP, "wall", 0.33),
    Wanted(STACK, FIRST_BACKUP, "wall", 1.1, "tar+zstd"),
    Wanted(STACK, FIRST_BACKUP, "repository", 1.0),
    Wanted(STACK, NOTHING_CHANGED, "wall", 0.25),
    Wanted(STACK, FORCED, "wall", 0.5),
    Wanted(STACK, FULL_RESTORE, "wall", 0.6),
    Wanted(STACK, VERIFY, "wall", 1.0),
    *(Wanted(STACK, operation, "peak", 1.5) for operation in OPERATIONS),
    Wanted(MILLION, SECOND_OPENING, "wall", 1.0, None),
    Wanted(MILLION, SECOND_OPENING, "peak", 120e6, None),
    *(
        Wanted(scenario, operation, "peak", 1.5)
        for scenario in (HUGE, LARGE)
        for operation in (FIRST_BACKUP, NOTHING_CHANGED, FULL_RESTORE)
    ),
    Wanted(START_UP, "--version", "wall", 0.15, None),
    Wanted(START_UP, "--help", "wall", 0.3, None),
    Wanted(BLOB_CHECK, FIRST_BACKUP, "wall", 1.05, "pivori --verify-blobs none"),
    Wanted(ARCHIVES, ZIP, "wall", 0.15, INFO_ZIP_NAME),
    Wanted(ARCHIVES, ZIP, "size", 1.03, INFO_ZIP_NAME),
    Wanted(ARCHIVES, ZIP_VERIFY, "wall", 0.5, INFO_ZIP_NAME),
    Wanted(ARCHIVES, ZIP_RESTORE, "wall", 0.6, INFO_ZIP_NAME),
    Wanted(ARCHIVES, TAR, "wall", 1.1, Tar.name),
    Wanted(SEVEN_ZIPS, SEVEN_ZIP, "wall", 1.0, SEVEN_ZIP_NAME),
    Wanted(SEVEN_ZIPS, SEVEN_ZIP, "size", 1.02, SEVEN_ZIP_NAME),
    *(Wanted(MEMBER, operation, "peak", 1.25, SMALL_MEMBER) for operation in STREAMED),
    Wanted(COMPONENTS, CAPTURE, "wall", 1.15, PG_DUMP),
    Wanted(COMPONENTS, NEWEST, "size", 0.1, "pivori", than=CAPTURE),
    Wanted(COMPONENTS, RESTORE, "wall", 1.15, PG_RESTORE),
    Wanted(COMPONENTS, GIT_CAPTURE, "wall", 0.3, None),
    Wanted(COMPONENTS, INSPECTION, "wall", 2.0, None),
)


def render(tables: Iterable[Table]) -> str:
    """The whole report."""
    ordered = sorted(tables, key=lambda table: (list(SCENARIOS.values()).index(table.scenario), table.medium != DISK))
    parts = [
        "# Results of the benchmarks",
        "",
        "Written by `python benchmarks/run.py`; [README.md](README.md) says how to read it. Each table tells when and",
        "where it was measured. All figures are medians.",
        "",
        "## Wanted and measured",
        "",
        *verdicts(ordered),
    ]
    for table in ordered:
        parts += ["", *section(table)]
    return "\n".join(parts) + "\n"


def verdicts(tables: list[Table]) -> list[str]:
    """The table of limits; a limit whose figures were not measured has no line."""
    lines = [
        "| scenario | figure | wanted | measured | tmpfs | verdict |",
        "|---|---|---|---|---|---|",
    ]
    by_key = {(table.scenario, table.medium): table for table in tables}
    for wanted in WANTED:
        on_disk = ratio(by_key.get((wanted.scenario, DISK)), wanted)
        on_tmpfs = ratio(by_key.get((wanted.scenario, TMPFS)), wanted)
        judged = on_disk if on_disk is not None else on_tmpfs
        if judged is None:
            continue
        verdict = "reached" if judged <= wanted.limit else "**missed**"
        lines.append(
            f"| {wanted.scenario} | {wanted.operation}, {wanted.figure} | ≤ {amount(wanted, wanted.limit)} "
            f"| {amount(wanted, on_disk)} | {amount(wanted, on_tmpfs)} | {verdict} |"
        )
    return lines


def ratio(table: Table | None, wanted: Wanted) -> float | None:
    """The measured ratio, or the figure itself where the limit is absolute; None when it was not measured."""
    if table is None:
        return None
    figure = FIGURES[wanted.figure]
    mine = table.median(wanted.operation, wanted.tool, figure)
    if mine is None or wanted.against is None:
        return mine
    other = table.median(wanted.than or wanted.operation, wanted.against, figure)
    return mine / other if other else None


def amount(wanted: Wanted, value: float | None) -> str:
    """A limit or a measured value in words."""
    if value is None:
        return ""
    if wanted.against is not None:
        return f"{value:.2f} × {wanted.than or wanted.against}"
    divisor, unit, decimals = UNITS[wanted.figure]
    return f"{value / divisor:.{decimals}f} {unit}"


def section(table: Table) -> list[str]:
    """One table with its head and every figure."""
    columns = COLUMNS.get(table.scenario, OF_BACKUPS)
    versions = "; ".join(f"{tool}: {version}" for tool, version in table.versions.items())
    lines = [
        f"## {table.scenario[0].upper()}{table.scenario[1:]}, on {table.medium}",
        "",
        f"{table.subject}",
        "",
        f"Measured {table.date} on {table.machine}. {versions}.",
        *(f"\n**Failed:** {failure.splitlines()[0]}" for failure in table.failures),
        "",
        "| operation | tool | wall s (least – most) | user s | system s | peak MB "
        f"| {' | '.join([columns.size, 'runs', *(each.title for each in columns.ratios)])} |",
        f"|---|---|--:|--:|--:|--:|--:|--:|{'--:|' * len(columns.ratios)}",
    ]
    return lines + [line(table, operation, tool) for operation, tool in table.pairs()]


def line(table: Table, operation: str, tool: str) -> str:
    """One line of medians."""
    rows = table.of(operation, tool)
    walls = sorted(wall(row) for row in rows)
    digits = 3 if walls[-1] < 1 else 2
    size = table.median(operation, tool, repository)
    cells = [
        operation,
        f"**{tool}**" if tool == "pivori" else tool,
        f"{table.median(operation, tool, wall):.{digits}f} ({walls[0]:.{digits}f} – {walls[-1]:.{digits}f})",
        f"{table.median(operation, tool, user):.{digits}f}",
        f"{table.median(operation, tool, system):.{digits}f}",
        memory(sorted(peak(row) for row in rows), table.median(operation, tool, peak)),
        "" if size is None else f"{size / 1e6:.1f}",
        str(len(rows)),
        *(compared(table, operation, tool, each) for each in COLUMNS.get(table.scenario, OF_BACKUPS).ratios),
    ]
    return f"| {' | '.join(cells)} |"


def memory(peaks: list[float], middle: float) -> str:
    """The median of the peaks, with the largest beside it where one run stands out."""
    most = f" (most {peaks[-1] / 1e6:.0f})" if peaks[-1] > 1.25 * middle else ""
    return f"{middle / 1e6:.0f}{most}"


def compared(table: Table, operation: str, tool: str, column: Ratio) -> str:
    """The ratio of two medians, empty for a tool's own line, where the other has none, and for another content."""
    other = column.other or ordinary(table, operation)
    mine = table.median(operation, tool, column.figure)
    base = table.median(operation, other, column.figure)
    if tool in (other, SMALL_MEMBER) or mine is None or not base:
        return ""
    return f"{mine / base:.2f}"


def ordinary(table: Table, operation: str) -> str:
    """The ordinary tool that has an operation; empty when none was measured."""
    return next((tool for tool in (*ORDINARY, *CLIENTS) if table.of(operation, tool)), "")
