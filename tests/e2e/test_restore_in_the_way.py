"""A folder with something in it, where the snapshot has a file, as a person meets it."""

import json
from pathlib import Path

import pytest

from tests.conftest import Pivori

INCOMPLETE = 3


@pytest.fixture
def source(pivori: Pivori) -> Path:
    """A folder that was backed up when ``a`` in it was a file; now it is a folder."""
    source = pivori.home / "d"
    source.mkdir()
    (source / "a").write_bytes(b"once a file")
    (source / "b").write_bytes(b"another")
    pivori("backup", source)
    (source / "a").unlink()
    (source / "a").mkdir()
    (source / "a" / "new").write_bytes(b"precious")
    return source


def test_it_stays_and_is_said(pivori: Pivori, source: Path) -> None:
    result = pivori("restore", "latest", "--in-place", expect=INCOMPLETE)
    assert (source / "a" / "new").read_bytes() == b"precious"
    assert f"{str(source / 'a').lstrip('/')} was not restored" in result.stderr
    assert "--delete" in result.stderr


def test_the_rehearsal_says_the_same(pivori: Pivori, source: Path) -> None:
    rehearsal = pivori("restore", "latest", "--in-place", "--dry-run", expect=INCOMPLETE)
    path = str(source / "a")
    assert any(line.split() == ["obstructed", path] for line in rehearsal.stdout.splitlines())
    assert f"{path} was not restored" in rehearsal.stderr
    summary = pivori.json("restore", "latest", "--in-place", "--dry-run", expect=INCOMPLETE)
    assert (summary["obstructed"], summary["replace"]) == (1, 0)
    warning = pivori("restore", "latest", "--in-place", "--dry-run", "--json", expect=INCOMPLETE).stderr
    assert json.loads(warning.splitlines()[0])["name"] == "file-not-restored"


def test_with_delete_it_is_replaced(pivori: Pivori, source: Path) -> None:
    assert pivori.json("restore", "latest", "--in-place", "--delete", "--dry-run")["replace"] == 1
    pivori("restore", "latest", "--in-place", "--delete")
    assert (source / "a").read_bytes() == b"once a file"
