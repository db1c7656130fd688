"""The same work without root's rights, in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("unprivileged.py")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory everybody may use: pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o777)
        yield place


def run(scenario: str, place: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, PROGRAM, scenario, place]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "scenario",
    [
        "owner_cannot_be_restored",
        "own_setuid_stays",
        "read_only_modes_come_last",
        "a_read_only_file_gets_its_attributes_again",
        "a_closed_tree_is_restored_again_and_removed",
        "privileged_things_are_refused",
        "foreign_processes_are_alive",
    ],
)
def test_as_an_ordinary_user(open_place: Path, scenario: str) -> None:
    run(scenario, open_place)


@pytest.mark.root
def test_attributes_of_others_are_left_out(open_place: Path) -> None:
    closed = open_place / "closed"
    closed.touch(0o600)
    os.setxattr(closed, "user.secret", b"1")
    run("unreadable_attributes_are_left_out", open_place)
