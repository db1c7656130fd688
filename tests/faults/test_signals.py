"""Signals at any moment of a real run: what is stored is whole, no lock or process is left, the next run works."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.faults.laboratory import Laboratory
from tests.restic import Restic

INTERRUPTED = 130
MOMENTS = 6
PATIENCE = 60.0
"""Seconds after which something that should have happened long ago is given up."""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """An empty repository, and enough to read that worker processes are started for it."""
    laboratory = Laboratory.make(tmp_path_factory.mktemp("laboratory"))
    chance = random.Random(7)
    for number in range(450):
        file = laboratory.source / f"many{number % 9}" / str(number)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(chance.randbytes(3000))
    for number in range(2):
        (laboratory.source / f"huge{number}").write_bytes(chance.randbytes(12 << 20))
    return laboratory


@dataclass
class Run:
    """A backup by the real program, in a session of its own."""

    laboratory: Laboratory
    process: subprocess.Popen[bytes]
    pivori: Pivori

    def wait_until(self, true: Callable[[], object]) -> None:
        """Wait for something to become true, or for the end of the program."""
        deadline = time.monotonic() + PATIENCE
        while not true() and self.process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def handles_signals(self) -> bool:
        """Whether the program has got as far as to handle signals: before, there is nothing to clean up."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return False
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        # Not SIGTERM: the measuring of coverage handles that one from the start.
        return bool(int(caught, 16) >> (signal.SIGHUP - 1) & 1)

    def workers(self) -> list[int]:
        """The worker processes."""
        return [pid for pid in self.left_processes() if b"pivori.host.worker" in command_line(pid)]

    def left_processes(self) -> list[int]:
        """The processes of the session that still run, the program among them."""
        return [pid for pid in processes() if session_of(pid) == self.process.pid]

    def processes_that_stay(self) -> list[int]:
        """Those that are still there after a while: a worker that was just being started finds its parent gone."""
        deadline = time.monotonic() + PATIENCE
        while (left := self.left_processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def finish(self) -> tuple[int, str]:
        """The exit status and what was said on standard error."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors.decode()


def processes() -> Iterator[int]:
    """Every process of the machine."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def session_of(pid: int) -> int:
    """The session of a process; 0 when it is gone or waits to be taken notice of."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[3])


def command_line(pid: int) -> bytes:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def start(pristine: Laboratory, pivori: Pivori, tmp_path: Path) -> Iterator[Callable[[], Run]]:
    """Starts a backup into a fresh copy of the repository; nothing survives the test."""
    runs: list[Run] = []

    def start_one() -> Run:
        laboratory = pristine.copy(tmp_path / f"copy{len(runs)}")
        run = Run(laboratory, pivori.start(*laboratory.arguments("backup", laboratory.source)), pivori)
        runs.append(run)
        return run

    yield start_one
    for run in runs:
        for pid in run.left_processes():
            os.kill(pid, signal.SIGKILL)
        run.process.communicate()
        shutil.rmtree(run.laboratory.folder)


@pytest.fixture(scope="module")
def duration(pristine: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> float:
    """About how long a backup takes, in seconds, to spread the moments over it."""
    home = tmp_path_factory.mktemp("home")
    laboratory = pristine.copy(home / "copy")
    began = time.monotonic()
    Pivori(home)(*laboratory.arguments("backup", laboratory.source))
    return time.monotonic() - began


def moments(seed: int, duration: float) -> list[float]:
    """Delays in seconds, spread over the whole run."""
    chance = random.Random(seed)
    return [duration * (part + chance.random()) / MOMENTS for part in range(MOMENTS)]


def require_clean_end(run: Run, status: int, said: str, restic: Restic) -> None:
    """What is true after an orderly interruption, or after an end that came before it."""
    finished = len(run.laboratory.snapshots()) == 1
    assert status in ((0, INTERRUPTED) if finished else (INTERRUPTED,)), said
    assert run.processes_that_stay() == []
    assert run.laboratory.locks() == []
    require_next_run(run, restic)


def require_next_run(run: Run, restic: Restic) -> None:
    """Nothing torn lies there, and the next run needs nobody's help."""
    laboratory = run.laboratory
    laboratory.require_whole_objects()
    # By the same user of the same machine: what is noted there proves that a lock is a dead process's.
    run.pivori(*laboratory.arguments("backup", laboratory.source))
    assert laboratory.locks() == []
    restic.check(laboratory.repository, laboratory.password_file)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("part", range(MOMENTS))
def test_interrupted_at_any_moment(
    start: Callable[[], Run], duration: float, number: signal.Signals, part: int, newest_restic: Restic
) -> None:
    run = start()
    run.wait_until(run.handles_signals)
    time.sleep(moments(number, duration)[part])
    run.process.send_signal(number)
    require_clean_end(run, *run.finish(), newest_restic)


SIGHTS: dict[str, Callable[[Run], object]] = {
    "lock": lambda run: run.laboratory.locks(),
    "worker": lambda run: run.workers(),
    "unfinished file": lambda run: list((run.laboratory.repository / "tmp").iterdir()),
    "pack": lambda run: list((run.laboratory.repository / "data").rglob("*/*")),
    "index": lambda run: list((run.laboratory.repository / "index").iterdir()),
    "snapshot": lambda run: run.laboratory.snapshots(),
}


@pytest.mark.parametrize("sight", SIGHTS)
def test_interrupted_when_something_appears(start: Callable[[], Run], sight: str, newest_restic: Restic) -> None:
    run = start()
    run.wait_until(lambda: SIGHTS[sight](run))
    # As a service manager does it: every process of the service, the workers too.
    os.killpg(run.process.pid, signal.SIGTERM)
    require_clean_end(run, *run.finish(), newest_restic)


@pytest.mark.parametrize("sight", SIGHTS)
def test_killed_when_something_appears(start: Callable[[], Run], sight: str, newest_restic: Restic) -> None:
    run = start()
    run.wait_until(lambda: SIGHTS[sight](run))
    run.process.kill()
    run.finish()
    deadline = time.monotonic() + PATIENCE
    while run.left_processes():
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.02)
    require_next_run(run, newest_restic)


