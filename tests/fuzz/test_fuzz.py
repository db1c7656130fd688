"""Every parser on generated input, for a short fixed count: ``run_target.py`` does the work in a process of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.run_target import without_guidance
from tests.fuzz.targets import TARGETS
from tests.restic import environment

FOLDER = Path(__file__).resolve().parent
RUNS = 20_000
COUNTED = {"tree": 10_000}
"""Runs of the targets that take longer."""


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_a_refusal(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(FOLDER / "corpus" / name, corpus)
    command = [sys.executable, FOLDER / "run_target.py", name, corpus, str(COUNTED.get(name, RUNS))]
    result = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, errors="replace", check=False
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-6000:]


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_and_what_random_changes_make_of_them(name: str, tmp_path: Path) -> None:
    """What runs where there is no guidance, in short."""
    corpus = tmp_path / "corpus"
    shutil.copytree(FOLDER / "corpus" / name, corpus)
    without_guidance(TARGETS[name], corpus, 2000)


def test_every_target_has_seeds() -> None:
    assert {path.name for path in (FOLDER / "corpus").iterdir()} == set(TARGETS)


def test_a_finding_fails(tmp_path: Path) -> None:
    """The loop itself: a target that raises is noticed, and its input kept."""
    (tmp_path / "seed").write_bytes(b"seed")

    def fragile(data: bytes) -> None:
        if data != b"seed":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        without_guidance(fragile, tmp_path, 100)
    assert (tmp_path / "crash").exists()
