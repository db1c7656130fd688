"""``--stdin-from-command``: what a program prints becomes a file of a snapshot, or there is no snapshot."""

import sys
from pathlib import Path

import pytest

from tests.conftest import Pivori

HELLO = [sys.executable, "-c", "print('hello')"]


@pytest.fixture
def repository(pivori: Pivori, tmp_path: Path) -> str:
    """A fresh repository, opened by the password in the environment."""
    place = str(tmp_path / "repository")
    pivori("init", "-r", place, PIVORI_PASSWORD="secret")
    return place


def test_what_a_program_prints_comes_back(pivori: Pivori, repository: str) -> None:
    pivori("backup", "-r", repository, "--stdin-from-command", "dumps/db.sql", "--", *HELLO, PIVORI_PASSWORD="secret")
    shown = pivori("dump", "-r", repository, "latest", "/dumps/db.sql", PIVORI_PASSWORD="secret")
    assert shown.stdout == "hello\n"


@pytest.mark.parametrize("program", ["import sys; print('half'); sys.exit(3)", "pass"], ids=["fails", "says nothing"])
def test_a_bad_dump_is_no_snapshot(pivori: Pivori, repository: str, program: str) -> None:
    command = [sys.executable, "-c", program]
    pivori("backup", "-r", repository, "--stdin-from-command", "x", "--", *command, PIVORI_PASSWORD="secret", expect=1)
    assert not list((Path(repository) / "snapshots").iterdir())


def test_the_program_does_not_get_the_password(pivori: Pivori, repository: str) -> None:
    command = [sys.executable, "-c", "import os; print('PIVORI_PASSWORD' in os.environ)"]
    pivori("backup", "-r", repository, "--stdin-from-command", "x", "--", *command, PIVORI_PASSWORD="secret")
    assert pivori("dump", "-r", repository, "latest", "/x", PIVORI_PASSWORD="secret").stdout == "False\n"


def test_a_misspelled_program_makes_no_repository(pivori: Pivori) -> None:
    ended = pivori("backup", "--stdin-from-command", "db.sql", "--", "pg_dumpp", "shop", expect=1)
    assert "pg_dumpp" in ended.stderr
    assert not list((pivori.home / ".local").rglob("repository*"))
