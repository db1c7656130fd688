"""Lines that a person wrote for the shell, with a time limit, found again by their names."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.host import CommandNotStarted, kill_shell_line, run_shell_line

STARTER = """
import sys
from pivori.host import run_shell_line
run_shell_line(sys.argv[1], directory=sys.argv[2].encode(), timeout=600, name=sys.argv[3])
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """A folder; processes that wrote their numbers into files ending in ``.pid`` there are killed afterwards."""
    yield tmp_path
    for path in tmp_path.glob("*.pid"):
        if is_running(int(path.read_text())):
            os.killpg(os.getpgid(int(path.read_text())), signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid(here: Path, name: str) -> int:
    """The number in a file, as soon as it is there."""
    path = here / name
    while not (path.exists() and path.read_text().endswith("\n")):
        pass
    return int(path.read_text())


def test_the_status_and_the_end_of_what_it_said(here: Path) -> None:
    line = 'echo "$WORD"; pwd; echo problem >&2; exit 3'
    status, said = run_shell_line(line, directory=bytes(here), timeout=60, variables={"WORD": "x y"})
    assert (status, said.split()) == (3, ["x", "y", str(here), "problem"])


def test_a_line_is_read_as_a_whole_and_its_last_status_counts(here: Path) -> None:
    assert run_shell_line("false\ntrue", directory=bytes(here), timeout=60) == (0, "")
    assert run_shell_line("true; false", directory=bytes(here), timeout=60)[0] == 1
    assert run_shell_line("read answer", directory=bytes(here), timeout=60)[0] == 1
    status, said = run_shell_line("echo 'half", directory=bytes(here), timeout=60)
    assert status not in (0, None)
    assert "nterminated" in said or "unexpected EOF" in said


def test_only_the_end_of_much_output_is_kept(here: Path) -> None:
    _status, said = run_shell_line("yes word | head -n 100000; echo end", directory=bytes(here), timeout=60)
    assert said.endswith("word end")
    assert len(said) <= 4096


def test_when_its_time_is_over_all_of_it_ends(here: Path) -> None:
    line = "echo one; sh -c 'echo $$ > child.pid; exec sleep 600' & wait"
    assert run_shell_line(line, directory=bytes(here), timeout=0.5) == (None, "one")
    assert not is_running(pid(here, "child.pid"))


def test_a_folder_that_is_gone(here: Path) -> None:
    with pytest.raises(CommandNotStarted):
        run_shell_line("true", directory=bytes(here / "gone"), timeout=60)


def test_it_is_found_by_its_name_when_its_starter_is_dead(here: Path) -> None:
    """And neither what it left on purpose, nor a line of another name."""
    lines = {
        "mine": "setsid sh -c 'echo $$ > daemon.pid; exec sleep 600' & echo $$ > mine.pid; sleep 600",
        "other": "echo $$ > other.pid; sleep 600",
    }
    for name, line in lines.items():
        with subprocess.Popen([sys.executable, "-c", STARTER, line, str(here), name]) as starter:
            pid(here, f"{name}.pid")
            starter.kill()
    daemon = pid(here, "daemon.pid")
    assert is_running(pid(here, "mine.pid"))
    assert kill_shell_line("mine")
    assert not is_running(pid(here, "mine.pid"))
    assert is_running(daemon)
    assert is_running(pid(here, "other.pid"))
    assert not kill_shell_line("mine")
    assert kill_shell_line("other")
