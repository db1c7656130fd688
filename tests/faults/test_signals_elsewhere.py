"""SIGINT and SIGTERM while anything but a backup runs, and before the program has got as far as to run anything."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.faults.laboratory import Laboratory, change_source

INTERRUPTED = 130
MOMENTS = 3
PATIENCE = 60.0
NEW_PASSWORD = "battery staple"
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) >> (number - 1) & 1)


# --- anything but a backup ---


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A repository with three snapshots, a second one to copy to, and another password."""
    laboratory = Laboratory.make(tmp_path_factory.mktemp("laboratory"))
    for seed in range(3):
        change_source(laboratory.source, seed=seed)
        laboratory.backup()
    (laboratory.folder / "new-password").write_text(NEW_PASSWORD)
    (laboratory.folder / "new-password").chmod(0o600)
    second = second_of(laboratory)
    second.folder.mkdir()
    second.password_file.write_text(NEW_PASSWORD)
    second.password_file.chmod(0o600)
    assert second.run("init") == 0
    return laboratory


def second_of(laboratory: Laboratory) -> Laboratory:
    """Where ``copy`` copies to."""
    return replace(laboratory, folder=laboratory.folder / "second", history={})


def lose_the_index(laboratory: Laboratory) -> None:
    """So that there is much to repair."""
    for file in (laboratory.repository / "index").iterdir():
        file.unlink()


@dataclass(frozen=True)
class Deed:
    """A command, and what the repository is made to look like before."""

    name: str
    arguments: Callable[[Laboratory], list[str | Path]]
    prepare: Callable[[Laboratory], None] = lambda laboratory: None

    def __str__(self) -> str:
        return self.name


DEEDS = [
    Deed("restore", lambda laboratory: ["restore", "latest", "--target", laboratory.folder / "restored"]),
    Deed("forget", lambda _: ["forget", "--keep-last", "1", "--prune", "--max-unused", "0"]),
    Deed(
        "copy",
        lambda laboratory: [
            *("copy", "--to", second_of(laboratory).repository),
            *("--to-password-file", second_of(laboratory).password_file),
        ],
    ),
    Deed("key add", lambda laboratory: ["key", "add", "--new-password-file", laboratory.folder / "new-password"]),
    Deed("key passwd", lambda laboratory: ["key", "passwd", "--new-password-file", laboratory.folder / "new-password"]),
    Deed("repair index", lambda _: ["repair", "index"], lose_the_index),
    Deed("verify", lambda _: ["verify", "--read-data"]),
]


@pytest.fixture(scope="module")
def durations() -> dict[str, float]:
    """How long each deed takes, in seconds from when signals are handled; measured once."""
    return {}


@pytest.fixture
def copies(pristine: Laboratory, tmp_path: Path) -> Iterator[Callable[[Deed], Laboratory]]:
    """Gives independent copies of the repository, prepared for a deed."""
    made: list[Laboratory] = []

    def copy(deed: Deed) -> Laboratory:
        laboratory = pristine.copy(tmp_path / f"copy{len(made)}")
        deed.prepare(laboratory)
        made.append(laboratory)
        return laboratory

    yield copy
    for laboratory in made:
        shutil.rmtree(laboratory.folder)


def start(pivori: Pivori, laboratory: Laboratory, deed: Deed) -> "subprocess.Popen[bytes]":
    """Start a deed and wait until it handles signals as it will do from then on."""
    process = pivori.start(*laboratory.arguments(*deed.arguments(laboratory)))
    deadline = time.monotonic() + PATIENCE
    # SIGHUP has its handler only then; the two others are handled from the first line on.
    while not handles(process.pid, signal.SIGHUP) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return process


