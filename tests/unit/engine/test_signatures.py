"""What directories looked like: when that is kept, and what it covers."""

import os
from pathlib import Path

import pytest

from pivori.clock import SystemClock
from pivori.engine.backup import Backup, BackupRequest
from pivori.engine.backup.previous import TICK_NS
from pivori.engine.backup.signatures import Signatures
from pivori.host import ProcessIdentity, read_directory
from pivori.repository import Repository, format_time
from pivori.storage import MemoryStorage

HOUR_NS = 3600 * 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    (folder / "link").symlink_to("file")
    return folder


def digest(folder: Path) -> bytes:
    signature = Signatures(Path("unused")).sign(read_directory(os.fsencode(folder)), 0, folder.lstat())
    assert signature is not None
    return signature.digest


def is_settled(folder: Path, file_time_ns: int) -> bool:
    signature = Signatures(Path("unused")).sign(read_directory(os.fsencode(folder)), file_time_ns, folder.lstat())
    assert signature is not None
    return signature.is_settled


def test_a_directory_is_settled_when_no_change_can_have_the_time_of_the_last_one(folder: Path) -> None:
    newest = max((folder / name).lstat().st_ctime_ns for name in ("file", "link"))
    assert not is_settled(folder, newest)
    assert not is_settled(folder, newest + TICK_NS)
    # Whole seconds could be those of a file system that knows no fractions.
    assert is_settled(folder, newest + 3_000_000_000)


@pytest.mark.parametrize("change", ["content", "mode", "link", "rename", "new", "gone", "replaced"])
def test_every_change_is_in_the_digest(folder: Path, change: str) -> None:
    before = digest(folder)
    file = folder / "file"
    if change == "content":
        times = file.stat()
        file.write_bytes(b"CONTENT")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "mode":
        file.chmod(0o600 ^ file.stat().st_mode & 0o777)
    elif change == "link":
        os.link(file, folder.parent / "other name")
    elif change == "rename":
        file.rename(folder / "file2")
    elif change == "new":
        (folder / "new").touch()
    elif change == "gone":
        (folder / "link").unlink()
    else:
        (folder / "fresh").write_bytes(b"content")
        (folder / "fresh").rename(file)
    assert digest(folder) != before


class StuckTick(SystemClock):
    """A machine that does not get to its timer: files get the time of the last tick, long past."""

    def __init__(self, tick_ns: int) -> None:
        self.tick_ns = tick_ns

    def file_time_ns(self) -> int:
        return self.tick_ns


def remembered(folder: Path, cache: Path, clock: SystemClock) -> set[bytes]:
    """Back a folder up; the directories that are kept for the next run."""
    repository = Repository.create(
        MemoryStorage(), "x", username="u", hostname="h", created=format_time(clock.now_ns())
    )
    request = BackupRequest(
        sources=[os.fsencode(folder)],
        identity=ProcessIdentity.current(),
        host="h",
        time_ns=clock.now_ns(),
        cache_directory=cache,
    )
    backup = Backup(repository, request, clock=clock, emit=lambda _event: None)
    outcome = backup.run()
    kept = Signatures(Signatures.file_for(cache, "h", request.sources))
    kept.load(outcome.snapshot_id or "", repository.index.sources)
    assert kept.is_trusted
    return {path for path in [os.fsencode(folder)] if kept.known(path) is not None}


def test_while_the_clock_of_files_is_late_nothing_is_settled(folder: Path, tmp_path: Path) -> None:
    changed = (folder / "file").lstat().st_ctime_ns
    assert remembered(folder, tmp_path / "late", StuckTick(changed)) == set()
    assert remembered(folder, tmp_path / "usual", StuckTick(changed + HOUR_NS)) == {os.fsencode(folder)}


def test_the_clock_of_files_is_never_ahead_of_what_files_get(tmp_path: Path) -> None:
    clock = SystemClock()
    for number in range(200):
        earliest = clock.file_time_ns()
        (tmp_path / str(number)).touch()
        assert (tmp_path / str(number)).lstat().st_ctime_ns >= earliest
        assert earliest <= clock.now_ns()
