"""Every parser on generated input, for a short fixed count: ``run_target.py`` does the work in a process of its own."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import IN_CI, missing
from tests.fuzz.run_target import without_guidance
from tests.fuzz.targets import TARGETS
from tests.restic import environment

FOLDER = Path(__file__).resolve().parent
RUNS = 20_000
COUNTED = {"compose-file": 3_000, "tree": 10_000}
"""Runs of the targets that take longer."""


LARGE_PARENT = """
import subprocess, sys
ballast = b"x" * (512 << 20)
sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""


def is_guided() -> bool:
    """Whether atheris is there to guide the inputs."""
    return importlib.util.find_spec("atheris") is not None


def command(name: str, corpus: Path, runs: int) -> list[str]:
    """Runs a target on a copy of its seeds in ``corpus``."""
    shutil.copytree(FOLDER / "corpus" / name, corpus)
    return [sys.executable, str(FOLDER / "run_target.py"), name, str(corpus), str(runs)]


def run(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        arguments, env=environment(home), capture_output=True, text=True, errors="replace", check=False
    )


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_a_refusal(name: str, tmp_path: Path) -> None:
    """Guided where atheris is; elsewhere the seeds are changed at random, which in CI is too little."""
    if IN_CI and not is_guided():
        missing("atheris")
    result = run(tmp_path, *command(name, tmp_path / "corpus", COUNTED.get(name, RUNS)))
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-6000:]
    assert ("stat::number_of_executed_units" in result.stderr) == is_guided(), result.stderr[-6000:]


def test_memory_of_the_starting_process_does_not_count(tmp_path: Path) -> None:
    """A test process may be larger than what a target is allowed."""
    if not is_guided():
        missing("atheris")
    result = run(tmp_path, sys.executable, "-c", LARGE_PARENT, *command("config", tmp_path / "corpus", 1000))
    peak = re.search(r"stat::peak_rss_mb: *([0-9]+)", result.stderr)
    assert result.returncode == 0, result.stderr
    assert peak is not None, result.stderr
    assert int(peak[1]) < 400


def test_a_finding_of_the_target_is_the_status_of_the_run(tmp_path: Path) -> None:
    """Through the fork as well: an input that no target can be given."""
    assert run(tmp_path, *command("config", tmp_path / "corpus", 0)[:2], "none", str(tmp_path), "1").returncode != 0


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
