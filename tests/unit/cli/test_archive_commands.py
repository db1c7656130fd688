"""``pivori archive`` as a person sees it, run in this process."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Here

FRENCH = ("fr_FR.UTF-8",)


@pytest.fixture
def source(here: Here) -> Path:
    """A folder with something that the smart strategy leaves out."""
    folder = here.home / "source"
    cache = folder / "app" / "__pycache__"
    cache.mkdir(parents=True)
    (folder / "app" / "main.py").write_text("print('hello')\n")
    (cache / "main.cpython-311.pyc").write_bytes(b"bytecode")
    (folder / "secret.log").write_text("secret")
    return folder


@pytest.fixture
def smart_archive(here: Here) -> Path:
    """A smart archive of two services, each without its node_modules."""
    for name in ("auth", "shop"):
        service = here.home / "source" / name
        (service / "node_modules" / "a").mkdir(parents=True)
        (service / "node_modules" / "a" / "x.js").write_text("x")
        (service / "package.json").write_text("{}")
        (service / "package-lock.json").write_text(json.dumps({"packages": {"node_modules/a": {}}}))
    path = here.home / "smart.zip"
    here("archive", "create", "source", "-s", "smart", "-o", path)
    return path


@pytest.fixture
def no_npm(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is found."""
    monkeypatch.setenv("PATH", str(here.home / "nowhere"))


def test_a_list_that_can_be_read_once_is_read_once(here: Here, source: Path) -> None:
    """As the shell gives one: ``--exclude-file <(…)``. The smart strategy walks twice with it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"*.log\n")
        os.close(writing)
        given = ("archive", "create", source, "-s", "smart", "--exclude-file", f"/proc/self/fd/{reading}", "--dry-run")
        (done,) = here.json(*given)
    finally:
        os.close(reading)
    assert done["files"] == 1


@pytest.mark.usefixtures("no_npm")
def test_what_is_not_restored_is_not_rebuilt(here: Here, smart_archive: Path) -> None:
    *_, rebuilt, sums, done = here.json(
        "archive", "restore", smart_archive, "-t", "new", "--include", "auth", "--rebuild"
    )
    assert (rebuilt["path"], rebuilt["state"]) == ("auth/node_modules", "skipped")
    assert (sums["message_type"], sums["skipped"]) == ("rebuild_summary", 1)
    assert done["files"] == 2


@pytest.mark.usefixtures("no_npm")
def test_programs_get_the_reason_in_english(here: Here, smart_archive: Path) -> None:
    *_, rebuilt, _sums, _done = here.json(
        "archive", "restore", smart_archive, "-t", "new", "--include", "auth", "--rebuild", languages=FRENCH
    )
    assert rebuilt["reason"] == "the program npm is missing"


def test_what_is_left_out_is_told_of_what_is_restored(here: Here, smart_archive: Path) -> None:
    said = here("archive", "restore", smart_archive, "-t", "new", "--include", "auth").out
    assert "1 thing was left out of this archive" in said
    shown = here("archive", "restore", smart_archive, "-t", "other", "--include", "auth", "--yes").out
    assert "Left out of the archive: 1 B." in shown


def test_a_rehearsal_says_what_would_be_rebuilt(here: Here, smart_archive: Path) -> None:
    lines = here("archive", "restore", smart_archive, "-t", "new", "--rebuild", "--dry-run").out.splitlines()
    assert [line for line in lines if "rebuild" in line or "$" in line] == [
        "rebuild auth/node_modules",
        "    $ npm ci",
        "rebuild shop/node_modules",
        "    $ npm ci",
    ]


def test_a_rehearsal_knows_what_makes_way(here: Here, smart_archive: Path) -> None:
    """What is moved aside is not there already; what stays is."""
    given = ("archive", "restore", smart_archive, "--in-place", "--rebuild", "--dry-run", "--include")
    whole = [each["state"] for each in here.json(*given, "auth") if each["message_type"] == "rebuild"]
    beside = here.json(*given, "auth/package.json", "--include", "shop/node_modules")
    assert whole == ["planned"]
    assert [each["state"] for each in beside if each["message_type"] == "rebuild"] == ["skipped"]


def test_a_rehearsal_says_what_would_be_refused(here: Here, smart_archive: Path) -> None:
    """As the restore would: somebody else may have made the archive."""
    with zipfile.ZipFile(smart_archive) as old:
        members = [(each, old.read(each)) for each in old.infolist()]
    with zipfile.ZipFile(smart_archive, "w") as new:
        for member, content in members:
            new.writestr(member, content.replace(b'"npm"', b'"rm!"'))
    steps = here.json("archive", "restore", smart_archive, "-t", "new", "--rebuild", "--dry-run")
    assert {each["state"] for each in steps if each["message_type"] == "rebuild"} == {"refused"}


def test_what_would_be_left_out_is_told_as_backup_tells_it(here: Here, source: Path) -> None:
    given = ("-s", "smart", "--explain")
    *decisions, sums = here.json("archive", "create", source, *given, languages=FRENCH)
    *of_backup, sums_of_backup = here.json("backup", source, *given)
    assert sums == sums_of_backup
    assert {each["path"] for each in decisions if each["omitted"]} == {"secret.log", "app/__pycache__"}
    assert decisions == [each | {"path": os.path.relpath(each["path"], source)} for each in of_backup]
    lines = here("archive", "create", source, *given).out.splitlines()
    assert any(line.startswith("leave out app/__pycache__ (") for line in lines)
    assert lines[-1].startswith("To be left out: 2 (")


def test_one_directory_is_listed(here: Here) -> None:
    said = here("archive", "list", "one", "-d", "two", expect=2)
    assert "[DIRECTORY] and --directory cannot be used together" in said.err
    assert "[RÉPERTOIRE] et --directory" in here("archive", "list", "one", "-d", "two", expect=2, languages=FRENCH).err
