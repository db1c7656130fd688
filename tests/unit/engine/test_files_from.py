"""Lists of paths to back up."""

import os
from pathlib import Path

import pytest

from pivori.engine.files_from import (
    BrokenRawList,
    Listing,
    UnreadableList,
    expand,
    parse_patterns,
    parse_raw,
    parse_verbatim,
    read_list,
)
from pivori.engine.globs import BadPattern


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a few names."""
    for name in ("a.txt", "b.txt", ".hidden.txt", "[x]", "star*", "sub/a.txt", "sub/deep/c.txt", "other/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (b"*.txt", [b".hidden.txt", b"a.txt", b"b.txt"]),
        (b"?.txt", [b"a.txt", b"b.txt"]),
        (b"[!a].txt", [b"b.txt"]),
        (b"[^a].txt", [b"b.txt"]),
        (b"*/a.txt", [b"other/a.txt", b"sub/a.txt"]),
        (b"**/c.txt", []),
        (b"sub/*/c.txt", [b"sub/deep/c.txt"]),
        (b"\\[x\\]", [b"[x]"]),
        (b"star\\*", [b"star*"]),
        (b"caf?", [b"caf\xe9"]),
        (b"a.txt", [b"a.txt"]),
        (b"nowhere", []),
        (b"a.txt/*", []),
        (b"s*/..", [b"star*/..", b"sub/.."][1:]),
    ],
)
def test_patterns_are_expanded(folder: Path, pattern: bytes, expected: list[bytes]) -> None:
    assert expand(pattern) == expected


def test_absolute_patterns_are_expanded(folder: Path) -> None:
    root = os.fsencode(folder)
    assert expand(root + b"/sub/*.txt") == [root + b"/sub/a.txt"]
    assert b"/tmp" in expand(b"/t*")


def test_a_list_of_patterns(folder: Path) -> None:
    content = b"\xef\xbb\xbf# comment\r\n\r\n  sub/*.txt  \r\n#x\n*.none\nb.txt"
    assert parse_patterns(content) == Listing((b"sub/a.txt", b"b.txt"), (b"*.none",))


def test_a_list_of_patterns_in_utf16(folder: Path) -> None:
    assert parse_patterns("b.txt\r\na.txt\r\n".encode("utf-16")).paths == (b"b.txt", b"a.txt")


def test_a_broken_pattern_is_an_error(folder: Path) -> None:
    with pytest.raises(BadPattern):
        parse_patterns(b"sub/[a\n")


def test_a_verbatim_list_is_taken_as_it_stands() -> None:
    assert parse_verbatim(b"# a\n\n *.txt \r\nx\xff").paths == (b"# a", b" *.txt ", b"x\xff")


def test_a_raw_list_takes_any_name() -> None:
    assert parse_raw(b"a\nb\0# c\0\xff\0").paths == (b"a\nb", b"# c", b"\xff")
    assert parse_raw(b"").paths == ()


@pytest.mark.parametrize("content", [b"a", b"a\0b", b"a\0\0b\0", b"\0"])
def test_a_raw_list_that_was_cut_short_is_refused(content: bytes) -> None:
    with pytest.raises(BrokenRawList):
        parse_raw(content)


def test_a_list_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"x\n")
    assert read_list(tmp_path / "list", parse_verbatim).paths == (b"x",)
    with pytest.raises(UnreadableList, match="nowhere"):
        read_list(tmp_path / "nowhere", parse_verbatim)
