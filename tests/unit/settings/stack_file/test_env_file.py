"""Secrets in the `.env` file of an application."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pivori.settings.load import Environment
from pivori.settings.stack_file.env_file import EnvFileUnreadable, EnvFileWithout
from pivori.settings.stack_file.options import Building, SecretReference


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("KEY=plain", "plain"),
        ("export KEY = plain  # a comment", "plain"),
        ("KEY='si$ngle #\\n'", "si$ngle #\\n"),
        ('KEY="dou\\"ble\\nline"', 'dou"ble\nline'),
        ('KEY="two\nlines"', "two\nlines"),
        ("KEY=pass#word", "pass#word"),
        ("OTHER=abc\nKEY=x-${OTHER}-$OTHER", "x-abc-abc"),
        ("KEY=${NOTHING:-rest}", "rest"),
        ("KEY=first\nKEY=last", "last"),
        ("KEY=postgresql+asyncpg://user:p%40ss%2Fword@host:5432/db", "p@ss/word"),
        ("KEY=redis://:only@host", "only"),
        ("\ufeffKEY=after-a-mark", "after-a-mark"),
    ],
)
def test_it_is_found_as_the_application_finds_it(tmp_path: Path, line: str, secret: str) -> None:
    (tmp_path / ".env").write_text(line + "\n")
    reference = SecretReference.model_validate({"env-file": ".env", "key": "KEY"})
    assert reference.reveal(Building(tmp_path, Environment()))() == secret


@pytest.mark.parametrize("line", ["", "KEY=", "KEY=postgres://user@host/db", "OTHER=x", "#KEY=x"])
def test_that_there_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(line)
    reference = SecretReference.model_validate({"env-file": ".env", "key": "KEY"})
    with pytest.raises(EnvFileWithout):
        reference.reveal(Building(tmp_path, Environment()))()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    reference = SecretReference.model_validate({"env-file": ".env", "key": "KEY"})
    with pytest.raises(EnvFileUnreadable):
        reference.reveal(Building(tmp_path, Environment()))()


@pytest.mark.parametrize("table", [{"env-file": ".env"}, {"key": "A"}, {"env-file": ".env", "key": "A", "env": "B"}])
def test_the_two_belong_together_and_exclude_the_others(table: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SecretReference.model_validate(table)
