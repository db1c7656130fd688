"""Options of the other commands and of the whole program, seen by what they change."""

import os
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pivori.repository import Repository
from pivori.repository.lock_files import Holder, encode_lock, new_record
from pivori.settings import Secret
from pivori.storage import Kind, LocalStorage
from tests.conftest import Pivori
from tests.unit.cli.conftest import HastyClock, Here
from tests.unit.cli.test_terminal import at_terminal

NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12
ELSEWHERE = Holder(hostname="elsewhere", username="bob", pid=200)
MINUTE_NS = 60 * 10**9
RED = "\x1b[31m"


@pytest.fixture
def source(here: Here) -> Path:
    """A small folder, backed up into the default repository."""
    folder = here.home / "source"
    folder.mkdir()
    for name, size, moment in (("middle", 20, 3), ("large", 30, 1), ("small", 10, 2)):
        (folder / name).write_bytes(bytes(size))
        os.utime(folder / name, (moment, moment))
    here("backup", folder)
    return folder


def default_repository(home: Path) -> Path:
    """Where the default repository is."""
    return home / ".local/share/pivori/repository"


def locks(home: Path) -> list[Path]:
    """The locks of the default repository."""
    return list((default_repository(home) / "locks").iterdir())


def put_lock(home: Path, *, minutes_old: int = 0) -> Path:
    """Leave an exclusive lock of another machine in the default repository."""
    password = (home / ".config/pivori/repository.key").read_text().strip()
    repository = Repository.open(LocalStorage(default_repository(home)), password)
    now_ns = HastyClock().now_ns() - minutes_old * MINUTE_NS
    record = new_record(ELSEWHERE, exclusive=True, now_ns=now_ns)
    name = repository.objects.save_unpacked(Kind.LOCK, encode_lock(record))
    return default_repository(home) / "locks" / name


def second_repository(here: Here) -> Path:
    """A repository of its own with the password ``x``."""
    here("init", "-r", "second", password=Secret("x"))
    return here.home / "second"


# Passwords that commands print.


def test_the_second_password_from_a_command(here: Here, source: Path) -> None:
    second = second_repository(here)
    here("copy", "--to", second, "--to-password-command", "echo wrong", expect=WRONG_PASSWORD)
    assert here.json("snapshots", "-r", second, password=Secret("x")) == [[]]
    here("copy", "--to", second, "--to-password-command", "echo x")
    (copied,) = here.json("snapshots", "-r", second, password=Secret("x"))[0]
    assert copied["paths"] == [str(source)]


def test_a_new_password_from_a_command(here: Here, source: Path) -> None:
    here("snapshots", password_command="echo new", expect=WRONG_PASSWORD)
    here("key", "add", "--new-password-command", "echo new")
    assert len(here.json("snapshots", password_command="echo new")[0]) == 1
    # The old one still opens it.
    here("snapshots")


def test_the_environment_names_the_repository_and_the_password(pivori: Pivori) -> None:
    """As a process: nothing on the command line says where, or how it is opened."""
    (pivori.home / "source").mkdir()
    place = {"PIVORI_REPOSITORY": str(pivori.home / "place"), "PIVORI_PASSWORD_COMMAND": "echo secret"}
    assert "There is no repository at" in pivori("snapshots", expect=NO_REPOSITORY, **place).stderr
    pivori("init", **place)
    assert (pivori.home / "place" / "config").is_file()
    pivori("backup", "source", **place)
    assert len(pivori.json("snapshots", **place)) == 1
    wrong = place | {"PIVORI_PASSWORD_COMMAND": "echo other"}
    pivori("snapshots", expect=WRONG_PASSWORD, **wrong)
    # The command line has the last word.
    pivori("snapshots", "-r", "nowhere", expect=NO_REPOSITORY, **place)
    assert not default_repository(pivori.home).exists()


# Locks.


def test_unlock_removes_what_was_left_behind(here: Here, source: Path) -> None:
    lock = put_lock(here.home, minutes_old=31)
    assert "pivori unlock" in here("snapshots", expect=LOCKED).err
    assert lock.exists()
    assert here.json("unlock") == [{"message_type": "unlock", "removed": 1}]
    assert locks(here.home) == []
    here("snapshots")


def test_unlock_leaves_what_is_in_use_and_remove_all_does_not(here: Here, source: Path) -> None:
    lock = put_lock(here.home)
    garbage = lock.with_name(sha256(b"garbage").hexdigest())
    garbage.write_bytes(b"garbage")
    assert here.json("unlock")[-1]["removed"] == 0
    assert set(locks(here.home)) == {lock, garbage}
    here("snapshots", expect=LOCKED)
    assert here.json("unlock", "--remove-all")[-1]["removed"] == 2
    assert locks(here.home) == []
    here("snapshots")


