"""Objects that are gone or cut short: each is found and named, and nothing else is reported."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pivori.repository import Repository
from pivori.repository.check import Check
from pivori.repository.check_findings import FindingKind
from pivori.repository.keyring import add_password
from pivori.repository.last_seen import SeenSnapshot
from pivori.storage import Kind
from tests.broken.planting import Planted, brief, flip, only, truncate
from tests.conftest import Pivori

PASSWORD = "the password"


class Kept:
    """A repository with two snapshots and two keys, made by the program, so that this machine knows them."""

    def __init__(self, folder: Path, program: Pivori) -> None:
        self.path = folder / "repository"
        self.source = folder / "source"
        self.program = program
        self.second_password = folder / "second password"
        self.second_password.write_text("second")
        self.second_password.chmod(0o600)
        self.source.mkdir()
        self.run("init")
        for name in ("one", "two"):
            (self.source / name).write_bytes(os.urandom(3000))
            self.run("backup", self.source)

    def run(self, *words: str | Path, expect: int = 0, password: str = PASSWORD) -> str:
        """Run a command; what it said."""
        result = self.program(*words, "-r", self.path, expect=expect, PIVORI_PASSWORD=password)
        assert "nternal error" not in result.stderr
        return result.stdout + result.stderr

    def add_key(self) -> str:
        """Add the second password; the name of its key."""
        before = set(self.names(Kind.KEY))
        self.run("key", "add", "--new-password-file", self.second_password)
        (name,) = set(self.names(Kind.KEY)) - before
        return name

    def names(self, kind: Kind) -> list[str]:
        return sorted(path.name for path in (self.path / kind.value).iterdir())

    def file(self, kind: Kind, name: str) -> Path:
        return self.path / kind.value / name

    def found(self, *options: str, expect: int = 1) -> list[tuple[str, str, str]]:
        """Severity, kind and object of everything that verify finds."""
        lines = self.program(
            "verify", *options, "-r", self.path, "--json", expect=expect, PIVORI_PASSWORD=PASSWORD
        ).stdout.splitlines()
        documents: list[dict[str, Any]] = [json.loads(line) for line in lines]
        assert documents[-1]["message_type"] == "summary"
        return [
            (each["severity"], each["kind"], each["object"]) for each in documents if each["message_type"] == "finding"
        ]


@pytest.fixture
def kept(tmp_path: Path, pivori: Pivori) -> Kept:
    """A sound repository that was never verified."""
    return Kept(tmp_path, pivori)


def test_a_missing_snapshot_is_named_until_it_is_accepted(kept: Kept) -> None:
    first, second = kept.names(Kind.SNAPSHOT)
    assert kept.found(expect=0) == []
    kept.file(Kind.SNAPSHOT, first).unlink()
    gone = ("snapshot-gone", f"snapshots/{first}")
    for _ in range(2):
        assert kept.found() == [("damage", *gone)]
    said = kept.run("verify", expect=1)
    assert str(kept.source) in said
    assert "no note of removing it here" in said
    assert "--accept-missing" in said
    assert "repair snapshots" not in said
    assert kept.found("--accept-missing", expect=0) == [("hint", *gone)]
    assert kept.found(expect=0) == []
    kept.file(Kind.SNAPSHOT, second).unlink()
    assert kept.found() == [("damage", "snapshot-gone", f"snapshots/{second}")]


def test_a_missing_snapshot_that_comes_back_is_no_longer_missed(kept: Kept) -> None:
    name = kept.names(Kind.SNAPSHOT)[0]
    content = kept.file(Kind.SNAPSHOT, name).read_bytes()
    kept.file(Kind.SNAPSHOT, name).unlink()
    assert kept.found() == [("damage", "snapshot-gone", f"snapshots/{name}")]
    kept.file(Kind.SNAPSHOT, name).write_bytes(content)
    assert kept.found(expect=0) == []


def test_a_missing_second_key(kept: Kept) -> None:
    name = kept.add_key()
    assert kept.found(expect=0) == []
    kept.file(Kind.KEY, name).unlink()
    assert kept.found() == [("damage", "key-gone", f"keys/{name}")]
    assert kept.found("--accept-missing", expect=0) == [("hint", "key-gone", f"keys/{name}")]
    assert kept.found(expect=0) == []


def test_a_missing_first_key(kept: Kept) -> None:
    (first,) = kept.names(Kind.KEY)
    kept.add_key()
    kept.file(Kind.KEY, first).unlink()
    said = kept.run("verify", expect=1, password="second")
    assert f"keys/{first}" in said
    assert said.count("Damage: ") == 1


def test_the_only_key_is_missing(kept: Kept) -> None:
    kept.file(Kind.KEY, kept.names(Kind.KEY)[0]).unlink()
    said = kept.run("verify", expect=1)
    assert "has no key" in said
    assert "keys" in said


def test_what_is_removed_from_here_is_not_missed(kept: Kept) -> None:
    """By each command that removes snapshots or keys, and after each that adds some."""
    name = kept.add_key()
    kept.run("forget", "--keep-last", "1")
    assert kept.found(expect=0) == []
    kept.run("key", "remove", name)
    kept.run("key", "passwd", "--new-password-file", kept.second_password)
    assert "No damage" in kept.run("verify", password="second")
    kept.run("backup", kept.source, password="second")
    kept.run("forget", "latest", "--allow-empty", password="second")
    assert "No damage" in kept.run("verify", password="second")


def test_what_is_removed_without_a_note_is_missed_and_only_that_is_said(kept: Kept) -> None:
    """Who removed it may well be whoever reads this, so the sentence does not deny it."""
    kept.run("forget", "--keep-last", "1", "--no-cache")
    said = kept.run("verify", expect=1)
    assert "this program has no note of removing it here" in said
    assert "was not removed" not in said


def test_what_repair_and_copy_store_is_known_and_what_repair_removes_is_not_missed(kept: Kept, tmp_path: Path) -> None:
    destination = tmp_path / "destination"
    other = ("-r", destination)
    kept.program("init", *other, PIVORI_PASSWORD="second")
    kept.run("copy", "--to", destination, "--to-password-file", kept.second_password)
    copied = [path.name for path in (destination / "snapshots").iterdir()]
    assert len(copied) == 2
    (destination / "snapshots" / copied[0]).unlink()
    said = kept.program("verify", *other, expect=1, PIVORI_PASSWORD="second").stdout
    assert f"snapshots/{copied[0]}" in said
    before = kept.names(Kind.SNAPSHOT)
    flip(kept.file(Kind.SNAPSHOT, before[0]), 30)
    kept.run("repair", "snapshots", "--forget")
    assert len(kept.names(Kind.SNAPSHOT)) == 1
    assert kept.found(expect=0) == []


def test_what_others_stored_is_learned_by_verify(kept: Kept, tmp_path: Path) -> None:
    """Another machine has a cache of its own; its snapshots are known here once they were seen."""
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Pivori(tmp_path / "elsewhere")
    (kept.source / "three").write_text("three")
    elsewhere("backup", kept.source, "-r", kept.path, PIVORI_PASSWORD=PASSWORD)
    assert kept.found(expect=0) == []
    elsewhere("forget", "--keep-last", "1", "-r", kept.path, PIVORI_PASSWORD=PASSWORD)
    assert len([kind for _, kind, _ in kept.found() if kind == "snapshot-gone"]) == 2
    assert all(severity == "hint" for severity, _, _ in kept.found("--accept-missing", expect=0))
    first = elsewhere.json("verify", "-r", kept.path, PIVORI_PASSWORD=PASSWORD)
    assert not first["first_look"]


@pytest.mark.parametrize("known", [True, False], ids=["known before", "new"])
def test_what_is_removed_while_verify_runs_is_not_missed_afterwards(
    planted: Planted, tmp_path: Path, known: bool
) -> None:
    """With --no-lock another command may strike it off and remove it meanwhile."""
    name = planted.names(Kind.SNAPSHOT)[0]

    def opened() -> Repository:
        repository = planted.reopen().repository
        repository.remember(tmp_path / "cache")
        return repository

    if known:
        opened().last_seen.add(snapshots={name: SeenSnapshot("2025-11-08T12:00:00Z")})
    check = Check(opened())
    check.load()
    other = opened()
    other.last_seen.strike([name])
    other.storage.delete(Kind.SNAPSHOT, name)
    for _ in check.walk():
        pass
    assert check.conclude() == ()
    check.accept()
    again = Check(opened())
    again.load()
    assert FindingKind.SNAPSHOT_GONE not in {finding.kind for finding in again.conclude()}


def test_a_first_look_says_that_it_knows_nothing_of_before(kept: Kept, tmp_path: Path) -> None:
    kept.file(Kind.SNAPSHOT, kept.names(Kind.SNAPSHOT)[0]).unlink()
    (tmp_path / "new").mkdir()
    new = Pivori(tmp_path / "new")
    arguments = ("verify", "-r", kept.path)
    assert "had not seen them" in new(*arguments, PIVORI_PASSWORD=PASSWORD).stdout
    assert "had not seen them" not in new(*arguments, PIVORI_PASSWORD=PASSWORD).stdout
    assert new.json(*arguments, "--no-cache", PIVORI_PASSWORD=PASSWORD)["first_look"]


def test_two_copies_of_a_repository_are_not_mixed_up(kept: Kept, tmp_path: Path) -> None:
    """They share their identity; each place has its own snapshots."""
    copy = tmp_path / "copy"
    kept.path.rename(copy)
    kept.path.mkdir()
    for path in copy.rglob("*"):
        target = kept.path / path.relative_to(copy)
        target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())
    (kept.source / "three").write_text("three")
    kept.run("backup", kept.source)
    assert kept.found(expect=0) == []
    assert "No damage" in kept.program("verify", "-r", copy, PIVORI_PASSWORD=PASSWORD).stdout


def test_a_damaged_record_is_no_record(kept: Kept) -> None:
    (record,) = kept.program.home.rglob("seen/*.json")
    for content in (b"", b"[]", b"{" * 100_000, b'{"snapshots": {"a": 5}}'):
        record.write_bytes(content)
        assert kept.found(expect=0) == []
        assert len(json.loads(record.read_bytes())["snapshots"]) == 2


CUTS: dict[str, Callable[[Path], None]] = {
    "cut": lambda file: truncate(file, 9),
    "to one byte": lambda file: truncate(file, file.stat().st_size - 1),
    "empty": lambda file: truncate(file, file.stat().st_size),
}


@pytest.mark.parametrize("how", CUTS)
def test_a_truncated_snapshot(planted: Planted, how: str) -> None:
    name = planted.names(Kind.SNAPSHOT)[0]
    CUTS[how](planted.file(Kind.SNAPSHOT, name))
    assert brief(planted.verify(read_data=True)) == [("snapshot-damaged", f"snapshots/{name}")]


@pytest.mark.parametrize("how", CUTS)
def test_a_truncated_key(planted: Planted, how: str) -> None:
    name = add_password(planted.repository, "other", username="u", hostname="h", created="2025-11-08T12:00:00Z")
    assert planted.verify().findings == ()
    CUTS[how](planted.file(Kind.KEY, name))
    assert brief(planted.verify(read_data=True)) == [("key-damaged", f"keys/{name}")]


@pytest.mark.parametrize("how", CUTS)
def test_a_truncated_index(planted: Planted, how: str) -> None:
    """Its packs are in no index then, which is said as hints."""
    name = planted.names(Kind.INDEX)[0]
    CUTS[how](planted.file(Kind.INDEX, name))
    outcome = planted.verify(read_data=True)
    assert only(outcome).object == f"index/{name}"
    assert only(outcome).kind == FindingKind.INDEX_DAMAGED
    assert {hint.kind for hint in outcome.hints} == {FindingKind.PACK_NOT_INDEXED}


def error(planted: Planted, pivori: Pivori, *words: str | Path, expect: int) -> dict[str, Any]:
    """What a command says about its failure."""
    result = pivori(*words, "-r", planted.path, "--json", expect=expect, PIVORI_PASSWORD="x")
    (said,) = [json.loads(line) for line in result.stderr.splitlines()]
    return dict(said)


@pytest.mark.parametrize("how", [*CUTS, "flip", "far too large"])
def test_a_damaged_config(planted: Planted, how: str, pivori: Pivori) -> None:
    """Only a copy helps, so nobody is sent to `repair`."""
    others = {"flip": lambda file: flip(file, 40), "far too large": lambda file: os.truncate(file, 8 << 30)}
    (CUTS | others)[how](planted.path / "config")
    said = error(planted, pivori, "verify", expect=1)
    assert said["name"] == "config-damaged"
    assert "repair" not in said["hint"]


@pytest.mark.parametrize("command", ["verify", "backup .", "restore latest --in-place"])
def test_a_missing_config(planted: Planted, pivori: Pivori, command: str) -> None:
    """Nobody is told to make a repository where one is."""
    (planted.path / "config").unlink()
    said = error(planted, pivori, *command.split(), expect=10)
    assert said["name"] == "config-missing"
    assert "init" not in said["hint"]


def test_a_folder_of_keys_alone_is_no_repository(planted: Planted, pivori: Pivori) -> None:
    """What an interrupted `init` leaves."""
    for name in ("config", "snapshots", "index"):
        subprocess.run(["rm", "-r", planted.path / name], check=True)
    assert error(planted, pivori, "verify", expect=10)["name"] == "no-repository"
