"""What commands say at their end and when they refuse: small things a person would stumble over."""

import re
from pathlib import Path

import pytest

from pivori.cli.command_table import TABLE
from pivori.cli.failures import fill, wording
from pivori.cli.wording import show_duration
from pivori.repository.lock_conflicts import RepositoryLocked
from pivori.translation import duration_phrase
from tests.unit.cli.conftest import Here


@pytest.fixture
def source(here: Here) -> Path:
    """A folder that is backed up once."""
    folder = here.home / "source"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "link").symlink_to("a.txt")
    here("backup", "source")
    return folder


def repository(here: Here) -> Path:
    return here.home / ".local/share/pivori/repository"


@pytest.mark.parametrize("place", ["/proc/x", "file/below"])
def test_a_target_that_cannot_be_is_named(here: Here, source: Path, place: str) -> None:
    (here.home / "file").touch()
    said = here("restore", "latest", "--target", place, expect=1)
    assert said.err.startswith(f"Error: Nothing can be restored into {place}: ")
    assert "Name a folder" in said.err
    assert "is a file" in here("restore", "latest", "--target", "file", expect=2).err


def test_a_repair_says_that_it_is_done(here: Here, source: Path) -> None:
    for index in (repository(here) / "index").iterdir():
        index.unlink()
    assert here("repair", "index").out.endswith("The index is repaired. Now run `pivori verify`.\n")
    assert "nothing to repair" in here("repair", "index").out
    for pack in repository(here).glob("data/*/*"):
        pack.chmod(0o600)
        content = pack.read_bytes()
        pack.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert here("repair", "packs", expect=3).out.endswith("is saved. Now run `pivori verify`.\n")


def test_damage_is_counted_and_told_in_sentences(here: Here, source: Path) -> None:
    pack = next(repository(here).glob("data/*/*"))
    pack.chmod(0o600)
    content = pack.read_bytes()
    pack.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    said = here("verify", "--read-data", expect=1).out
    assert re.search(r"was changed \(damaged blobs in it: 1\): [^.]+\.$", said, re.MULTILINE)
    assert "1 problem was found." in said
    *_, summary = here.json("verify", expect=None)
    assert summary["total_duration"] == round(summary["total_duration"], 3)


def test_ids_are_short_and_nothing_is_said_twice(here: Here, source: Path) -> None:
    for pack in repository(here).glob("data/*/*"):
        pack.chmod(0o600)
        content = pack.read_bytes()
        pack.write_bytes(bytes(33) + content[33:])
    said = here("dump", "latest", str(source / "a.txt"), expect=None).err
    assert re.search(
        r"blob [0-9a-f]{8} in pack [0-9a-f]{8} is damaged: its authentication code does not fit\.", said
    ), said
    assert not re.search("[0-9a-f]{64}", said)


def test_a_moment_before_all_snapshots(here: Here, source: Path) -> None:
    said = here("ls", "@2001-01-01", expect=1).err
    assert re.search(r"is from \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\n", said)


def test_nothing_changed(here: Here, source: Path) -> None:
    here("backup", "source")
    assert here("diff", "latest", "latest").out == "Nothing changed.\n"
    (source / "a.txt").chmod(0o600)
    here("backup", "source")
    assert here("diff", "latest~1", "latest").out.startswith("No content changed; --metadata shows what else did.\n")
    (source / "b.txt").write_text("b")
    here("backup", "source")
    lines = here("diff", "latest~1", "latest").out.splitlines()
    assert lines[0].startswith("+ ")
    assert lines[1] == ""


@pytest.mark.parametrize("command", [*TABLE, "repair index", "repair packs", "key add"])
@pytest.mark.parametrize("columns", [60, 80])
def test_help_breaks_no_line_inside_what_one_copies(here: Here, command: str, columns: int) -> None:
    shown = here(*command.split(), "--help", columns=columns).out
    assert not re.search(r"\w-$", shown, re.MULTILINE)
    assert all(line.count("`") % 2 == 0 for line in shown.splitlines()), shown
    assert not re.search("[\ue000-\uf8ff]", shown)


def test_the_hint_names_the_command_in_which_the_mistake_is(here: Here) -> None:
    assert "`pivori restore --help`" in here("restore", "latest", "--target", expect=2).err
    assert "`pivori key add --help`" in here("key", "add", "--user", expect=2).err
    assert "`pivori --help`" in here("--password-file", expect=2).err


def test_a_password_command_that_says_nothing(here: Here, source: Path) -> None:
    said = here("snapshots", "--password-command", "false", expect=1).err
    assert said.startswith("Error: The password command false ended with status 1.\n")
    said = here("snapshots", "--password-command", "sh -c 'echo no >&2; exit 2'", expect=1).err
    assert 'ended with status 2, saying "no".' in said
    said = here("snapshots", "--password-command", "pass 'show x", expect=1).err
    assert said.startswith("Error: The password command pass cannot be run: a quotation mark is not closed.\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min 00 s"), (3725, "1 h 02 min"), (100_000, "1 d 4 h")],
)
def test_the_age_of_a_lock_is_told_as_every_duration(seconds: float, text: str) -> None:
    assert duration_phrase(seconds) == text == show_duration(seconds, whole=True)
    facts = {"location": "x", "username": "u", "hostname": "h", "pid": 1, "since": "then"}
    error = RepositoryLocked(**facts, age=duration_phrase(seconds))
    assert wording(error)[0].endswith(f"(process 1) since then, {text} ago.")
    assert fill("{number:03d}", {"number": 7}) == "007"


def test_dump_of_a_link_says_where_it_points(here: Here, source: Path) -> None:
    for arguments in (["latest", f"{source}/link"], [f"latest:{source}/link"], [f"latest:{source}", "link"]):
        said = here("dump", *arguments, expect=1).err
        assert said.startswith(f"Error: {source}/link is a symbolic link to a.txt, so it has no content of its own.\n")


def test_what_is_in_memory_is_no_offer(here: Here) -> None:
    said = here("snapshots", "-r", "rest:x", expect=1).err
    assert "known are `local:`." in said


def test_quiet_says_nothing_when_all_went_well(here: Here, source: Path) -> None:
    password = here.home / "password"
    password.write_text("x")
    password.chmod(0o600)
    here("init", "-r", "second", "--password-file", password)
    for command in (
        ["backup", "source"],
        ["backup", "source", "--skip-if-unchanged"],
        ["backup", "source", "--dry-run"],
        ["restore", "latest", "--target", "back"],
        ["prune"],
        ["unlock"],
        ["copy", "--to", "second", "--to-password-file", password],
    ):
        said = here(*command, "--quiet")
        assert said.out + said.err == "", command


def test_a_rehearsed_copy_ends_with_a_sentence(here: Here, source: Path) -> None:
    password = here.home / "password"
    password.write_text("x")
    password.chmod(0o600)
    here("init", "-r", "second", "--password-file", password)
    copy = ("copy", "--to", "second", "--to-password-file", password)
    assert here(*copy, "--dry-run").out.endswith("\n1 snapshot would be copied, 0 there already.\n")
    here(*copy)
    assert here(*copy, "--dry-run").out == "0 snapshots would be copied, 1 there already.\n"


def test_forget_by_name_gives_a_reason_for_what_stays(here: Here, source: Path) -> None:
    here("backup", "source")
    lines = here("forget", "latest", "--dry-run").out.splitlines()
    assert next(line for line in lines if line.startswith("keep")).endswith("  not named")
