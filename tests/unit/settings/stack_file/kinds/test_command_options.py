"""The options of a component `command`, and the words of commands."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pivori.components.base import Consistency
from pivori.components.command import CommandComponent
from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds.command import Options
from pivori.settings.stack_file.options import Building


def options(**given: object) -> Options:
    return Options.model_validate({"kind": "command", "name": "program", "capture": "dump", **given})


def test_everything_reaches_the_component(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    (tmp_path / "password").chmod(0o600)
    made = options(
        capture=["dump", "--all"],
        restore="load --into 'the table'",
        check="verify -",
        filename="dump.bin",
        timeout="2h",
        consistency="transaction",
        variables={"TOKEN": {"file": "password"}},
    ).build(Building(root=tmp_path, environment=Environment()))
    assert isinstance(made, CommandComponent)
    assert list(made.capture_command) == ["dump", "--all"]
    assert list(made.restore_command) == ["load", "--into", "the table"]
    assert list(made.check_command) == ["verify", "-"]
    assert (made.name, made.filename, made.timeout) == ("program", "dump.bin", 7200)
    assert made.consistency is Consistency.TRANSACTION
    assert {name: reveal() for name, reveal in made.variables.items()} == {"TOKEN": "hunter2"}
    assert "hunter2" not in repr(made)


def test_only_the_capture_is_needed(tmp_path: Path) -> None:
    made = options().build(Building(root=tmp_path, environment=Environment()))
    assert isinstance(made, CommandComponent)
    assert (made.restore_command, made.check_command, made.filename) == ((), (), "data")
    assert (made.timeout, made.consistency) == (86400, Consistency.PROGRAM)


@pytest.mark.parametrize(
    "line",
    ["a | b", "a|b", "a > f", "a 2>&1", "a && b", "a; b", "echo $HOME", 'echo "$HOME"', "echo `b`", "(a)", "a &"],
)
def test_what_only_a_shell_understands_is_refused(line: str) -> None:
    with pytest.raises(ValidationError, match="no shell runs it"):
        options(capture=line)
    assert list(options(capture=["sh", "-c", line]).capture) == ["sh", "-c", line]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a 'b | c' d", ["a", "b | c", "d"]),
        ('a "b > c"', ["a", "b > c"]),
        ("a '$HOME'", ["a", "$HOME"]),
        (r"a b\|c", ["a", "b|c"]),
        (r'a "b\"c"', ["a", 'b"c']),
        ("a # b", ["a", "#", "b"]),
    ],
)
def test_quotation_marks_are_understood(line: str, words: list[str]) -> None:
    assert list(options(capture=line).capture) == words


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"capture": "a 'b"}, "quotation mark is not closed"),
        ({"capture": ""}, "at least 1"),
        ({"capture": []}, "at least 1"),
        ({"capture": ["a\0"]}, "pattern"),
        ({"filename": "a/b"}, "pattern"),
        ({"filename": ".."}, "pattern"),
        ({"filename": ""}, "pattern"),
        ({"timeout": 0}, "greater than 0"),
        ({"consistency": "perfect"}, "transaction"),
        ({"variables": {"A-B": {"env": "X"}}}, "pattern"),
        ({"variables": {"A": "clear"}}, "valid"),
        ({"kommand": "x"}, "not permitted"),
    ],
)
def test_mistakes(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as raised:
        options(**given)
    assert "clear" not in str(raised.value)
