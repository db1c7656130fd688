"""Files that change while they are read: the snapshot is sound, says what it lacks, and the next backup catches up."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.faults.conftest import Somebody
from tests.faults.laboratory import Laboratory, picture_of
from tests.restic import Restic

SEGMENT = 1 << 20


def append(path: Path) -> None:
    """Grow."""
    with path.open("ab") as file:
        file.write(b"more" * 500_000)


def rewrite(path: Path) -> None:
    """Other content of the same length, in place."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"x" * size)


def truncate(path: Path) -> None:
    """Shrink to a part."""
    os.truncate(path, path.stat().st_size // 3)


def empty(path: Path) -> None:
    """Shrink to nothing."""
    os.truncate(path, 0)


def swap(path: Path) -> None:
    """Another file takes its place, as an editor does it."""
    other = path.with_name("other")
    other.write_bytes(b"y" * 3_000_000)
    other.rename(path)


def vanish(path: Path) -> None:
    """Gone."""
    path.unlink()


def become_directory(path: Path) -> None:
    """A directory with something in it takes its place."""
    path.unlink()
    path.mkdir()
    (path / "inside").write_bytes(b"inside")


def become_link(path: Path) -> None:
    """A symbolic link takes its place."""
    path.unlink()
    path.symlink_to("/etc/hostname")


def become_fifo(path: Path) -> None:
    """A FIFO takes its place: whoever opened it for reading would wait for ever."""
    path.unlink()
    os.mkfifo(path)


EVENTS = [append, rewrite, truncate, empty, swap, vanish, become_directory, become_link, become_fifo]
FILES = ["small", "medium", "large"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A repository without snapshots, and a source of a few files."""
    laboratory = Laboratory.make(tmp_path_factory.mktemp("laboratory"))
    shutil.rmtree(laboratory.source)
    laboratory.source.mkdir()
    for name, size in (("aside", 3000), ("small", 5000), ("medium", 900_000), ("large", 2_600_000), ("zebra", 10)):
        (laboratory.source / name).write_bytes(os.urandom(size))
    return laboratory


@pytest.fixture
def laboratory(pristine: Laboratory, tmp_path: Path) -> Laboratory:
    """A copy of both, to do anything with."""
    copy = pristine.copy(tmp_path / "laboratory")
    shutil.copytree(pristine.source, tmp_path / "source")
    return Laboratory(copy.folder, tmp_path / "source")


class Watch:
    """Does something to a file the moment it is opened, or while it is read."""

    def __init__(self, path: Path, event: Callable[[Path], None], times: int) -> None:
        self.path = path
        self.event = event
        self.left = times

    def happen(self) -> None:
        """It is time."""
        if self.left:
            self.left -= 1
            self.event(self.path)

    def is_mine(self, descriptor: int) -> bool:
        """Whether a descriptor is of the watched file."""
        return os.readlink(f"/proc/self/fd/{descriptor}") == str(self.path)


@contextmanager
def before_opening(watch: Watch) -> Iterator[None]:
    """Between the listing of the directory and the opening of the file."""
    opened, name = os.open, os.fsencode(watch.path.name)

    def open_hook(path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == name or path == os.fsencode(watch.path):
            watch.happen()
        return opened(path, flags, mode, dir_fd=dir_fd)

    with patch("os.open", open_hook):
        yield


@contextmanager
def while_reading(watch: Watch) -> Iterator[None]:
    """After the file's size was asked for, before the first bytes come."""
    read, readv = os.read, os.readv

    def read_hook(descriptor: int, length: int) -> bytes:
        if watch.is_mine(descriptor):
            watch.happen()
        return read(descriptor, length)

    def readv_hook(descriptor: int, buffers: list[memoryview]) -> int:
        if watch.is_mine(descriptor):
            watch.happen()
        return readv(descriptor, buffers)

    with patch("os.read", read_hook), patch("os.readv", readv_hook):
        yield


@pytest.mark.parametrize("moment", [before_opening, while_reading], ids=lambda moment: moment.__name__)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_file_changes_once(
    laboratory: Laboratory,
    newest_restic: Restic,
    name: str,
    event: Callable[[Path], None],
    moment: Callable[[Watch], "contextmanager[None]"],
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = laboratory.source / name
    before = picture_of(laboratory.source)
    watch = Watch(path, event, times=1)
    with (
        moment(watch),
        patch("pivori.engine.backup.tree_capture.SEGMENT", SEGMENT),
        patch("pivori.engine.backup.reading.SEGMENT", SEGMENT),
    ):
        status = laboratory.run("backup", laboratory.source, "--json")
    assert watch.left == 0
    after = picture_of(laboratory.source)
    complaints = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert status == (3 if any(each.get("name") == "file-not-read" for each in complaints) else 0)

    repository = laboratory.open()
    (snapshot,) = repository.snapshots()
    stored = laboratory.restored(repository, snapshot)
    for other in set(before) - {name}:
        assert stored[other] == before[other]
    if name in stored:
        # What is stored is what it was or what it became; anything in between is said to be so, and never is a mixture
        # of two files.
        whole = stored[name][2] in (before[name][2], after.get(name, (0, 0, ""))[2])
        assert whole or (event is not swap and any(each.get("name") == "file-changed" for each in complaints))
    else:
        assert name not in after or status == 3
    laboratory.history[snapshot.id] = stored
    laboratory.require_sound(newest_restic)
    laboratory.require_next_backup()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("event", [append, rewrite, truncate, swap], ids=lambda event: event.__name__)
def test_a_file_never_stops_changing(
    laboratory: Laboratory,
    newest_restic: Restic,
    name: str,
    event: Callable[[Path], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    watch = Watch(laboratory.source / name, event, times=20)
    with (
        while_reading(watch),
        patch("pivori.engine.backup.tree_capture.SEGMENT", SEGMENT),
        patch("pivori.engine.backup.reading.SEGMENT", SEGMENT),
    ):
        status = laboratory.run("backup", laboratory.source, "--json")
    said = {json.loads(line)["name"] for line in capfd.readouterr().err.splitlines()}
    assert (status, said) in ((0, {"file-changed"}), (3, {"file-not-read", "incomplete"}), (0, set()))
    assert said or event is swap
    repository = laboratory.open()
    (snapshot,) = repository.snapshots()
    laboratory.history[snapshot.id] = laboratory.restored(repository, snapshot)
    laboratory.require_sound(newest_restic)
    laboratory.require_next_backup()


def test_a_directory_vanishes_before_it_is_listed(
    laboratory: Laboratory, newest_restic: Restic, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        inside = laboratory.source / "directory" / f"below{number}"
        inside.mkdir(parents=True)
        (inside / "file").write_bytes(b"content")
    listed, gone = os.scandir, os.fsencode(laboratory.source / "directory" / "below1")

    def scandir_hook(path: object) -> object:
        if path == gone:
            shutil.rmtree(gone)
        return listed(path)

    with patch("os.scandir", scandir_hook):
        status = laboratory.run("backup", laboratory.source, "--json")
    assert not Path(os.fsdecode(gone)).exists()
    assert status == 3
    (complaint, incomplete) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert complaint["name"] == "file-not-read"
    assert incomplete["name"] == "incomplete"
    repository = laboratory.open()
    (snapshot,) = repository.snapshots()
    stored = laboratory.restored(repository, snapshot)
    assert "directory/below0/file" in stored
    assert "directory/below2/file" in stored
    assert "directory/below1/file" not in stored
    laboratory.history[snapshot.id] = stored
    laboratory.require_sound(newest_restic)
    laboratory.require_next_backup()


def test_a_directory_vanishes_before_its_files_are_read(
    laboratory: Laboratory, newest_restic: Restic, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = laboratory.source / "directory"
    directory.mkdir()
    (directory / "file").write_bytes(b"content")
    opened = os.open

    def open_hook(path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == os.fsencode(directory) and directory.exists():
            shutil.rmtree(directory)
        return opened(path, flags, mode, dir_fd=dir_fd)

    with patch("os.open", open_hook):
        status = laboratory.run("backup", laboratory.source)
    assert not directory.exists()
    # As with a single file that is removed: what is no longer there is not missing in the snapshot.
    assert (status, capfd.readouterr().err) == (0, "")
    repository = laboratory.open()
    (snapshot,) = repository.snapshots()
    laboratory.history[snapshot.id] = laboratory.restored(repository, snapshot)
    assert "directory/file" not in laboratory.history[snapshot.id]
    laboratory.require_sound(newest_restic)
    laboratory.require_next_backup()


def test_unreadable_files_and_directories(somebody: Somebody, newest_restic: Restic) -> None:
    source = somebody.folder / "source"
    (source / "closed").mkdir(parents=True)
    (source / "closed" / "inside").write_bytes(b"inside")
    (source / "listed-only").mkdir()
    (source / "listed-only" / "inside").write_bytes(b"inside")
    (source / "secret").write_bytes(b"secret")
    (source / "readable").write_bytes(b"readable")
    somebody.own(source, *source.rglob("*"))
    (source / "closed").chmod(0)
    (source / "listed-only").chmod(0o400)
    (source / "secret").chmod(0)

    def listing() -> str:
        repository, key_file = somebody.repository, somebody.key_file
        newest_restic.run(repository, key_file, "check", "--read-data", "--no-lock")
        return newest_restic.run(repository, key_file, "ls", "latest", "--no-lock").stdout

    # What could not be read is said again each time, also when nothing has changed since.
    for _ in range(3):
        result = somebody.pivori("backup", source, "--json", expect=3)
        complaints = [json.loads(line) for line in result.stderr.splitlines()]
        unread = {os.path.relpath(each["path"], source) for each in complaints if each["name"] == "file-not-read"}
        assert unread == {"closed", "listed-only/inside", "secret"}
        assert json.loads(result.stdout.splitlines()[-1])["errors"] == 3
        assert str(source / "readable") in listing()
        assert str(source / "closed") in listing()
        assert str(source / "secret") not in listing()

    for path in (source / "closed", source / "listed-only"):
        path.chmod(0o700)
    (source / "secret").chmod(0o600)
    somebody.pivori("backup", source)
    assert str(source / "closed/inside") in listing()
    assert str(source / "listed-only/inside") in listing()
    assert str(source / "secret") in listing()


def test_a_source_below_a_directory_that_may_only_be_passed(somebody: Somebody, newest_restic: Restic) -> None:
    """``/home`` of mode 0711 holds homes of people who may not list it."""
    passage, source = somebody.folder / "passage", somebody.folder / "passage" / "source"
    source.mkdir(parents=True)
    (source / "file").write_bytes(b"content")
    somebody.own(source, source / "file")
    passage.chmod(0o111)
    try:
        somebody.pivori("backup", source)
    finally:
        passage.chmod(0o700)
    found = newest_restic.run(somebody.repository, somebody.key_file, "ls", "latest", "--no-lock").stdout
    assert str(source / "file") in found
