"""A tree with one of everything."""

import os
import random
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _consumers_reach_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes find what the tests give them to run."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files of several sizes, links, odd names and modes."""
    root = tmp_path / "tree"
    (root / "a" / "deep" / "er").mkdir(parents=True)
    (root / "empty directory").mkdir(mode=0o700)
    (root / "a" / "empty").touch()
    (root / "a" / "text.txt").write_text("the same words again and again\n" * 500)
    (root / "a" / "noise").write_bytes(random.Random(7).randbytes(300_000))
    (root / "a" / "deep" / ("long" * 50)).write_text("a long name")
    (root / "a" / "deep" / "er" / "été ☃").write_text("a name in UTF-8")
    (root / "script.sh").write_text("#!/bin/sh\nexit 0\n")
    (root / "script.sh").chmod(0o4751)
    os.link(root / "a" / "text.txt", root / "z hard link")
    os.symlink("a/text.txt", root / "link")
    os.symlink("/nowhere/" + "x" * 200, root / "a" / "dangling")
    os.mkfifo(root / "fifo", 0o640)
    os.utime(root / "script.sh", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root / "a" / "empty", ns=(1, -5_000_000_001))
    os.utime(root / "empty directory", ns=(1, 5_000_000_000_000_000_000))
    return root
