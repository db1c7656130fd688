"""A restore that is stopped, at any moment and by whatever: every file is what it was before, or whole.

What is not whole never has a file's own name; an orderly end removes it, and after any other end the next restore does.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.faults.laboratory import Laboratory, picture_of
from tests.faults.test_signals import INTERRUPTED, PATIENCE, Run

INCOMPLETE = 3
MOMENTS = 3
BEFORE = ["nothing", "other content"]
"""What is in the target when the restore begins."""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A snapshot of enough that worker processes are started to restore it."""
    laboratory = Laboratory.make(tmp_path_factory.mktemp("laboratory"))
    chance = random.Random(17)
    for number in range(600):
        file = laboratory.source / f"many{number % 9}" / str(number)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(chance.randbytes(3000))
    for number in range(4):
        (laboratory.source / f"huge{number}").write_bytes(chance.randbytes(10 << 20))
    laboratory.backup()
    return laboratory


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of every file in a folder; of one that is not whole, too."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def unfinished(folder: Path) -> list[Path]:
    """What is not whole and says so by its name."""
    return [path for path in folder.rglob(".pivori-*.partial")]


def before_of(laboratory: Laboratory) -> dict[str, bytes]:
    """Other content for every file, with a part of what it is to have."""
    return {name: other(content) for name, content in files_of(laboratory.source).items()}


def other(content: bytes) -> bytes:
    """Change a content at its head and in its middle."""
    middle = len(content) // 2
    return b"before" + content[6:middle] + b"other content" + content[middle + 13 :]


def make_before(laboratory: Laboratory, target: Path, before: str) -> None:
    """Fill the target, or leave it to the restore to make it."""
    if before == "nothing":
        return
    shutil.copytree(laboratory.source, target, symlinks=True)
    for name, content in before_of(laboratory).items():
        (target / name).write_bytes(content)
        os.utime(target / name, (1, 1))


def is_touched(path: Path) -> bool:
    """Whether the restore has made, or has written to, a file."""
    return path.exists() and path.stat().st_mtime != 1


def require_old_or_whole(laboratory: Laboratory, target: Path, before: dict[str, bytes]) -> None:
    """Every file under its own name is the snapshot's or what was there; none is missing that was there."""
    whole = files_of(laboratory.source)
    found = {name: content for name, content in files_of(target).items() if ".pivori-" not in name}
    assert found.keys() <= whole.keys()
    assert before.keys() <= found.keys()
    torn = [name for name, content in found.items() if content not in (whole[name], before.get(name))]
    assert torn == []


def restoring(laboratory: Laboratory, target: Path) -> list[str | Path]:
    """The command line, without what names the repository."""
    return ["restore", f"latest:{laboratory.source}", "--target", target]


def require_next_restore(laboratory: Laboratory, target: Path, pivori: Pivori | None = None) -> None:
    """The next restore needs nobody's help, and leaves nothing but the snapshot's files.

    After a kill it is run by the same user of the same machine, ``pivori``: what is noted there proves that the lock
    is a dead process's.
    """
    if pivori is None:
        assert laboratory.run(*restoring(laboratory, target)) == 0
    else:
        pivori(*laboratory.arguments(*restoring(laboratory, target)))
    assert laboratory.locks() == []
    assert picture_of(target) == picture_of(laboratory.source)


Start = Callable[[str], tuple[Run, Path]]


