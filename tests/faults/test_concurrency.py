"""Several at work on one repository: backups share it, prune does not, and restic and we respect each other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.faults.laboratory import Laboratory, picture_of
from tests.restic import Restic, environment

LOCKED = 11
PATIENCE = 60.0


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    """A repository with one snapshot."""
    laboratory = Laboratory.make(tmp_path / "laboratory")
    laboratory.backup()
    return laboratory


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A FIFO: whoever reads it waits until :func:`open_gate`; nobody waits for ever."""
    fifo = tmp_path / "gate"
    os.mkfifo(fifo)
    yield fifo
    open_gate(fifo)


def open_gate(fifo: Path) -> None:
    """Let whoever waits at the gate go on."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return  # nobody waits


def slow_command(fifo: Path) -> list[str]:
    """A program whose output is a line now and the end when the gate is opened."""
    code = f"import sys; sys.stdout.write('content'); sys.stdout.flush(); open({str(fifo)!r}).read()"
    return [sys.executable, "-I", "-c", code]


def wait_until(true: Callable[[], object], process: "subprocess.Popen[bytes]") -> None:
    """Wait for something to become true while a program runs."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start_restic(
    restic: Restic,
    laboratory: Laboratory,
    *arguments: str,
    before: Sequence[str | Path] = (),
    stdin: int = subprocess.DEVNULL,
) -> "subprocess.Popen[bytes]":
    """Restic, not waited for; ``before`` is what starts it."""
    places = {"RESTIC_REPOSITORY": str(laboratory.repository), "RESTIC_PASSWORD_FILE": str(laboratory.password_file)}
    return subprocess.Popen(
        [*before, restic.path, "--no-cache", *arguments],
        env=environment(laboratory.folder) | places,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@contextmanager
def backing_up(
    restic: Restic, laboratory: Laboratory, *, before: Sequence[str | Path] = ()
) -> "Iterator[subprocess.Popen[bytes]]":
    """Restic in the middle of a backup: of what comes on its standard input, which goes on until :func:`finish`."""
    process = start_restic(restic, laboratory, "backup", "--stdin", before=before, stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def refusal_of(restic: Restic) -> int:
    """What restic ends with when the repository is locked; it has a status of its own since 0.17."""
    return LOCKED if restic.version >= (0, 17) else 1


def finish(process: "subprocess.Popen[bytes]", last_words: bytes | None = None) -> tuple[int, str]:
    """The exit status and all that was said, after ``last_words`` on the standard input."""
    output, errors = process.communicate(last_words, timeout=PATIENCE)
    return process.returncode, (output + errors).decode()


def test_two_backups_at_once(laboratory: Laboratory, pivori: Pivori, tmp_path: Path, newest_restic: Restic) -> None:
    sources = [tmp_path / f"source{number}" for number in range(2)]
    for number, source in enumerate(sources):
        # The same content in both and something of its own in each.
        for name in ("first", "second"):
            (source / name).mkdir(parents=True)
            (source / name / "same").write_bytes(b"same" * 500_000)
            (source / name / "own").write_bytes(bytes([number]) * 300_000 + os.urandom(100_000))
    runs = [pivori.start(*laboratory.arguments("backup", source)) for source in sources]
    for run in runs:
        status, said = finish(run)
        assert status == 0, said
    assert len(laboratory.snapshots()) == 3
    assert laboratory.locks() == []
    newest_restic.check(laboratory.repository, laboratory.password_file)
    for source in sources:
        mine = Laboratory(laboratory.folder, source)
        repository = mine.open()
        (loaded,) = [each for each in repository.snapshots() if each.snapshot.paths == [str(source)]]
        assert mine.restored(repository, loaded) == picture_of(source)


def test_a_backup_during_a_backup_of_restic(
    laboratory: Laboratory, gate: Path, pivori: Pivori, newest_restic: Restic
) -> None:
    other = start_restic(newest_restic, laboratory, "backup", "--stdin-from-command", "--", *slow_command(gate))
    wait_until(laboratory.locks, other)
    pivori(*laboratory.arguments("backup", laboratory.source))
    open_gate_for(gate, other)
    status, said = finish(other)
    assert status == 0, said
    assert len(laboratory.snapshots()) == 3
    newest_restic.check(laboratory.repository, laboratory.password_file)


def open_gate_for(fifo: Path, process: "subprocess.Popen[bytes]") -> None:
    """Open the gate as soon as somebody stands there."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return


EXCLUSIVE = [["prune"], ["forget", "--keep-last", "1"], ["repair", "index"]]


@pytest.mark.parametrize("arguments", EXCLUSIVE, ids=" ".join)
def test_ours_during_our_backup(laboratory: Laboratory, gate: Path, pivori: Pivori, arguments: list[str]) -> None:
    backup = pivori.start(*laboratory.arguments("backup", "--stdin-from-command", "file", "--", *slow_command(gate)))
    wait_until(laboratory.locks, backup)
    before = laboratory.objects()
    refusal = pivori(*laboratory.arguments(*arguments), expect=LOCKED)
    assert str(backup.pid) in refusal.stderr
    assert laboratory.objects() >= before
    open_gate_for(gate, backup)
    assert finish(backup)[0] == 0
    pivori(*laboratory.arguments(*arguments))


@pytest.mark.parametrize("arguments", EXCLUSIVE, ids=" ".join)
def test_ours_during_a_backup_of_restic(
    laboratory: Laboratory, pivori: Pivori, restic: Restic, arguments: list[str]
) -> None:
    with backing_up(restic, laboratory) as backup:
        wait_until(lambda: held_locks(laboratory), backup)
        refusal = pivori(*laboratory.arguments(*arguments), expect=LOCKED)
        assert str(backup.pid) in refusal.stderr
        status, said = finish(backup, b"the end")
    assert status == 0, said
    pivori(*laboratory.arguments(*arguments))
    restic.check(laboratory.repository, laboratory.password_file)


@pytest.mark.parametrize("arguments", [["prune"], ["forget", "--keep-last", "1", "--prune"]], ids=" ".join)
def test_restic_during_our_backup(
    laboratory: Laboratory, gate: Path, pivori: Pivori, restic: Restic, arguments: list[str]
) -> None:
    backup = pivori.start(*laboratory.arguments("backup", "--stdin-from-command", "file", "--", *slow_command(gate)))
    wait_until(laboratory.locks, backup)
    # Whatever restic does to find out whether the lock is still held, the backup goes on.
    restic.run(laboratory.repository, laboratory.password_file, "unlock")
    refused = restic.run(laboratory.repository, laboratory.password_file, *arguments, check=False)
    assert refused.returncode == refusal_of(restic), refused.stderr
    assert "already locked" in refused.stderr
    open_gate_for(gate, backup)
    status, said = finish(backup)
    assert status == 0, said
    restic.run(laboratory.repository, laboratory.password_file, *arguments)
    restic.check(laboratory.repository, laboratory.password_file)


# --- in a container that has the name of its host, but counts its processes by itself ---


FIRST_NUMBER_INSIDE = 30_000


@pytest.fixture
def container(program: Callable[[str], Path]) -> list[str | Path]:
    """What starts a program in a namespace of processes of its own, where its number is one that nobody has outside."""
    number = next(n for n in range(FIRST_NUMBER_INSIDE, 2 * FIRST_NUMBER_INSIDE) if not Path(f"/proc/{n}").exists())
    script = 'echo "$0" > /proc/sys/kernel/ns_last_pid || exit 99; "$@"; exit $?'
    unshare = [program("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child"]
    return [*unshare, "sh", "-c", script, str(number - 1)]


def held_locks(laboratory: Laboratory) -> list[str]:
    """The locks, without what restic is writing."""
    return [name for name in laboratory.locks() if len(name) == 64]


@pytest.mark.root
@pytest.mark.parametrize("arguments", [*EXCLUSIVE, ["forget", "--keep-last", "1", "--prune"]], ids=" ".join)
def test_ours_during_our_backup_in_a_container(
    laboratory: Laboratory,
    gate: Path,
    pivori: Pivori,
    container: list[str | Path],
    arguments: list[str],
    newest_restic: Restic,
) -> None:
    inside = replace(pivori, command=(*map(str, container), *pivori.command))
    backup = inside.start(*laboratory.arguments("backup", "--stdin-from-command", "file", "--", *slow_command(gate)))
    wait_until(laboratory.locks, backup)
    held = laboratory.locks()
    before = laboratory.objects()
    pivori(*laboratory.arguments(*arguments), expect=LOCKED)
    # `unlock` asks for what is abandoned; of this one our own note says that nobody here can know.
    pivori(*laboratory.arguments("unlock"))
    # The same from a HOME without notes, as the container's own would be.
    stranger = replace(pivori, home=laboratory.folder)
    refusal = stranger(*laboratory.arguments(*arguments), expect=LOCKED)
    assert "may run in a container" in refusal.stderr
    assert laboratory.locks() == held
    assert laboratory.objects() >= before
    open_gate_for(gate, backup)
    status, said = finish(backup)
    assert status == 0, said
    pivori(*laboratory.arguments(*arguments))
    newest_restic.check(laboratory.repository, laboratory.password_file)


@pytest.mark.root
@pytest.mark.parametrize("arguments", [["prune"], ["forget", "--keep-last", "1", "--prune"]], ids=" ".join)
def test_ours_during_a_backup_of_restic_in_a_container(
    laboratory: Laboratory, pivori: Pivori, container: list[str | Path], restic: Restic, arguments: list[str]
) -> None:
    with backing_up(restic, laboratory, before=container) as backup:
        wait_until(lambda: held_locks(laboratory), backup)
        held = held_locks(laboratory)
        refusal = pivori(*laboratory.arguments(*arguments), expect=LOCKED)
        assert "may run in a container" in refusal.stderr
        # In another container the same number is our own.
        beside = replace(pivori, command=(*map(str, container), *pivori.command))
        refusal = beside(*laboratory.arguments(*arguments), expect=LOCKED)
        assert "may run in a container" in refusal.stderr
        assert held_locks(laboratory) == held
        status, said = finish(backup, b"the end")
    assert status == 0, said
    pivori(*laboratory.arguments(*arguments))
    restic.check(laboratory.repository, laboratory.password_file)


@pytest.mark.root
def test_a_backup_killed_in_a_container_is_not_known_to_be_dead_outside(
    laboratory: Laboratory, gate: Path, pivori: Pivori, container: list[str | Path]
) -> None:
    inside = replace(pivori, command=(*map(str, container), *pivori.command))
    backup = inside.start(*laboratory.arguments("backup", "--stdin-from-command", "file", "--", *slow_command(gate)))
    wait_until(laboratory.locks, backup)
    os.killpg(backup.pid, signal.SIGKILL)
    finish(backup)
    assert len(laboratory.locks()) == 1
    pivori(*laboratory.arguments("prune"), expect=LOCKED)
    # Shared locks live together: backups go on meanwhile.
    pivori(*laboratory.arguments("backup", laboratory.source))


def test_our_backup_during_our_prune_is_refused(laboratory: Laboratory, pivori: Pivori) -> None:
    """An exclusive lock of a living process: this one's, as a prune of another terminal would hold it."""
    from pivori.clock import SystemClock
    from pivori.host import ProcessIdentity, is_alive
    from pivori.repository.locks import Holder, Witness, acquire

    identity = ProcessIdentity.current()
    lock = acquire(
        laboratory.open().objects,
        witness=Witness(holder=Holder(identity.hostname, identity.username, identity.pid), process_alive=is_alive),
        exclusive=True,
        clock=SystemClock(),
        emit=lambda _event: None,
    )
    with lock:
        before = laboratory.objects()
        pivori(*laboratory.arguments("backup", laboratory.source), expect=LOCKED)
        assert laboratory.objects() == before
    pivori(*laboratory.arguments("backup", laboratory.source))
