"""Tables: alignment, folding on a narrow terminal, whole lines for a pipe."""

from pivori.cli.table import lay_out
from pivori.cli.wording import display_width


def test_columns_are_aligned() -> None:
    lines = lay_out(["Id", "Size"], [["a1", "5"], ["long-id", "12,345"]], right={1})
    assert lines == ["Id         Size", "a1            5", "long-id  12,345"]


def test_wide_characters_take_two_columns() -> None:
    lines = lay_out(["Name", "N"], [["日本", "1"], ["abc", "2"]])
    assert [display_width(line) for line in lines] == [7, 7, 7]


def test_nothing_is_cut_for_a_pipe() -> None:
    assert lay_out(["Path"], [["x" * 500]])[1] == "x" * 500


def test_a_narrow_terminal_gets_folded_cells_with_everything_in_them() -> None:
    path = "/a/very/long/path/" + "x" * 60
    lines = lay_out(["Id", "Path", "Tags"], [["1234", path, "nightly"]], width=40)
    assert max(map(display_width, lines)) <= 40
    body = "".join(line[6:].split("  ")[0] for line in lines[1:])
    assert body == path
    assert lines[1].startswith("1234  /a/very")
    assert lines[1].endswith("nightly")


def test_a_terminal_too_narrow_for_anything_still_ends() -> None:
    lines = lay_out(["A", "B"], [["x" * 30, "y" * 30]], width=3)
    assert "".join(line.replace(" ", "") for line in lines).count("x") == 30


def test_an_empty_table_has_its_headers() -> None:
    assert lay_out(["Id", "Time"], []) == ["Id  Time"]
