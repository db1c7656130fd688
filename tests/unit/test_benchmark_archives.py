"""The benchmarks of archives: which figures are compared, what is measured of a project, what is told of tools."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = (
    "archive_scenarios", "archive_tools", "compare", "dataset", "measure", "report", "rows", "scenarios", "strategies",
    "tools",
)  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The modules of the benchmarks, which find each other beside them as a script's do; gone afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        before = {name: sys.modules.pop(name, None) for name in NAMES}
        yield SimpleNamespace(**{name: __import__(name) for name in NAMES})
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def row(bench: Any, tool: str, operation: str, wall: float, size: int | None = None) -> Any:
    figures = bench.measure.Measurement(wall, wall, 0.0, 1_000_000, 1_000_000, 1_000_000, 1, 9, 0)
    return bench.rows.Row(tool, operation, 0, figures, size)


def table(bench: Any, scenario: str, *rows: Any) -> Any:
    return bench.rows.Table(scenario, bench.rows.DISK, "Something.", "a machine", "2025-11-08", {}, list(rows))


def line(report: str, *cells: str) -> str:
    beginning = f"| {' | '.join(cells)} |"
    return next(line for line in report.splitlines() if line.startswith(beginning))


def test_archives_are_compared_with_the_ordinary_tool_of_each_operation(bench: Any) -> None:
    report = bench.report.render(
        [
            table(
                bench,
                bench.report.ARCHIVES,
                row(bench, "pivori", "zip", 1.0, 102),
                row(bench, "Info-ZIP", "zip", 10.0, 100),
                row(bench, "pivori", "tar.zst", 3.0, 80),
                row(bench, "tar+zstd", "tar.zst", 2.0, 100),
            )
        ]
    )
    assert "≤ 0.15 × Info-ZIP | 0.10 × Info-ZIP |  | reached |" in line(report, "archives", "zip, wall")
    assert "≤ 1.03 × Info-ZIP | 1.02 × Info-ZIP |  | reached |" in line(report, "archives", "zip, size")
    assert "≤ 1.10 × tar+zstd | 1.50 × tar+zstd |  | **missed** |" in line(report, "archives", "tar.zst, wall")
    assert line(report, "zip", "**pivori**").endswith("| 0.10 | 1.02 | 1.00 |")
    assert line(report, "zip", "Info-ZIP").endswith("|  |  |  |")
    assert line(report, "tar.zst", "**pivori**").endswith("| 1.50 | 0.80 | 1.00 |")
    assert "archive MB" in report
    assert "restic" not in report


def test_memory_for_a_huge_member_is_compared_with_that_for_a_smaller_one(bench: Any) -> None:
    rows = [
        row(bench, "pivori", "zip", 2.0, 40),
        row(bench, bench.archive_tools.SMALL_MEMBER, "zip", 0.5, 10),
        row(bench, "Info-ZIP", "zip", 8.0, 40),
    ]
    report = bench.report.render([table(bench, bench.report.MEMBER, *rows)])
    assert "| 1.00 × pivori, 1 GiB |  | reached |" in line(report, bench.report.MEMBER, "zip, peak")
    assert line(report, "zip", "pivori, 1 GiB").endswith("|  |  |  |")


def test_strategies_are_compared_with_the_complete_one(bench: Any) -> None:
    rows = [row(bench, "complete", "archive", 4.0, 100), row(bench, "smart", "archive", 1.0, 30)]
    report = bench.report.render([table(bench, bench.report.STRATEGIES, *rows)])
    assert line(report, "archive", "smart").endswith("| 0.25 | 0.30 |")


def test_backups_are_compared_with_restic_as_before(bench: Any) -> None:
    rows = [row(bench, "pivori", "first backup", 1.0, 90), row(bench, "restic", "first backup", 4.0, 100)]
    report = bench.report.render([table(bench, bench.report.STACK, *rows)])
    assert "repository MB" in report
    assert line(report, "first backup", "**pivori**").endswith("| 0.25 |  | 1.00 |")


def test_a_tool_that_is_not_installed_is_told_and_the_others_are_measured(bench: Any, monkeypatch: Any) -> None:
    there = shutil.which
    monkeypatch.setattr(bench.archive_tools.shutil, "which", lambda name: None if name == "unzip" else there(name))
    told = table(bench, bench.report.ARCHIVES)
    tools = [bench.archive_tools.InfoZip(), bench.archive_tools.TarZstd()]
    assert [tool.name for tool in bench.archive_scenarios.installed(told, tools)] == ["tar+zstd"]
    assert told.failures == ["Info-ZIP was not measured: not installed: unzip"]


def test_the_part_for_the_strongest_compression(bench: Any, tmp_path: Path) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    for folder in (source / "services" / "storefront", source / "services" / "api", source / "database", work):
        folder.mkdir(parents=True)
    (source / "services" / "storefront" / "page").write_text("page")
    with (source / "database" / "dump.sql").open("wb") as dump:
        dump.truncate(bench.archive_scenarios.DUMP_BYTES + 1)
    with bench.archive_scenarios.part_of(source, work) as part:
        assert sorted(path.name for path in part.iterdir()) == ["dump.sql", "storefront"]
        assert (part / "dump.sql").stat().st_size == bench.archive_scenarios.DUMP_BYTES
        assert (part / "storefront" / "page").read_text() == "page"
    assert not part.exists()
    assert bench.archive_scenarios.part_sentence(source) == (
        "services/storefront and the first 64 MB of database/dump.sql"
    )
    assert bench.archive_scenarios.part_sentence(work) == "everything"


def test_a_project_is_committed_and_pushed_without_what_lock_files_name(bench: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "app" / "node_modules").mkdir(parents=True)
    (source / "app" / "node_modules" / "left.js").write_text("left")
    (source / "app" / "package-lock.json").write_text("{}")
    with bench.strategies.project(source, tmp_path) as tree:

        def git(*words: str) -> list[str]:
            return subprocess.check_output(["git", "-C", tree, *words], text=True).splitlines()

        assert git("ls-files") == [".gitignore", "app/package-lock.json"]
        assert git("status", "--porcelain") == []
        assert git("rev-parse", "HEAD") == git("rev-parse", "origin/main")
        assert (tree / "app" / "node_modules" / "left.js").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_small_change_writes_removes_and_adds_but_leaves_installed_files_alone(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "left.js").write_text("left")
    before = {f"file-{number:03}" for number in range(500)}
    for name in before:
        (tmp_path / name).write_text("as it was")
    bench.strategies.change(tmp_path)
    after = {path.name: path for path in tmp_path.iterdir() if path.is_file()}
    assert len(before - after.keys()) == bench.strategies.REMOVED
    assert len(after.keys() - before) == bench.strategies.ADDED
    changed = [name for name in before & after.keys() if after[name].read_text() != "as it was"]
    assert len(changed) == bench.strategies.CHANGED
    assert (tmp_path / "node_modules" / "left.js").read_text() == "left"


def test_a_snapshot_counts_with_what_it_added(bench: Any) -> None:
    assert bench.strategies.added(row(bench, "smart", "snapshot", 1.0, 150), 100).repository_bytes == 50
