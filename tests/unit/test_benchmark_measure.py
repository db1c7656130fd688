"""The measuring of the benchmarks: what it says about programs whose needs are known."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "measure.py"
TOUCHED = 60_000_000
HOLD = f"""
import time
block = bytearray({TOUCHED})
for position in range(0, len(block), 4096):
    block[position] = 1
time.sleep(0.5)
"""


def measured(program: str) -> dict[str, int | float]:
    """The figures of a Python program, measured in a process of its own: measuring reaps every child."""
    words = [sys.executable, str(SCRIPT), "--json", "--", sys.executable, "-c", program]
    result = subprocess.run(words, capture_output=True, check=False, timeout=60)
    figures: dict[str, int | float] = json.loads(result.stdout)
    assert result.returncode == figures["status"]
    return figures


def test_memory_of_all_processes_is_added_up() -> None:
    alone = measured(HOLD)
    below_a_shell = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, HOLD]
    both = measured(f"import subprocess\nchild = subprocess.Popen({below_a_shell!r})\n{HOLD}\nchild.wait()")
    assert TOUCHED <= alone["peak_pss"] < 2 * TOUCHED
    assert both["peak_pss"] >= 2 * TOUCHED
    assert both["processes"] == 3


def test_pages_that_processes_share_count_once() -> None:
    figures = measured(f"import os\n{HOLD}\nif os.fork() == 0:\n    time.sleep(0.5)\n    os._exit(0)\nos.wait()")
    assert figures["peak_rss"] >= 2 * TOUCHED
    assert figures["peak_pss"] < 2 * TOUCHED


def test_processor_time_of_a_child_that_nobody_waited_for_counts() -> None:
    spin = "import time\nwhile time.process_time() < 0.6: pass"
    figures = measured(
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {spin!r}], start_new_session=True)\n"
        "time.sleep(1.5)"
    )
    assert figures["user"] + figures["system"] >= 0.3


def test_nothing_is_left_running(tmp_path: Path) -> None:
    note = tmp_path / "process"
    measured(
        "import subprocess, pathlib\n"
        "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))"
    )
    assert not Path(f"/proc/{note.read_text()}").exists()


def test_the_status_and_the_signal_are_told() -> None:
    assert measured("raise SystemExit(3)")["status"] == 3
    words = [sys.executable, str(SCRIPT), "--json", "--", "sh", "-c", "kill -9 $$"]
    result = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert json.loads(result.stdout)["status"] == -9
    assert result.returncode == 137
