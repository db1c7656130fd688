"""What goes where: standard output, standard error, JSON, quiet; and nothing a terminal would obey."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pivori.cli.output import Output, OutputFailed, show_cell


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make(*, terminal: bool = False, **settings: object) -> tuple[Output, io.StringIO, io.StringIO]:
    kind = Terminal if terminal else io.StringIO
    out, err = kind(), kind()
    return Output(stdout=out, stderr=err, **settings), out, err


def everything(output: Output) -> None:
    output.say("said")
    output.detail("detail")
    output.result("result")
    output.table(["Head"], [["cell"]])
    output.record({"message_type": "thing"})
    output.note("note")
    output.warn("warning", path=b"x")


def test_for_people() -> None:
    output, out, err = make()
    everything(output)
    assert out.getvalue() == "said\nresult\nHead\ncell\n"
    assert err.getvalue() == "note\nwarning\n"


def test_quiet_leaves_what_was_asked_for_and_what_goes_wrong() -> None:
    output, out, err = make(quiet=True, verbose=2)
    everything(output)
    assert out.getvalue() == "result\nHead\ncell\n"
    assert err.getvalue() == "warning\n"


def test_for_programs() -> None:
    output, out, err = make(json=True, verbose=2)
    everything(output)
    assert out.getvalue() == '{"message_type": "thing"}\n'
    assert json.loads(err.getvalue()) == {"message_type": "warning", "message": "warning", "path": "x"}


def test_verbose() -> None:
    output, out, _err = make(verbose=0)
    output.detail("nothing")
    output, out, _err = make(verbose=1)
    output.detail("one")
    assert out.getvalue() == "one\n"


def test_no_escape_sequence_passes() -> None:
    output, out, err = make(terminal=True, color=False)
    nasty = "a\x1b[31mb\x9bc\rd"
    output.say(nasty)
    output.result(nasty)
    output.table([nasty], [[nasty], [nasty.encode()]])
    output.warn(nasty)
    output.failure(nasty, nasty)
    for character in "\x1b\x9b\r":
        assert character not in out.getvalue() + err.getvalue()


def test_colour_only_on_a_terminal() -> None:
    output, out, err = make(terminal=True, color=True, columns=80)
    everything(output)
    assert "\x1b[1mHead\x1b[0m" in out.getvalue()
    assert "\x1b[33mwarning\x1b[0m" in err.getvalue()
    output, out, err = make(color=True)
    everything(output)
    assert "\x1b" not in out.getvalue() + err.getvalue()


def test_a_table_is_folded_on_a_terminal_only() -> None:
    output, out, _err = make(terminal=True, columns=30)
    output.table(["Path"], [[b"x" * 50]])
    assert max(map(len, out.getvalue().splitlines())) == 30
    output, out, _err = make(columns=30)
    output.table(["Path"], [[b"x" * 50]])
    assert "x" * 50 in out.getvalue()


def test_cells() -> None:
    assert [show_cell(cell) for cell in (None, 1234, b"\xff", "a\nb")] == ["", "1,234", "\\xff", "a\\nb"]


def test_a_name_outside_the_encoding_is_shown_with_escapes() -> None:
    raw = io.BytesIO()
    latin = io.TextIOWrapper(raw, encoding="ascii")
    Output(stdout=latin, stderr=io.StringIO()).say("日")
    latin.flush()
    assert raw.getvalue() == b"\\u65e5\n"


def test_json_is_utf_8_everywhere() -> None:
    raw = io.BytesIO()
    latin = io.TextIOWrapper(raw, encoding="latin-1")
    output = Output(stdout=latin, stderr=io.StringIO(), json=True)
    output.record({"a": "日é"}, flush=True)
    assert json.loads(raw.getvalue().decode("utf-8")) == {"a": "日é"}


def test_a_full_disk_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        output = Output(stdout=full, stderr=io.StringIO())
        output.say("x")
        with pytest.raises(OutputFailed, match="No space left"):
            output.flush()
        with pytest.raises(OutputFailed):
            output.say("x" * 100_000)
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_a_closed_standard_error_hides_no_exit_status() -> None:
    closed = io.StringIO()
    closed.close()
    Output(stdout=io.StringIO(), stderr=closed).failure("message", "hint")


def test_lines_for_the_terminal_go_above_a_bar() -> None:
    output, out, err = make(terminal=True)
    above: list[str] = []
    output.show_above(above.append)
    output.say("one")
    output.warn("two")
    output.show_above(None)
    output.say("three")
    assert above == ["one", "two"]
    assert (out.getvalue(), err.getvalue()) == ("three\n", "")


def test_the_width_of_the_terminal() -> None:
    output, _out, _err = make(columns=123)
    assert output.width == 123
    assert make()[0].width == 80


def test_bytes_follow_what_was_said() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    output = Output(stdout=stream, stderr=io.StringIO())
    output.say("first")
    output.binary().write(b"\x00second")
    output.flush()
    assert raw.getvalue() == b"first\n\x00second"


def test_closed_descriptors_are_given_to_nobody() -> None:
    script = (
        "import os\n"
        "from pivori.cli.output import Output, open_standard_streams\n"
        "out, err = open_standard_streams()\n"
        "assert os.open('/dev/zero', os.O_RDONLY) > 2\n"
        "output = Output(stdout=out, stderr=err)\n"
        "output.say('lost'); output.warn('lost'); output.flush()\n"
        "os._exit(7)\n"
    )
    command = f'exec {sys.executable} -c "$SCRIPT" 0<&- 1>&- 2>&-'
    result = subprocess.run(["sh", "-c", command], env={**os.environ, "SCRIPT": script}, check=False)
    assert result.returncode == 7


def test_a_log_hears_all_that_is_said_without_colours_and_unfolded() -> None:
    output, out, err = make(terminal=True, color=True, columns=30)
    heard: list[str] = []
    output.copy_to(heard.append)
    everything(output)
    output.table(["Head", "Other"], [["x" * 40, "y" * 40]])
    output.copy_to(None)
    output.say("afterwards")
    assert heard == [
        "said",
        "result",
        "Head",
        "cell",
        "note",
        "warning",
        f"Head{' ' * 38}Other",
        f"{'x' * 40}  {'y' * 40}",
    ]
    assert "\x1b[1m" in out.getvalue()
    assert "\x1b[33m" in err.getvalue()
