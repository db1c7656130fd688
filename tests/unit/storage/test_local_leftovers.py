"""Temporary files nobody finishes."""

import os
import subprocess
from pathlib import Path

from pivori.clock import SystemClock
from pivori.storage import (
    Kind,
    LocalStorage,
    local_files,
)
from tests.unit.storage.failing import run_program, temporary_files

DAY_NS = 24 * 3600 * 10**9


class LaterClock(SystemClock):
    """The machine's clock, some nanoseconds ahead."""

    def __init__(self, ahead_ns: int) -> None:
        self.ahead_ns = ahead_ns

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


_LEAVE = """
import os, signal, sys
from pathlib import Path
from pivori.storage import *
storage = LocalStorage(Path(sys.argv[1]))
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
storage.put(Kind.INDEX, "a" * 64, [b"content"])
"""


def test_leftovers_of_a_killed_process_are_removed(storage: LocalStorage, repository: Path) -> None:
    run_program(_LEAVE, repository, check=False)
    assert len(temporary_files(repository)) == 1
    assert list(storage.list(Kind.INDEX)) == []
    descriptor, mine = local_files.open_temporary(repository / "tmp")
    os.close(descriptor)
    assert storage.remove_leftovers() == 1
    assert temporary_files(repository) == [mine]


def test_old_leftovers_of_anybody_are_removed(storage: LocalStorage, repository: Path) -> None:
    descriptor, mine = local_files.open_temporary(repository / "tmp")
    os.close(descriptor)
    dead = subprocess.Popen(["true"])
    dead.wait()
    elsewhere = mine.with_name(f"{'0' * 16}-{dead.pid}-{'0' * 16}")
    elsewhere.write_bytes(b"of another machine")
    strange = mine.with_name("notes.txt")
    strange.write_bytes(b"of somebody")
    assert storage.remove_leftovers() == 0
    assert LocalStorage(repository, LaterClock(DAY_NS - 60 * 10**9)).remove_leftovers() == 0
    assert LocalStorage(repository, LaterClock(DAY_NS + 60 * 10**9)).remove_leftovers() == 2
    assert temporary_files(repository) == [strange]


def test_without_a_repository_there_are_no_leftovers(repository: Path) -> None:
    assert LocalStorage(repository).remove_leftovers() == 0
