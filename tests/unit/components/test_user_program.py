"""Programs that the user names."""

import pytest

from pivori.components.base import Gravity
from pivori.components.user_program import UserProgram, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login as hunter2!x failed", "login as … failed"),
        ("postgres://app:hunter2%21x@db/", "postgres://app:…@db/"),
        ("nter2!x is wrong", "… is wrong"),
        ("n2!x was said by somebody else", "n2!x was said by somebody else"),
        ("first line and second: BBBBB", "first line and second: …"),
        ("AAAAA\nBBBBB", "…"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    assert without_secrets(text, ["hunter2!x", "AAAAA\nBBBBB", ""]) == shown


def test_a_secret_within_another_is_taken_out_with_it() -> None:
    assert without_secrets("long-secret", ["secret", "long-secret"]) == "…"


def test_a_missing_program_is_found(tmp_path):
    def found(*words: str) -> int:
        program = UserProgram(component="c", words=words, directory=tmp_path, timeout=1)
        return len(program.missing(Gravity.FAILURE))

    (tmp_path / "loose").write_text("#!/bin/sh\n")
    assert found("sh", "-c", "true") == 0
    assert found("no-such-program") == 1
    assert found("./none") == 1
    assert found("./loose") == 1
    (tmp_path / "loose").chmod(0o755)
    assert found("./loose") == 0