@pytest.fixture
def start(pristine: Laboratory, pivori: Pivori, tmp_path: Path) -> Iterator[Start]:
    """Starts a restore into a folder that holds what the caller says; nothing survives the test."""
    runs: list[Run] = []

    def start_one(before: str) -> tuple[Run, Path]:
        target = tmp_path / "target"
        make_before(pristine, target, before)
        run = Run(pristine, pivori.start(*pristine.arguments(*restoring(pristine, target))), pivori)
        runs.append(run)
        return run, target

    yield start_one
    for run in runs:
        for pid in run.left_processes():
            os.kill(pid, signal.SIGKILL)
        run.process.communicate()
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def duration(pristine: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> float:
    """About how long a restore takes, in seconds, to spread the moments over it."""
    home = tmp_path_factory.mktemp("home")
    began = time.monotonic()
    Pivori(home)(*pristine.arguments(*restoring(pristine, home / "target")))
    return time.monotonic() - began


def moment(seed: int, duration: float, part: int) -> float:
    """A delay in seconds, in one part of the whole run."""
    return duration * (part + random.Random(f"{seed} {part}").random()) / MOMENTS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("part", range(MOMENTS))
@pytest.mark.parametrize("before", BEFORE)
def test_interrupted_at_any_moment(
    start: Start, duration: float, number: signal.Signals, part: int, before: str
) -> None:
    run, target = start(before)
    were = {} if before == "nothing" else before_of(run.laboratory)
    run.wait_until(run.handles_signals)
    time.sleep(moment(number, duration, part))
    run.process.send_signal(number)
    require_clean_end(run, target, were)


def require_clean_end(run: Run, target: Path, before: dict[str, bytes]) -> None:
    """What is true after an orderly interruption, or after an end that came before it."""
    status, said = run.finish()
    assert status in (0, INTERRUPTED), said
    assert "Traceback" not in said
    assert run.processes_that_stay() == []
    assert run.laboratory.locks() == []
    assert unfinished(target) == []
    require_old_or_whole(run.laboratory, target, before)
    require_next_restore(run.laboratory, target, run.pivori)


SIGHTS: dict[str, Callable[[Run, Path], object]] = {
    "worker": lambda run, _: run.workers(),
    "unfinished file": lambda _, target: unfinished(target),
    "large file": lambda _, target: is_touched(target / "huge1"),
    "small file": lambda _, target: is_touched(target / "many3" / "3"),
}


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("before", BEFORE)
def test_interrupted_when_something_appears(start: Start, sight: str, before: str) -> None:
    run, target = start(before)
    were = {} if before == "nothing" else before_of(run.laboratory)
    run.wait_until(lambda: SIGHTS[sight](run, target))
    # As a service manager does it: every process of the service, the workers too.
    os.killpg(run.process.pid, signal.SIGTERM)
    require_clean_end(run, target, were)


@pytest.mark.parametrize("part", range(MOMENTS))
@pytest.mark.parametrize("before", BEFORE)
def test_killed_at_any_moment(start: Start, duration: float, part: int, before: str) -> None:
    run, target = start(before)
    were = {} if before == "nothing" else before_of(run.laboratory)
    run.wait_until(run.handles_signals)
    time.sleep(moment(9, duration, part))
    # Workers too: none gets to the end of what it does.
    os.killpg(run.process.pid, signal.SIGKILL)
    run.finish()
    require_old_or_whole(run.laboratory, target, were)
    require_next_restore(run.laboratory, target, run.pivori)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("before", BEFORE)
def test_killed_when_something_appears(start: Start, sight: str, before: str) -> None:
    run, target = start(before)
    were = {} if before == "nothing" else before_of(run.laboratory)
    run.wait_until(lambda: SIGHTS[sight](run, target))
    run.process.kill()
    run.finish()
    deadline = time.monotonic() + PATIENCE
    while run.left_processes():
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.02)
    require_old_or_whole(run.laboratory, target, were)
    require_next_restore(run.laboratory, target, run.pivori)


@pytest.mark.parametrize("sight", ["worker", "unfinished file", "small file"])
def test_a_killed_worker_is_said(start: Start, sight: str) -> None:
    run, target = start("nothing")
    run.wait_until(lambda: run.workers() and SIGHTS[sight](run, target))
    os.kill(run.workers()[0], signal.SIGKILL)
    status, said = run.finish()
    assert (status, "worker process" in said) == (1, True), said
    assert unfinished(target) == []
    require_old_or_whole(run.laboratory, target, {})
    require_next_restore(run.laboratory, target, run.pivori)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("before", BEFORE)
def test_a_full_disk(
    small_disk: Path,
    tmp_path: Path,
    workers: int,
    before: str,
    program: Callable[[str], Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    laboratory = Laboratory.make(tmp_path / "laboratory")
    target = small_disk / "target"
    make_before(laboratory, target, before)
    (laboratory.source / "a large one").write_bytes(os.urandom(20 << 20))
    (laboratory.source / "zz").mkdir()
    for number in range(40):
        (laboratory.source / "zz" / str(number)).write_bytes(os.urandom(200_000))
    laboratory.backup()
    if before != "nothing":
        (target / "a large one").write_bytes(b"before" * 100_000)
    were = files_of(target)
    capfd.readouterr()
    assert laboratory.run(*restoring(laboratory, target), workers=workers) == INCOMPLETE
    said = capfd.readouterr().err
    assert "No space left" in said
    assert said.count("a large one was not restored") == 1
    assert unfinished(target) == []
    require_old_or_whole(laboratory, target, were)
    subprocess.run([program("mount"), "-o", "remount,size=80m", small_disk], check=True)
    require_next_restore(laboratory, target)


def test_a_full_disk_spares_a_small_file(small_disk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    laboratory = Laboratory.make(tmp_path / "laboratory")
    laboratory.backup()
    target = small_disk / "target"
    make_before(laboratory, target, "other content")
    were = files_of(target)
    with (small_disk / "filler").open("wb") as filler:
        free = os.statvfs(small_disk)
        filler.write(bytes(free.f_bavail * free.f_bsize))
    capfd.readouterr()
    assert laboratory.run(*restoring(laboratory, target)) == INCOMPLETE
    assert "No space left" in capfd.readouterr().err
    found = files_of(target)
    assert unfinished(target) == []
    require_old_or_whole(laboratory, target, were)
    assert any(content == were[name] for name, content in found.items())
    (small_disk / "filler").unlink()
    require_next_restore(laboratory, target)
