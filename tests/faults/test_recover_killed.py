"""A recovery in place that is killed, at any moment: run again it completes, and what was replaced is still there."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.e2e.stacks import git_picture, make_source, picture

KILLS = 8
"""Moments at which it is killed, evenly over the second half of the time it takes: the first one is its plan."""


@pytest.fixture
def app(tmp_path: Path, pivori: Pivori) -> Path:
    """A protected application with source, secrets, uploads and a database of SQLite, all of which changed since."""
    folder = tmp_path / "shop"
    make_source(folder)
    pivori("init", "--yes", folder)
    pivori("backup", cwd=folder)
    return folder


def spoil(app: Path) -> None:
    """Change something of every component."""
    for name in ("app.py", ".env", "uploads/1.jpg"):
        (app / name).write_text(f"spoilt {name}\n")
    (app / "jobs.sqlite3").write_bytes(b"")


def everything_in(folder: Path) -> list[bytes]:
    """The contents of all files below a folder."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def test_killed_at_any_moment_it_completes_when_it_is_run_again(pivori: Pivori, app: Path, tmp_path: Path) -> None:
    wanted, git_wanted = picture(app), git_picture(app)
    spoil(app)
    options = ["recover", "--in-place", "--yes", "--config", str(app / "pivori.toml")]
    kept = tmp_path / "kept"
    shutil.copytree(app, kept, symlinks=True)
    started = time.monotonic()
    pivori(*options, cwd=tmp_path)
    duration = time.monotonic() - started
    assert picture(app) == wanted
    for number in range(KILLS):
        shutil.rmtree(app)
        for aside in tmp_path.glob("shop.aside-*"):
            shutil.rmtree(aside)
        shutil.copytree(kept, app, symlinks=True)
        process = pivori.start(*options)
        time.sleep(duration * (0.5 + (number + 1) / (KILLS + 1) / 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        pivori(*options, cwd=tmp_path)
        assert picture(app) == wanted
        assert git_picture(app) == git_wanted
        [*asides] = tmp_path.glob("shop.aside-*")
        left = [content for aside in asides for content in everything_in(aside)]
        for name in ("app.py", ".env", "uploads/1.jpg"):
            assert f"spoilt {name}\n".encode() in left, name
        assert not list(app.rglob("*.partial"))
