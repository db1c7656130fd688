"""The scenarios about archives: what each makes, and which tools it runs in turn."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from archive_tools import (
    ORDINARY,
    SEVEN_ZIP,
    SEVEN_ZIP_RESTORE,
    SMALL_MEMBER,
    STREAMED,
    ArchiveTool,
    InfoZip,
    PivoriArchives,
    PivoriLibrary,
    PivoriStream,
    SevenZip,
    TarZstd,
)
from rows import Table
from scenarios import compare_tools, write_huge_file
from tools import Pivori, Tool, remove

MEMBER_BYTES = 4 << 30
SMALL_MEMBER_BYTES = 1 << 30
SERVICE = "services/storefront"
DUMP = "database/dump.sql"
DUMP_BYTES = 64_000_000


def streamed_tools(pivori: Pivori) -> list[ArchiveTool]:
    """Who writes zip and tar.zst."""
    return [PivoriArchives(pivori), PivoriStream(pivori), InfoZip(), TarZstd()]


def seven_zip_tools(pivori: Pivori) -> list[ArchiveTool]:
    """Who writes 7z."""
    return [PivoriArchives(pivori), SevenZip(), PivoriLibrary(pivori)]


def installed(table: Table, tools: Sequence[ArchiveTool]) -> list[Tool]:
    """The tools that can run; the table says which cannot, and so is not kept."""
    for tool in tools:
        if missing := tool.missing():
            table.failures.append(f"{tool.name} was not measured: not installed: {', '.join(missing)}")
    return [tool for tool in tools if not tool.missing()]


def heads(tools: Sequence[ArchiveTool]) -> list[Tool]:
    """The tools whose versions the head of a table tells: those that are there, of this program one."""
    return [tool for tool in tools if not tool.missing() and (tool.name == "pivori" or tool.name in ORDINARY)]


def archives(table: Table, tools: Sequence[ArchiveTool], source: Path, work: Path, runs: int) -> None:
    """Writes, checks and restores a zip and a tar.zst."""
    compare_tools(table, installed(table, tools), source, work, runs=runs, operations=STREAMED)


def seven_zip(table: Table, tools: Sequence[ArchiveTool], source: Path, work: Path) -> None:
    """Writes and restores a 7z, once: the strongest compression takes minutes."""
    compare_tools(
        table, installed(table, tools), source, work, runs=1, operations=(SEVEN_ZIP, SEVEN_ZIP_RESTORE)
    )  # fmt: skip


def part_sentence(source: Path) -> str:
    """What `part_of` takes."""
    names = [SERVICE] if (source / SERVICE).is_dir() else ["everything"]
    if (source / DUMP).is_file():
        names.append(f"the first {DUMP_BYTES / 1e6:.0f} MB of {DUMP}")
    return " and ".join(names)


@contextmanager
def part_of(source: Path, work: Path) -> Iterator[Path]:
    """A part of the data set that the strongest compression can do; of another folder all."""
    part = work / "part"
    part.mkdir()
    try:
        service = source / SERVICE
        subprocess.run(["cp", "-a", "--", str(service if service.is_dir() else source), str(part)], check=True)
        if (dump := source / DUMP).is_file():
            with dump.open("rb") as whole, (part / dump.name).open("wb") as out:
                os.sendfile(out.fileno(), whole.fileno(), 0, DUMP_BYTES)
        yield part
    finally:
        remove(part)


def member(table: Table, pivori: Pivori, work: Path, size: int = MEMBER_BYTES, small: int = SMALL_MEMBER_BYTES) -> None:
    """One huge member; then one of a quarter of it, which shows whether memory grows with the member."""
    smaller = PivoriArchives(pivori)
    smaller.name = SMALL_MEMBER
    for length, tools in ((size, streamed_tools(pivori)), (small, [smaller])):
        source = work / "member"
        source.mkdir()
        try:
            write_huge_file(source / "disk.img", length)
            compare_tools(table, installed(table, tools), source, work, runs=1, operations=STREAMED)
        finally:
            remove(source)