def require_order(pivori: Pivori, laboratory: Laboratory, deed: Deed) -> None:
    """What is true after an end of any kind: no lock, nothing torn, nothing unfinished, nothing wrong; work goes on."""
    for each in (laboratory, second_of(laboratory)):
        assert each.locks() == []
        each.require_whole_objects()
        assert list((each.repository / "tmp").iterdir()) == []
    if deed.name == "key passwd" and pivori(*laboratory.arguments("key", "list"), expect=None).returncode == 12:
        laboratory.change_password(NEW_PASSWORD)
    if deed.prepare is lose_the_index:
        pivori(*laboratory.arguments("repair", "index"))
    pivori(*laboratory.arguments("verify"))
    pivori(*second_of(laboratory).arguments("verify"))
    pivori(*laboratory.arguments("backup", laboratory.source))
    assert laboratory.locks() == []


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("deed", DEEDS, ids=str)
def test_interrupted_at_any_moment(
    pivori: Pivori,
    copies: Callable[[Deed], Laboratory],
    durations: dict[str, float],
    deed: Deed,
    number: signal.Signals,
) -> None:
    if deed.name not in durations:
        process = start(pivori, copies(deed), deed)
        began = time.monotonic()
        output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output + errors
        durations[deed.name] = time.monotonic() - began
    chance = random.Random(f"{deed} {number}")
    for part in range(MOMENTS):
        laboratory = copies(deed)
        process = start(pivori, laboratory, deed)
        time.sleep(durations[deed.name] * (part + chance.random()) / MOMENTS)
        # As a terminal and a service manager do it: every process, the workers too.
        os.killpg(process.pid, number)
        output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode in (0, INTERRUPTED), output + errors
        assert b"Traceback" not in errors
        require_order(pivori, laboratory, deed)


# --- before anything runs ---

EARLY_TRIES = 40
EARLIEST, LATEST = 0.0, 0.12
"""Seconds after the start of the process: from before there is a Python to when the command line is being read."""


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_interrupted_while_it_starts(pivori: Pivori, number: signal.Signals) -> None:
    """From the first line of the program on, a signal ends it with 130 and without a word of Python's.

    Before that line there is only the interpreter: SIGTERM then kills it, and SIGINT is Python's own affair. Whether
    the line was reached can be seen from outside: the program sets the handler of SIGTERM last. What was seen before
    the signal was sent is true when it arrives. (Nothing is measured here: coverage has a handler of its own.)
    """
    bare = replace(pivori, is_measured=False)
    chance = random.Random(int(number))
    reached = 0
    for _ in range(EARLY_TRIES):
        process = bare.start("--help")
        time.sleep(chance.uniform(EARLIEST, LATEST))
        was_reached = handles(process.pid, signal.SIGTERM)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
        reached += was_reached
        if was_reached:
            assert process.returncode in (0, INTERRUPTED)
            assert b"Traceback" not in errors
    assert reached > 0


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_interrupted_right_after_its_first_line(pivori: Pivori, number: signal.Signals) -> None:
    """Before ``cli/interruption.py`` takes over, whose mark is a handler of SIGHUP."""
    bare = replace(pivori, is_measured=False)
    early = 0
    for _ in range(EARLY_TRIES):
        process = bare.start("snapshots")
        while not handles(process.pid, signal.SIGTERM):
            assert process.poll() is None
        process.send_signal(number)
        early += not handles(process.pid, signal.SIGHUP)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == INTERRUPTED, errors
        assert b"Traceback" not in errors
    assert early > 0


def is_ignoring(pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores a signal, as proc(5) tells it."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigIgn:"):
                return bool(int(line.split()[1], 16) & 1 << (number - 1))
    return False


def test_what_the_caller_ignores_stays_ignored(pivori: Pivori) -> None:
    ignoring = replace(
        pivori, is_measured=False, command=("sh", "-c", "trap '' INT; exec \"$@\"", "sh", *pivori.command)
    )
    process = ignoring.start("--help")
    while process.poll() is None and not is_ignoring(process.pid, signal.SIGINT):
        time.sleep(0.001)
    for _ in range(20):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.005)
    assert process.communicate(timeout=PATIENCE)[0].startswith(b"Usage")
    assert process.returncode == 0
