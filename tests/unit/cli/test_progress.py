"""Progress: a bar on a terminal, lines in a log, JSON for programs, nothing with --quiet; never more often than due."""

import io
import json
import re
from datetime import datetime

import pytest

from pivori import translation
from pivori.cli.output import Output
from pivori.cli.progress import Pace, ProgressDisplay, fraction_done, summary_parts
from pivori.cli.wording import display_width
from pivori.events import Event, Progress, Unit


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
        **more,
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
    assert "percent_done" not in json.loads(out.getvalue())


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
    assert fraction_done(Progress()) is None


def test_an_estimate_that_was_exceeded_is_given_up() -> None:
    pace = Pace(0.0)
    pace.note(5.0, 5 << 20)
    exceeded = Progress(files_done=3, files_total=1, bytes_done=5 << 20, bytes_total=4 << 20)
    assert fraction_done(exceeded) is None
    assert summary_parts(exceeded, pace) == ["3 files", "5.0 MiB", "1.0 MiB/s"]
    out = io.StringIO()
    clock = Stopwatch()
    with ProgressDisplay(Output(stdout=out, stderr=io.StringIO(), json=True), clock) as display:
        clock.seconds += 100
        display.update(exceeded)
    assert not {"percent_done", "total_files", "total_bytes", "seconds_remaining"} & json.loads(out.getvalue()).keys()


def test_the_end_is_told_in_whole_seconds() -> None:
    pace = Pace(0.0)
    pace.note(5.0, 5 << 20)
    assert summary_parts(Progress(bytes_done=5 << 20, bytes_total=8 << 20), pace)[-1] == "3 s left"
    assert summary_parts(Progress(bytes_done=5 << 20, bytes_total=(5 << 20) + 1), pace)[-1] == "1 s left"
    assert summary_parts(Progress(bytes_done=5 << 20, bytes_total=5 << 20), pace)[-1] == "1.0 MiB/s"


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(unit=Unit.PACKS, files_done=1, files_total=3), ["33%", "1 of 3 packs"]),
        (Progress(unit=Unit.SNAPSHOTS, files_done=2), ["2 snapshots"]),
        (Progress(unit=Unit.FOLDERS, files_done=1), ["1 folder"]),
        (Progress(unit=Unit.NOTHING, bytes_done=2048), ["2.0 KiB", "0 B/s"]),
    ],
)
def test_what_is_counted_is_called_by_its_name(progress: Progress, words: list[str]) -> None:
    assert summary_parts(progress, Pace(0.0)) == words
    out, clock = io.StringIO(), Stopwatch()
    with ProgressDisplay(Output(stdout=out, stderr=io.StringIO(), json=True), clock) as display:
        clock.seconds += 100
        display.update(progress)
    record = json.loads(out.getvalue())
    assert "files_done" not in record
    if progress.unit is not Unit.NOTHING:
        assert record[f"{progress.unit.value}_done"] == progress.files_done


def drawn(columns: int, progress: Progress) -> list[str]:
    """The lines of the bar, as a terminal of this width shows them, after ten seconds."""
    err, clock = Terminal(), Stopwatch()
    with ProgressDisplay(Output(stdout=Terminal(), stderr=err, columns=columns), clock) as display:
        clock.seconds += 10
        display.update(progress)
        text = err.getvalue()
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).splitlines()]


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_bar_has_its_line_on_a_narrow_terminal_too(columns: int, language: str) -> None:
    translation.select([language])
    try:
        busy = Progress(
            files_done=12_345, files_total=100_000, bytes_done=13 << 30, bytes_total=117 << 30, errors=12,
            current=b"/home/somebody/a folder with a long name/and one more/and a file with a long name too.txt",
        )  # fmt: skip
        bar, counts, current = drawn(columns, busy)
    finally:
        translation.select([])
    assert max(map(display_width, (bar, counts, current))) <= columns
    assert bar.count("━") + bar.count("╸") >= 10 * 13 // 117
    assert "11%" in bar.replace("\xa0", "")
    assert ("left" if language == "en" else "encore") in bar
    assert counts.startswith("12,345 of 100,000 files" if language == "en" else "12\u202f345 ")
    assert "…" not in bar + counts
    assert current.endswith("too.txt")


def test_there_is_no_line_for_a_file_that_is_not_known() -> None:
    assert len(drawn(80, Progress(files_done=1, files_total=3))) == 2
    assert len(drawn(80, Progress(files_done=1))) == 1
