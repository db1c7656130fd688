"""Temporary files nobody finishes."""

import hashlib
import itertools
import subprocess
from pathlib import Path

import pytest

from pivori.clock import SystemClock
from pivori.storage import Kind, LocalStorage, background, local, local_files
from tests.interrupting import Interruption
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


def unfinished(repository: Path) -> Path:
    """A file that this process is about to finish."""
    file = local_files.Unfinished(repository / "tmp")
    file.open()
    file.settle()
    return file.path


def test_leftovers_of_a_killed_process_are_removed(storage: LocalStorage, repository: Path) -> None:
    run_program(_LEAVE, repository, check=False)
    assert len(temporary_files(repository)) == 1
    assert list(storage.list(Kind.INDEX)) == []
    mine = unfinished(repository)
    assert storage.remove_leftovers() == 1
    assert temporary_files(repository) == [mine]


def test_old_leftovers_of_anybody_are_removed(storage: LocalStorage, repository: Path) -> None:
    mine = unfinished(repository)
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


@pytest.mark.parametrize("kind", [Kind.PACK, Kind.INDEX, Kind.LOCK])
@pytest.mark.parametrize("module", [local, local_files, background], ids=lambda module: module.__name__)
def test_a_write_that_is_interrupted_leaves_whole_objects_only(repository: Path, kind: Kind, module: object) -> None:
    """At each place in turn where a signal may come to this thread, up to the end of the storage."""
    path = Path(str(module.__file__))
    LocalStorage(repository).create()
    for step in itertools.count():
        storage = LocalStorage(repository)
        contents = [b"%d %d" % (step, number) for number in range(4)]
        with Interruption(step, path) as interruption:
            for content in contents:
                storage.put(kind, hashlib.sha256(content).hexdigest(), [content])
            storage.sync()
        interrupted_while_writing = interruption.came
        storage.close()
        assert temporary_files(repository) == []
        for item in storage.list(kind):
            assert hashlib.sha256(LocalStorage(repository).get(kind, item.name)).hexdigest() == item.name
        if not interrupted_while_writing:
            break
    assert step > 0 or module is background
