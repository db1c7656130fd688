"""A member far larger than memory should hold costs no more memory than a small one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Pivori

MIB = 1 << 20
SIZE = 640 * MIB
MOST = 320 * MIB


LAUNCHER = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(status)
"""
"""The system counts for a program also what the process had that started it: so a small one has to."""


def peak(pivori: Pivori, *arguments: str | Path) -> int:
    """Run a command to its end; the most memory that it, or one of its workers, had at once, in bytes."""
    launcher = [sys.executable, "-I", "-c", LAUNCHER]
    done = subprocess.run(
        [*launcher, *pivori.command, "archive", *arguments],
        env=pivori.environment,
        capture_output=True,
        cwd=pivori.home,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("container", ["zip", "tar.zst"])
def test_memory_is_bounded(pivori: Pivori, tmp_path: Path, container: str) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    part = os.urandom(4 * MIB) + b"a line that repeats\n" * (4 * MIB // 20)
    with (root / "large").open("wb") as file:
        while file.tell() < SIZE:
            file.write(part)
    path = tmp_path / f"a.{container}"
    assert peak(pivori, "create", root, "-o", path) < MOST
    assert peak(pivori, "verify", path) < MOST
    assert peak(pivori, "restore", path, "-t", tmp_path / "back") < MOST
    assert (tmp_path / "back" / "large").stat().st_size == (root / "large").stat().st_size
    assert peak(pivori, "import", path) < MOST