def test_after_a_kill_the_next_exclusive_command_needs_no_help(start: Callable[[], Run]) -> None:
    run = start()
    run.wait_until(run.laboratory.locks)
    run.process.kill()
    run.finish()
    assert len(run.laboratory.locks()) == 1
    pruned = run.pivori(*run.laboratory.arguments("prune"))
    assert f"Removed the lock of process {run.process.pid}" in pruned.stderr
    assert run.laboratory.locks() == []


def test_without_a_place_for_notes_a_killed_run_is_waited_for(start: Callable[[], Run], tmp_path: Path) -> None:
    """A home that cannot be written to: the lock of the dead is then a stranger's, and said to be."""
    run = start()
    run.wait_until(run.laboratory.locks)
    run.process.kill()
    run.finish()
    homeless = {"XDG_STATE_HOME": "/dev/null/nowhere"}
    refused = run.pivori(*run.laboratory.arguments("prune"), expect=11, **homeless)
    assert "`pivori unlock`" in refused.stderr
    run.pivori(*run.laboratory.arguments("backup", run.laboratory.source), **homeless)
    run.pivori(*run.laboratory.arguments("unlock"), **homeless)
    run.pivori(*run.laboratory.arguments("prune"), **homeless)


@pytest.mark.parametrize("sight", ["worker", "unfinished file", "pack"])
def test_a_killed_worker_is_said(start: Callable[[], Run], sight: str, newest_restic: Restic) -> None:
    run = start()
    run.wait_until(lambda: run.workers() and SIGHTS[sight](run))
    os.kill(run.workers()[0], signal.SIGKILL)
    status, said = run.finish()
    assert status == 1
    assert "worker process" in said
    assert "Traceback" not in said
    assert run.processes_that_stay() == []
    assert run.laboratory.locks() == []
    require_next_run(run, newest_restic)


def test_a_probe_by_hangup_changes_nothing(start: Callable[[], Run], newest_restic: Restic) -> None:
    """``restic unlock`` sends SIGHUP to learn whether a lock's process is alive; a closed terminal sends it too."""
    run = start()
    run.wait_until(run.handles_signals)
    while run.process.poll() is None:
        os.killpg(run.process.pid, signal.SIGHUP)
        time.sleep(0.05)
    status, said = run.finish()
    assert (status, said) == (0, "")
    assert len(run.laboratory.snapshots()) == 1
    newest_restic.check(run.laboratory.repository, run.laboratory.password_file)


def test_restic_unlock_leaves_a_running_backup_its_lock(start: Callable[[], Run], newest_restic: Restic) -> None:
    run = start()
    laboratory = run.laboratory
    run.wait_until(laboratory.locks)
    held = laboratory.locks()
    run.process.send_signal(signal.SIGSTOP)
    try:
        newest_restic.run(laboratory.repository, laboratory.password_file, "unlock")
        assert held
        assert laboratory.locks() == held
    finally:
        run.process.send_signal(signal.SIGCONT)
    assert run.finish() == (0, "")
