"""Runs that are killed within their hooks: what they have begun is undone afterwards, and nothing else is."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pivori.host import ProcessMark
from tests.faults.hook_runs import MODULES

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    ProcessMark.current() is None, reason="here nobody can tell a dead run from a living one"
)


@contextmanager
def child(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A process of ``hook_runs``; afterwards it is gone."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.hook_runs", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def run_within(folder: Path, name: str) -> Iterator["subprocess.Popen[str]"]:
    """A run that is between its hooks."""
    with child("run", str(folder), name) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "within\n"
        yield process


def resume(folder: Path) -> int:
    """Undo what is left, in a process of its own: how much that was."""
    with child("resume", str(folder)) as process:
        said, _errors = process.communicate()
    assert process.returncode == 0
    return int(said)


def log(folder: Path) -> list[str]:
    return (folder / "log").read_text().split()


def test_killed_between_every_two_steps(tmp_path: Path) -> None:
    with child("die", str(tmp_path)) as process:
        said, _errors = process.communicate()
    assert process.returncode == 0
    reports = [json.loads(line) for line in said.splitlines()]
    assert {report["module"] for report in reports} == {module.__name__ for module in MODULES}
    for report in reports:
        lines = report["log"]
        assert report["left"] == [], report
        assert report["undone"] == report["noted"], report
        for number in (1, 2):
            before, after = f"before-{number}", f"after-{number}"
            assert before not in lines or after in lines[lines.index(before) :], report
        # The second pair is begun after the first, and undone before it.
        assert "after-2" not in lines or lines.index("after-2") < len(lines) - 1 - lines[::-1].index("after-1"), report
    # There are places with nothing noted, with one, and with both.
    assert {report["noted"] for report in reports} == {0, 1, 2}


def test_the_run_that_was_killed_is_undone_and_the_living_one_is_not(tmp_path: Path) -> None:
    with run_within(tmp_path, "living") as living, run_within(tmp_path, "dead") as dead:
        dead.kill()
        dead.wait()
        assert resume(tmp_path) == 2
        assert log(tmp_path)[-2:] == ["after-dead-2", "after-dead-1"]
        assert not any(line.startswith("after-living") for line in log(tmp_path))
        living.communicate()
        assert living.returncode == 0
    assert log(tmp_path)[-2:] == ["after-living-2", "after-living-1"]
    assert resume(tmp_path) == 0


def test_two_that_resume_at_once_undo_each_thing_once(tmp_path: Path) -> None:
    with run_within(tmp_path, "dead") as dead:
        dead.kill()
    with child("resume", str(tmp_path)) as first, child("resume", str(tmp_path)) as second:
        counts = [int(process.communicate()[0]) for process in (first, second)]
    assert sum(counts) == 2
    assert log(tmp_path)[-2:] == ["after-dead-2", "after-dead-1"]
    assert len(log(tmp_path)) == 4


def test_a_line_that_outlived_its_run_is_stopped_before_it_is_undone(tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    with child("slow", str(tmp_path)) as process:
        while not (shell.exists() and shell.read_text().strip()):
            assert process.poll() is None
        process.kill()
    number = int(shell.read_text())
    try:
        assert is_running(number)
        assert resume(tmp_path) == 1
        assert not is_running(number)
        assert log(tmp_path) == ["after"]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(number, 9)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
