"""``pivori backup`` as a person sees it: first runs, rehearsals, times, streams."""

import os
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Here

PRINTS = [sys.executable, "-c", "import sys; print(sys.argv[1])"]


@pytest.fixture
def source(here: Here) -> Path:
    """A folder to back up."""
    folder = here.home / "source"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "b.log").write_text("b")
    return folder


def made(here: Here) -> list[Path]:
    """What was made in the home besides the source."""
    return [path for path in here.home.rglob("*") if "source" not in path.parts and path.is_file()]


def test_a_rehearsal_makes_no_repository(here: Here, source: Path) -> None:
    said = here("backup", "--dry-run", source, expect=10)
    assert "There is no repository at" in said.err
    assert made(here) == []


def test_a_misspelled_path_makes_no_repository(here: Here) -> None:
    said = here("backup", "/typo", expect=1)
    assert said.err.startswith("/typo could not be read: No such file or directory.\nError: None of the paths")
    assert made(here) == []


def test_the_first_run_says_where_everything_is_even_if_quiet(here: Here, source: Path) -> None:
    lines = here("backup", "-q", source).out.splitlines()
    assert lines[0] == f"New repository: {here.home}/.local/share/pivori/repository"
    assert lines[1] == f"Its key:        {here.home}/.config/pivori/repository.key"
    assert "loses the backups" in lines[2]
    assert here("backup", "-q", source).out.count("\n") <= 1


def test_the_time_that_is_given_is_recorded(here: Here, source: Path) -> None:
    here("backup", source, "--time", "2025-11-08T12:00:30Z")
    (snapshot,) = here.json("snapshots")[0]
    assert snapshot["time"] in ("2025-11-08T12:00:30Z", "2025-11-08T12:00:30+00:00")


def test_a_list_that_can_be_read_once_is_read_once(here: Here, source: Path) -> None:
    """As the shell gives one: ``--exclude-file <(…)``."""
    for option, text, wanted in (("--exclude-file", "*.log\n", "a.txt"), ("--files-from", "source/b.log\n", "b.log")):
        pipe = here.home / f"source of {option}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_text, args=[text], daemon=True)
        writer.start()
        paths = [source] if option == "--exclude-file" else []
        here("backup", *paths, option, pipe, terminal=True)
        writer.join()
        names = [node["name"] for node in here.json("ls", "latest")[1:] if node["type"] == "file"]
        assert names == [wanted]


def test_a_stream_is_compared_with_the_last_one(here: Here) -> None:
    stream = ("backup", "--stdin-from-command", "dump/db.sql")
    (*_, first) = here.json(*stream, "--skip-if-unchanged", "--", *PRINTS, "one")
    assert (first["files_new"], first["files_changed"], first["files_unmodified"]) == (1, 0, 0)
    (*_, same) = here.json(*stream, "--skip-if-unchanged", "--", *PRINTS, "one")
    assert (same["files_new"], same["files_changed"], same["files_unmodified"]) == (0, 0, 1)
    assert (same["snapshot_id"], same["parent"]) == (None, first["snapshot_id"])
    assert "no snapshot was made" in here(*stream, "--skip-if-unchanged", "--", *PRINTS, "one").out
    (*_, other) = here.json(*stream, "--skip-if-unchanged", "--", *PRINTS, "two")
    assert (other["files_changed"], other["parent"]) == (1, first["snapshot_id"])
    (*_, again) = here.json(*stream, "--", *PRINTS, "two")
    assert again["files_unmodified"] == 1
    assert again["snapshot_id"] is not None
    assert here("verify", "--read-data").out.endswith("No damage was found.\n")
    assert here("dump", "latest", "/dump/db.sql").out == "two\n"


@pytest.mark.parametrize(
    "option",
    [
        ["--exclude", "x"],
        ["--exclude-file", "x"],
        ["--exclude-caches"],
        ["--exclude-if-present", "x"],
        ["-x"],
        ["--force"],
        ["--with-atime"],
    ],
    ids=str,
)
def test_a_stream_takes_no_options_of_files(here: Here, option: list[str]) -> None:
    said = here("backup", *option, "--stdin-from-command", "x", "--", *PRINTS, "one", expect=2)
    assert "--stdin-from-command and --" in said.err
    assert made(here) == []
