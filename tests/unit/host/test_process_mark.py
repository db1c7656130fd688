"""Telling a process apart from every other one, in this namespace of processes and in others."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pivori.host import ProcessMark, booted_ns

SHOW = "from pivori.host import ProcessMark; import sys; print(ProcessMark.current()); sys.stdout.flush(); input()"


def mark_of(text: str) -> ProcessMark:
    mark = eval(text, {"ProcessMark": ProcessMark})
    assert isinstance(mark, ProcessMark)
    return mark


def own() -> ProcessMark:
    mark = ProcessMark.current()
    assert mark is not None
    return mark


def started(*before: str | Path) -> "subprocess.Popen[str]":
    """A process that shows its mark, then waits."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", SHOW],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_this_process() -> None:
    mark = own()
    assert mark == own()
    assert mark.pid == os.getpid()
    assert mark.is_here(mark)
    assert not mark.is_before(mark)
    assert mark.is_running()


def test_another_process_runs_until_it_is_killed_though_nobody_takes_notice() -> None:
    with started() as process:
        assert process.stdout is not None
        mark = mark_of(process.stdout.readline())
        assert mark.pid == process.pid
        assert mark.is_here(own())
        assert mark.is_running()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not mark.is_running()
        process.wait()
        assert not mark.is_running()


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    assert not replace(own(), started=own().started + 1).is_running()


@pytest.mark.parametrize("pid", [2**22 + 1, 2**70])
def test_numbers_of_no_process(pid: int) -> None:
    assert not replace(own(), pid=pid).is_running()


def test_another_start_of_the_machine() -> None:
    before = replace(own(), boot="before")
    assert before.is_before(own()) is bool(own().machine)
    assert not before.is_here(own())
    assert not replace(before, machine="another").is_before(own())


@pytest.mark.root
@pytest.mark.parametrize("kind", ["--pid", "--time"])
def test_another_namespace_is_not_here(program: Callable[[str], Path], kind: str) -> None:
    with started(program("unshare"), kind, "--fork") as process:
        assert process.stdout is not None
        mark = mark_of(process.stdout.readline())
        assert (mark.machine, mark.boot) == (own().machine, own().boot)
        assert not mark.is_here(own())
        assert not mark.is_before(own())
        process.communicate("\n")


@pytest.mark.root
def test_the_processes_of_a_namespace_further_up_are_no_witnesses(program: Callable[[str], Path]) -> None:
    """In a namespace whose /proc is the outer one's, numbers there are other processes': ours counts as running."""
    code = (
        "from pivori.host import ProcessMark; from dataclasses import replace; mark = ProcessMark.current()\n"
        "print(replace(mark, started=mark.started + 1).is_running(), replace(mark, pid=4000000).is_running())"
    )
    result = subprocess.run(
        [program("unshare"), "--pid", "--fork", sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["True", "False"]


def test_when_the_machine_was_started() -> None:
    booted = booted_ns()
    assert booted is not None
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert (time.time_ns() - booted) / 1e9 == pytest.approx(uptime, abs=5)


def test_where_the_system_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = own()
    monkeypatch.setattr("pivori.host.process_mark._PROCESSES", tmp_path)
    assert ProcessMark.current() is None
    assert booted_ns() is None
    assert here.is_running()
    assert replace(here, started=here.started + 1).is_running()


def test_a_machine_without_an_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pivori.host.process_mark._MACHINE_ID", tmp_path / "none")
    assert own().machine == ""
    assert not replace(own(), boot="before").is_before(own())


def test_somebody_elses_process_counts_as_running() -> None:
    init = replace(own(), pid=1, started=int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]))
    assert init.is_running()
