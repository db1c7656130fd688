"""Programs whose output is taken: bounded in length and in time, with an environment that is changed on purpose."""

import os
import time
from pathlib import Path

import pytest

from pivori.host import CommandNotStarted, capture_output, run_to_end


def test_output_input_status_and_errors_are_taken() -> None:
    found = capture_output(["sh", "-c", "cat; echo bad >&2; exit 3"], timeout=60, most=1 << 22, stdin=b"x" * (1 << 21))
    assert (found.status, len(found.output), found.errors) == (3, 1 << 21, "bad")


def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    assert capture_output(["true"], timeout=60, most=10, stdin=b"x" * (1 << 21)).status == 0


def test_a_program_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    script = f"(sleep 600; touch {tmp_path}/late) & echo $!; sleep 600"
    found = capture_output(["sh", "-c", script], timeout=0.3, most=100)
    assert found.status is None
    child = int(found.output)
    for _ in range(500):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.01)
    pytest.fail("the child is still there")


def test_a_child_that_outlives_its_program_and_holds_its_output_is_stopped_in_time() -> None:
    found = capture_output(["sh", "-c", "sleep infinity & echo done"], timeout=0.3, most=100)
    assert found.status is None


def test_a_program_that_prints_too_much_is_stopped() -> None:
    found = capture_output(["yes"], timeout=60, most=1000)
    assert (found.status, found.output) == (None, b"")


def test_variables_are_set_and_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "x")
    found = capture_output(["sh", "-c", "echo $SET-$GONE"], timeout=60, most=100, variables={"SET": "1", "GONE": None})
    assert found.output == b"1-\n"
    assert os.environ["GONE"] == "x"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandNotStarted):
        capture_output(["/nowhere/program"], timeout=1, most=1)
    with pytest.raises(CommandNotStarted):
        run_to_end(["/nowhere/program"], directory=b"/")


def test_running_to_the_end_keeps_the_end_of_all_output(tmp_path: Path) -> None:
    status, output = run_to_end(["sh", "-c", "seq 100000; echo last >&2; pwd; exit 4"], directory=os.fsencode(tmp_path))
    assert status == 4
    assert output.endswith(f"last {tmp_path}")
    assert len(output) <= 4096
