"""The benchmark of components: what its limits compare, the repository it makes, that nothing outlives an end."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = (
    "archive_tools", "component_scenarios", "component_tools", "git_history", "measure", "postgres", "report", "rows",
    "scenarios", "tools",
)  # fmt: skip
BESIDES = ("compare", "dataset")


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The modules of the benchmarks, which find each other beside them as a script's do; gone afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        before = {name: sys.modules.pop(name, None) for name in (*NAMES, *BESIDES)}
        yield SimpleNamespace(**{name: __import__(name) for name in NAMES})
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def report_of(bench: Any, *rows: tuple[str, str, float, int | None]) -> str:
    found = [
        bench.rows.Row(tool, operation, 0, bench.measure.Measurement(wall, wall, 0.0, 1, 1, 1_000_000, 1, 9, 0), size)
        for tool, operation, wall, size in rows
    ]
    table = bench.rows.Table(
        bench.report.COMPONENTS, bench.rows.DISK, "Something.", "a machine", "2025-11-08", {}, found
    )
    return str(bench.report.render([table]))


def line(report: str, *cells: str) -> str:
    beginning = f"| {' | '.join(cells)} |"
    return next(line for line in report.splitlines() if line.startswith(beginning))


def test_captures_and_restores_are_compared_with_the_programs_of_the_database(bench: Any) -> None:
    tools = bench.component_tools
    report = report_of(
        bench,
        (tools.PG_DUMP, tools.CAPTURE, 10.0, None),
        ("pivori", tools.CAPTURE, 11.0, 500),
        (tools.PG_RESTORE, tools.RESTORE, 10.0, None),
        ("pivori", tools.RESTORE, 12.0, None),
    )
    assert "≤ 1.15 × pg_dump -Fc -Z0 | 1.10 × pg_dump -Fc -Z0 |  | reached |" in report
    assert "≤ 1.15 × pg_restore -j 2 | 1.20 × pg_restore -j 2 |  | **missed** |" in report
    assert line(report, tools.CAPTURE, "**pivori**").endswith("| 1.10 | 1.00 |")
    assert line(report, tools.CAPTURE, tools.PG_DUMP).endswith("|  |  |")


def test_what_a_second_capture_stores_is_compared_with_the_first_capture(bench: Any) -> None:
    tools = bench.component_tools
    report = report_of(
        bench,
        ("pivori", tools.CAPTURE, 9.0, 1000),
        ("pivori", tools.NEWEST, 9.0, 90),
        ("pivori", tools.SCATTERED, 9.0, 990),
    )
    verdict = f"≤ 0.10 × {tools.CAPTURE} | 0.09 × {tools.CAPTURE} |  | reached |"
    assert verdict in line(report, "components", f"{tools.NEWEST}, size")
    assert f"| components | {tools.SCATTERED}" not in report


def test_the_limits_in_seconds(bench: Any) -> None:
    tools = bench.component_tools
    report = report_of(bench, ("pivori", tools.GIT_CAPTURE, 0.31, None), ("pivori", tools.INSPECTION, 1.9, None))
    assert "≤ 0.30 s | 0.31 s |  | **missed** |" in line(report, "components", f"{tools.GIT_CAPTURE}, wall")
    assert "≤ 2.00 s | 1.90 s |  | reached |" in line(report, "components", f"{tools.INSPECTION}, wall")


def test_the_repository_has_so_many_commits_and_files_and_nothing_is_changed(bench: Any, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    bench.git_history.make_repository(folder, commits=12, files=30)

    def git(*words: str) -> list[str]:
        return subprocess.check_output(["git", "-C", folder, *words], text=True).splitlines()

    assert git("rev-list", "--count", "main") == ["12"]
    assert len(git("ls-files")) == 30
    assert git("status", "--porcelain") == []
    changed = [path for path in git("log", "-1", "--diff-filter=M", "--name-only", "--format=")]
    assert len(changed) == 1


def test_a_stack_of_all_kinds_is_one_the_program_reads(bench: Any, tmp_path: Path, monkeypatch: Any) -> None:
    tools = bench.component_tools
    monkeypatch.setattr(tools, "make_repository", lambda folder: folder.mkdir())
    place = bench.tools.Place(tmp_path)
    stack = tools.write_stack(place, [])
    database = tools.database_component("postgresql://postgres@/postgres?host=/nowhere", Path("/nowhere"))
    tools.write_stack(place, tools.all_components(stack, database, "/nowhere/s"))
    read = tomllib.loads((stack / "pivori.toml").read_text())
    kinds = ["postgres", "git", "files", "sqlite", "secrets", "redis"]
    assert [each["kind"] for each in read["components"]] == kinds
    assert {path.name for path in stack.iterdir()} == {"pivori.toml", "source", "uploads", "queue.sqlite", ".env"}


def test_two_by_turns(bench: Any) -> None:
    said: list[str] = []
    acts = (lambda number: said.append(f"a{number}"), lambda number: said.append(f"b{number}"))
    for repetition in range(2):
        bench.component_scenarios.in_turn(repetition, *acts)
    assert said == ["a0", "b0", "b1", "a1"]


def test_other_children_live_on_when_a_program_is_measured(bench: Any, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as server:
        try:
            result = bench.measure.run_apart(
                ["sh", "-c", "exit 3"], cwd=tmp_path, environment=dict(os.environ), log=tmp_path / "log"
            )
            assert result.status == 3
            assert server.poll() is None
        finally:
            server.kill()


def test_whoever_is_told_to_end_ends_what_is_measured(tmp_path: Path) -> None:
    note = tmp_path / "process"
    words = ["sh", "-c", f"echo $$ > {note}.new && mv {note}.new {note} && exec sleep 1000"]
    script = (
        f"import os, pathlib, signal, sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\nimport measure\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        f"measure.run_apart({words!r}, cwd=here, environment=dict(os.environ), log=here / 'log')"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as outer:
        try:
            deadline = time.monotonic() + 30
            while not note.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            measured = int(note.read_text())
            outer.send_signal(signal.SIGTERM)
            assert outer.wait(30) == 143
        finally:
            outer.kill()
    assert not Path(f"/proc/{measured}").exists()