def test_retry_lock_waits_until_the_lock_is_gone(pivori: Pivori) -> None:
    (pivori.home / "source").mkdir()
    pivori("backup", "source")
    lock = put_lock(pivori.home)
    waiting = pivori.start("snapshots", "--json", "--retry-lock", "5m")
    assert waiting.stdout is not None
    assert waiting.stderr is not None
    with waiting:
        # Only when it has said that it waits does the lock go.
        assert b"waiting-for-lock" in waiting.stderr.readline()
        remover = threading.Timer(0.5, lock.unlink)
        remover.start()
        assert str(pivori.home / "source").encode() in waiting.stdout.read()
        assert waiting.wait(60) == 0
        remover.join()
    assert locks(pivori.home) == []


def test_retry_lock_gives_up_in_the_end(here: Here, source: Path) -> None:
    lock = put_lock(here.home)
    said = here("snapshots", "--retry-lock", "0.1", expect=LOCKED)
    assert "Waiting for up to" in said.err
    assert "Error: " in said.err
    assert locks(here.home) == [lock]
    assert "Waiting for up to" not in here("snapshots", expect=LOCKED).err


# What a listing looks like, where the cache is, how much a prune writes.


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], ["large", "middle", "small"]),
        (["--reverse"], ["small", "middle", "large"]),
        (["--sort", "name"], ["large", "middle", "small"]),
        (["--sort", "size"], ["large", "middle", "small"]),
        (["--sort", "size", "--reverse"], ["small", "middle", "large"]),
        (["--sort", "time"], ["middle", "small", "large"]),
        (["--sort", "time", "--reverse"], ["large", "small", "middle"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_order_of_a_listing(here: Here, source: Path, options: list[str], wanted: list[str]) -> None:
    assert here("ls", f"latest:{source}", *options).out.splitlines() == [f"/{name}" for name in wanted]


def test_the_cache_goes_where_it_is_told(here: Here) -> None:
    (here.home / "source").mkdir()
    usual, other = here.home / ".cache/pivori", here.home / "other cache"
    here("backup", "source", "--no-cache")
    assert not usual.exists()
    here("snapshots", "--cache-dir", other)
    here("backup", "source", "--cache-dir", other)
    assert any(path.is_file() for path in other.rglob("*"))
    assert not usual.exists()
    here("backup", "source")
    assert any(path.is_file() for path in usual.rglob("*"))


def test_a_prune_in_bounded_steps(here: Here) -> None:
    chance = random.Random(5)
    for name in ("one", "two"):
        folder = here.home / name
        folder.mkdir()
        for number in range(40):
            (folder / f"{number}").write_bytes(chance.randbytes(10_000))
        here("backup", name)
        for number in range(0, 40, 2):
            (folder / f"{number}").unlink()
    here("backup", "one", "two", "--host", "new")
    here("forget", "latest~1", "latest~2", "--allow-empty")
    thorough = ("prune", "--max-unused", "0")
    everything = here.json(*thorough, "--dry-run")[-1]
    assert everything["packs_repacked"] > 1
    assert here.json(*thorough, "--max-repack-size", "1K")[-1]["packs_repacked"] == 0
    packs = [path for path in (default_repository(here.home) / "data").rglob("*") if path.is_file()]
    limit = max(path.stat().st_size for path in packs)
    steps = []
    while not steps or steps[-1]["bytes_unused_remain"]:
        steps.append(here.json(*thorough, "--max-repack-size", f"{limit}")[-1])
        assert 0 < steps[-1]["bytes_repacked"] <= limit
    assert len(steps) > 1
    assert steps[-1]["bytes_remain"] == everything["bytes_remain"]
    here("verify", "--read-data")


# How an error looks.


@pytest.mark.parametrize(("variables", "is_coloured"), [([], True), (["NO_COLOR=1"], False)])
def test_errors_are_coloured_unless_no_color(
    pivori: Pivori, program: Callable[[str], Path], variables: list[str], is_coloured: bool
) -> None:
    told = replace(pivori, command=(str(program("env")), *variables, *pivori.command))
    status, shown = at_terminal(told, "snapshots", answers=[])
    assert status == NO_REPOSITORY
    assert "Error:" in shown
    assert (RED in shown) == ("\x1b" in shown) == is_coloured
