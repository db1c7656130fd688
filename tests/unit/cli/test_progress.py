"""Progress: a bar on a terminal, lines in a log, JSON for programs, nothing with --quiet; never more often than due."""

import io
import json
from datetime import datetime

import pytest

from pivori.cli.output import Output
from pivori.cli.progress import Pace, ProgressDisplay, fraction_done, summary_parts
from pivori.events import Event, Progress


class Stopwatch:
    """A clock the test turns on."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.looks = 0

    def now(self) -> datetime:
        raise AssertionError("progress needs no calendar")

    def now_ns(self) -> int:
        raise AssertionError("progress needs no calendar")

    def monotonic(self) -> float:
        self.looks += 1
        return self.seconds

    def sleep(self, seconds: float) -> None:
        raise AssertionError("progress never waits")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def state(seconds: float, **more: object) -> Progress:
    return Progress(
        files_done=int(seconds * 10), files_total=1000, bytes_done=int(seconds * 1_048_576), bytes_total=100 << 20,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def play(output: Output, until: int, step: float = 0.05) -> Stopwatch:
    """Feed a display with an event every ``step`` seconds."""
    clock = Stopwatch()
    with ProgressDisplay(output, clock) as display:
        for number in range(1, int(until / step) + 1):
            clock.seconds = 100 + number * step
            display.update(state(number * step, current=b"/some/file\xff"))
    return clock


def test_a_log_gets_a_line_now_and_then() -> None:
    err = io.StringIO()
    play(Output(stdout=io.StringIO(), stderr=err), 75)
    lines = err.getvalue().splitlines()
    assert len(lines) == 3  # after 10, 40 and 70 seconds
    assert lines[0] == "10%, 100 of 1,000 files, 10.0 MiB of 100.0 MiB, 1.0 MiB/s, 1 min 30 s left"


def test_a_short_run_says_nothing_in_a_log() -> None:
    out, err = io.StringIO(), io.StringIO()
    play(Output(stdout=out, stderr=err), 9)
    assert out.getvalue() + err.getvalue() == ""


def test_json_lines_are_restics() -> None:
    out = io.StringIO()
    play(Output(stdout=out, stderr=io.StringIO(), json=True), 4)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(found) == 4  # at most one per second
    assert found[1] == {
        "message_type": "status",
        "seconds_elapsed": 2,
        "seconds_remaining": 98,
        "percent_done": pytest.approx(0.02),
        "total_files": 1000,
        "files_done": 20,
        "total_bytes": 100 << 20,
        "bytes_done": 2 << 20,
        "current_files": ["/some/file\\xff"],
        "current_files_base64": ["L3NvbWUvZmlsZf8="],
    }


@pytest.mark.parametrize("json", [True, False])
def test_quiet_is_quiet(json: bool) -> None:
    out, err = Terminal(), Terminal()
    play(Output(stdout=out, stderr=err, quiet=True, json=json), 60)
    assert out.getvalue() + err.getvalue() == ""


def test_a_bar_on_a_terminal_leaves_it_clean() -> None:
    err = Terminal()
    output = Output(stdout=Terminal(), stderr=err, columns=100)
    clock = Stopwatch()
    with ProgressDisplay(output, clock) as display:
        clock.seconds = 150
        display.update(state(50, current=b"/evil\x1b[2J", errors=3))
        output.warn("a warning")
        clock.seconds = 151
        display.update(state(51))
        drawn = err.getvalue()
        assert "50%" in drawn
        assert "3 errors" in drawn
        assert "/evil\\x1b[2J" in drawn
        assert "━" in drawn
        assert "a warning" in drawn
    after = err.getvalue()[len(drawn) :]
    assert "\x1b[2K" in after  # the lines of the bar are erased
    assert err.getvalue().count("\x1b[?25l") == err.getvalue().count("\x1b[?25h")  # the cursor is back
    output.warn("later")
    assert err.getvalue().endswith("later\n")


def test_a_bar_is_drawn_ten_times_a_second_at_most() -> None:
    err = Terminal()
    play(Output(stdout=io.StringIO(), stderr=err, columns=100), 2, step=0.001)
    assert 10 <= err.getvalue().count("━ ") + err.getvalue().count("/some/file") <= 40


def test_a_terminal_that_cannot_move_its_cursor_gets_lines() -> None:
    err = Terminal()
    play(Output(stdout=io.StringIO(), stderr=err, is_dumb=True), 11)
    assert "\x1b" not in err.getvalue()
    assert err.getvalue().count("\n") == 1


def test_nothing_but_a_look_at_the_clock_when_nothing_is_due() -> None:
    output = Output(stdout=io.StringIO(), stderr=io.StringIO())
    clock = Stopwatch()
    display = ProgressDisplay(output, clock)
    before = clock.looks
    for _ in range(1000):
        display(Progress(files_done=1))
    assert clock.looks - before == 1000


def test_other_events_are_left_alone() -> None:
    clock = Stopwatch()
    out = io.StringIO()
    display = ProgressDisplay(Output(stdout=out, stderr=io.StringIO(), json=True), clock)
    clock.seconds += 100
    display.update(Event())
    assert out.getvalue() == ""
    display.update(Progress())
    assert json.loads(out.getvalue())["percent_done"] == 0.0


def test_the_rate_is_that_of_the_last_seconds() -> None:
    pace = Pace(0.0)
    for second in range(1, 61):
        pace.note(float(second), min(second, 30) * 1000)
    assert pace.rate == 0
    assert pace.remaining(Progress(bytes_done=1, bytes_total=100)) is None
    pace.note(61.0, 100_000)
    assert 4000 < pace.rate < 6000


def test_what_is_not_known_is_not_claimed() -> None:
    pace = Pace(0.0)
    pace.note(5.0, 5 << 20)
    assert summary_parts(Progress(files_done=1, bytes_done=5 << 20), pace) == ["1 file", "5.0 MiB", "1.0 MiB/s"]
    assert fraction_done(Progress(files_done=3, files_total=4)) == 0.75
    assert fraction_done(Progress(bytes_done=9, bytes_total=3)) == 1.0
    assert fraction_done(Progress()) is None
