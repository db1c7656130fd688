"""Our locks and restic's keep each other away, in both directions."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pivori.clock import SystemClock
from pivori.repository.lock_conflicts import HolderUnseen
from pivori.repository.lock_files import Holder, list_locks
from pivori.repository.locks import Lock, RepositoryLocked, StaleLockRemoved, Witness, acquire
from pivori.repository.repository import Repository
from pivori.storage import Kind, LocalStorage
from tests.restic import Restic, environment


class LaterClock(SystemClock):
    """The machine's clock, some seconds ahead."""

    ahead = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead * 10**9


class Shared:
    """One repository, made by restic, and both programs on it."""

    def __init__(self, folder: Path, restic: Restic) -> None:
        self.path, self.restic = folder / "repository", restic
        self.password_file = folder / "password"
        self.password_file.write_text("secret")
        self.source = folder / "source"
        self.source.mkdir()
        (self.source / "file").write_text("content")
        restic.run(self.path, self.password_file, "init")
        self.repository = Repository.open(LocalStorage(self.path), "secret")
        self.told: list[object] = []
        self.clock = LaterClock()

    def acquire(self, *, exclusive: bool, confirm_later: bool = False) -> Lock:
        return acquire(
            self.repository.objects,
            witness=self.witness,
            exclusive=exclusive,
            clock=self.clock,
            emit=self.told.append,
            confirm_later=confirm_later,
        )

    @property
    def witness(self) -> Witness:
        holder = Holder(socket.gethostname(), "ann", os.getpid(), os.getuid(), os.getgid())
        return Witness(holder=holder, process_alive=is_alive)

    def status(self, *arguments: str | Path) -> int:
        return self.restic.run(self.path, self.password_file, *arguments, check=False).returncode

    @property
    def refused(self) -> int:
        """What restic ends with when the repository is locked; it has a status of its own since 0.17."""
        return 11 if self.restic.version >= (0, 17) else 1

    @property
    def locks(self) -> list[str]:
        return [item.name for item in self.repository.storage.list(Kind.LOCK)]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def shared(tmp_path: Path, restic: Restic) -> Iterator[Shared]:
    # `restic unlock` asks whether the process of a lock lives by sending it SIGHUP.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield Shared(tmp_path, restic)
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def working_restic(shared: Shared) -> Iterator[subprocess.Popen[bytes]]:
    """A restic in the middle of a backup: it waits for more input and holds a shared lock."""
    process = subprocess.Popen(
        [shared.restic.path, "--no-cache", "-r", shared.path, "-p", shared.password_file, "backup", "--stdin"],
        env=environment(shared.path.parent),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process:
        wait_until(lambda: any(info.record for info in list_locks(shared.repository.objects)))
        yield process
        process.kill()


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(2000):
        if happened():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def test_our_exclusive_lock_keeps_restic_out(shared: Shared) -> None:
    with shared.acquire(exclusive=True):
        assert shared.status("backup", shared.source) == shared.refused
        assert shared.status("prune") == shared.refused
    assert shared.status("backup", shared.source) == 0
    assert shared.locks == []


@pytest.mark.parametrize("confirm_later", [False, True])
def test_our_shared_lock_lets_restic_back_up_but_not_prune(shared: Shared, confirm_later: bool) -> None:
    with shared.acquire(exclusive=False, confirm_later=confirm_later) as lock:
        assert shared.status("backup", shared.source) == 0
        assert shared.status("prune") == shared.refused
        lock.confirm()
        assert shared.status("unlock") == 0
        lock.confirm()
    assert shared.status("prune") == 0


def test_the_lock_of_restic_is_respected(shared: Shared, working_restic: subprocess.Popen[bytes]) -> None:
    with shared.acquire(exclusive=False) as lock:
        assert len(shared.locks) == 2
        lock.check()
    with pytest.raises(RepositoryLocked) as caught:
        shared.acquire(exclusive=True)
    assert f"process {working_restic.pid}" in str(caught.value)
    assert socket.gethostname() in str(caught.value)
    working_restic.communicate(b"the end")
    assert working_restic.returncode == 0
    shared.acquire(exclusive=True).release()


def test_the_lock_of_a_killed_restic_is_removed_when_nobody_renewed_it(
    shared: Shared, working_restic: subprocess.Popen[bytes]
) -> None:
    working_restic.kill()
    working_restic.wait()
    [info] = list_locks(shared.repository.objects)
    assert info.record is not None
    # It could be at work in a container of this host's name: a living restic renews its lock after five minutes.
    with pytest.raises(HolderUnseen) as caught:
        shared.acquire(exclusive=True)
    assert f"process {working_restic.pid}" in str(caught.value)
    assert shared.locks == [info.name]
    shared.clock.ahead = 601
    with shared.acquire(exclusive=True) as lock:
        assert shared.locks == [lock.name]
    [event] = shared.told
    assert isinstance(event, StaleLockRemoved)
    assert (event.pid, event.exclusive) == (working_restic.pid, False)


def test_restic_removes_a_lock_that_a_dead_process_of_ours_left(shared: Shared) -> None:
    lock = shared.acquire(exclusive=True)
    [info] = list_locks(shared.repository.objects)
    assert info.record is not None
    content = shared.repository.objects.load_unpacked(Kind.LOCK, info.name)
    gone = subprocess.Popen(["true"])
    gone.wait()
    lock.release()
    left = content.replace(f'"pid":{os.getpid()}'.encode(), f'"pid":{gone.pid}'.encode())
    shared.repository.objects.save_unpacked(Kind.LOCK, left)
    [info] = list_locks(shared.repository.objects)
    assert info.record is not None
    assert shared.witness.is_stale(info.record, shared.clock.now_ns())
    assert shared.status("prune") == shared.refused
    assert shared.status("unlock") == 0
    assert shared.locks == []
