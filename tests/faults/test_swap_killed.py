"""A restore in place that is killed between its renames: nothing is lost, and the next one completes it and says so."""

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Pivori

KILLED = -9
KILLER = """
import os, signal, sys

rename, left = os.rename, int(sys.argv.pop(1))

def rename_or_die(*places, **options):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    rename(*places, **options)

os.rename = rename_or_die
from pivori.__main__ import main
sys.exit(main())
"""
SELECTIONS = {"whole": (), "parts": ("--include", "/a", "--include", "/b", "--include", "/deep/c")}


def files(root: Path) -> dict[str, bytes]:
    """The content of every file below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def fill(root: Path, text: str) -> None:
    """A tree whose files all say the same."""
    for name in ("a", "b", "deep/c", "deep/d"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture(params=["beside the tree", "in the tree"])
def place(request: pytest.FixtureRequest, pivori: Pivori, tmp_path: Path) -> Path:
    """A tree in use, and an archive of its earlier state, which may lie in the tree itself."""
    place = tmp_path / "place"
    fill(place / "live", "archived")
    backups = place / "live" / "backups" if request.param == "in the tree" else place / "backups"
    # Beside the place, the copy to restore from: what lies in the tree may be aside after a kill.
    archive = Path(pivori.json("archive", "create", place / "live", "-d", backups)["archive"])
    for file in archive.parent.iterdir():
        shutil.copy2(file, tmp_path)
    fill(place / "live", "in use")
    (place / "live" / "only now").write_text("in use")
    return place


def killed_runs(pivori: Pivori, tmp_path: Path, place: Path, selection: tuple[str, ...]) -> Iterator[bool]:
    """The place is as a restore leaves it that was killed, before each of its renames in turn; at last a whole one."""
    (archive,) = tmp_path.glob("*.zip")
    kept = tmp_path / "kept"
    place.rename(kept)
    for number in itertools.count():
        shutil.copytree(kept, place, symlinks=True)
        killing = replace(pivori, command=(sys.executable, "-I", "-c", KILLER, str(number)))
        ended = killing("archive", "restore", archive, "--in-place", *selection, expect=None)
        assert ended.returncode in (0, KILLED), ended.stderr
        yield ended.returncode == KILLED
        shutil.rmtree(place)
        if ended.returncode == 0:
            return


def moved_aside(place: Path) -> dict[str, bytes]:
    """The files that restores have moved aside, below their own paths."""
    found: dict[str, bytes] = {}
    for aside in sorted(place.glob("live.before-*"), reverse=True):
        found |= files(aside)
    return found


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_a_killed_exchange_loses_nothing(
    pivori: Pivori, tmp_path: Path, place: Path, selection: tuple[str, ...]
) -> None:
    (archive,) = tmp_path.glob("*.zip")
    before = files(place / "live")
    killed = told = 0
    for was_killed in killed_runs(pivori, tmp_path, place, selection):
        aside = moved_aside(place)
        live = files(place / "live") if (place / "live").exists() else {}
        assert all(name in aside or live.get(name) == text for name, text in before.items())
        assert all(before[name] == text for name, text in aside.items())
        killed += was_killed
        if was_killed:
            had_moved = bool(list(place.glob("live.before-*")))
            again = pivori("archive", "restore", archive, "--in-place", *selection)
            assert ("was killed in the middle" in again.stderr) == had_moved
            told += had_moved
        now = files(place / "live")
        assert {name: now[name] for name in ("a", "b", "deep/c")} == dict.fromkeys(("a", "b", "deep/c"), b"archived")
        assert now["deep/d"] == (b"in use" if selection else b"archived")
        assert set(moved_aside(place).items()) | set(now.items()) >= set(before.items())
        assert not [name for name in os.listdir(place) if name.startswith(".")]
    assert killed > told > 0
