"""How the local storage lays out, lists and shares its objects."""

import multiprocessing
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from pivori.storage import (
    Item,
    Kind,
    LocalStorage,
    NotFound,
    StorageError,
)
from pivori.testing.storage_contract import NAMED_KINDS, name_of, put_content
from tests.unit.storage.failing import run_program, temporary_files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_objects_lie_where_restic_looks_for_them(storage: LocalStorage, repository: Path) -> None:
    name = name_of(b"content")
    for kind in NAMED_KINDS:
        put_content(storage, kind, b"content")
    storage.put(Kind.CONFIG, "config", [b"config"])
    storage.sync()
    files = {str(file.relative_to(repository)) for file in repository.rglob("*") if file.is_file()}
    assert files == {
        "config",
        f"keys/{name}",
        f"locks/{name}",
        f"snapshots/{name}",
        f"index/{name}",
        f"data/{name[:2]}/{name}",
    }


def test_everything_is_private_whatever_the_umask(repository: Path) -> None:
    before = os.umask(0)
    try:
        storage = LocalStorage(repository)
        storage.create()
        put_content(storage, Kind.PACK, b"content")
        put_content(storage, Kind.KEY, b"content")
        storage.put(Kind.CONFIG, "config", [b"config"])
        storage.close()
    finally:
        os.umask(before)
    made = [repository.parent, repository, *repository.rglob("*")]
    assert {mode(path) for path in made if path.is_dir()} == {0o700}
    assert {mode(path) for path in made if path.is_file()} == {0o600}


def test_the_modes_of_what_is_there_are_left_alone(repository: Path) -> None:
    repository.mkdir(parents=True)
    repository.chmod(0o2750)
    LocalStorage(repository).create()
    assert mode(repository) == 0o2750


def test_read_only_files_of_restic_can_be_read_and_deleted(storage: LocalStorage, repository: Path) -> None:
    name = put_content(storage, Kind.INDEX, b"content")
    (repository / "index" / name).chmod(0o400)
    assert storage.get(Kind.INDEX, name) == b"content"
    storage.delete(Kind.INDEX, name)


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = LocalStorage(Path("repository"))
    monkeypatch.chdir("/")
    assert storage.path == tmp_path / "repository"
    assert storage.location == str(tmp_path / "repository")


def test_folders_a_repository_lacks_are_made(storage: LocalStorage, repository: Path) -> None:
    storage.put(Kind.CONFIG, "config", [b"config"])
    for folder in ("tmp", "data", "locks", "index"):
        (repository / folder).rmdir()
    assert list(storage.list(Kind.PACK)) == list(storage.list(Kind.LOCK)) == []
    assert storage.remove_leftovers() == 0
    for kind in (Kind.PACK, Kind.LOCK, Kind.INDEX):
        assert storage.get(kind, put_content(storage, kind, b"content")) == b"content"


def test_nothing_is_made_in_an_empty_mount_point(repository: Path) -> None:
    repository.mkdir(parents=True)
    storage = LocalStorage(repository)
    for kind in (Kind.PACK, Kind.LOCK, Kind.SNAPSHOT):
        with pytest.raises(NotFound):
            put_content(storage, kind, b"content")
    assert list(repository.iterdir()) == []


def test_listing_leaves_out_what_is_no_object(storage: LocalStorage, repository: Path) -> None:
    name = put_content(storage, Kind.PACK, b"content")
    storage.sync()
    other = name_of(b"other")
    assert other[:2] != name[:2]
    folder = repository / "data" / name[:2]
    for junk in (f"{name}-tmp-1234", name[:63], name.upper(), "README", ".nfs0001"):
        (folder / junk).write_bytes(b"junk")
    (folder / (name[:2] + "a" * 62)).mkdir()
    (folder / (name[:2] + "b" * 62)).symlink_to(folder / name)
    os.mkfifo(folder / (name[:2] + "c" * 62))
    (folder / other).write_bytes(b"in the wrong folder")
    (repository / "data" / other).write_bytes(b"too high")
    for stray in ("lost+found", "0", "000", "GG"):
        (repository / "data" / stray).mkdir()
        (repository / "data" / stray / other).write_bytes(b"junk")
    assert list(storage.list(Kind.PACK)) == [Item(name, 7)]
    (repository / "keys" / other).symlink_to("/etc/passwd")
    assert list(storage.list(Kind.KEY)) == []


@pytest.mark.parametrize("make", ["fifo", "folder", "link"])
def test_what_is_no_regular_file_is_not_read(storage: LocalStorage, repository: Path, make: str) -> None:
    file = repository / "keys" / ("a" * 64)
    if make == "fifo":
        os.mkfifo(file)
    elif make == "folder":
        file.mkdir()
    else:
        file.symlink_to("/etc/passwd")
    with pytest.raises(StorageError) as failed:
        storage.get(Kind.KEY, "a" * 64)
    assert type(failed.value) is StorageError


def test_memory_of_outstanding_packs_is_bounded(
    storage: LocalStorage, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        gate.wait()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    finished = threading.Event()

    def put_many() -> None:
        for number in range(10):
            put_content(storage, Kind.PACK, b"%d" % number)
        finished.set()

    thread = threading.Thread(target=put_many)
    thread.start()
    try:
        # Two are on their way and the third, written but not accepted, holds its caller back.
        assert not finished.wait(0.3)
        assert len(temporary_files(repository)) <= 3
    finally:
        gate.set()
        thread.join()
    assert len(list(storage.list(Kind.PACK))) == 10


def test_the_end_of_the_interpreter_waits_for_packs(repository: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pivori.storage import *\n"
        "storage = LocalStorage(Path(sys.argv[1])); storage.create()\n"
        "for number in range(5): storage.put(Kind.PACK, f'{number:064x}', [bytes(2**20)])\n"
    )
    run_program(program, repository)
    assert len(list(LocalStorage(repository).list(Kind.PACK))) == 5
    assert temporary_files(repository) == []


def _put_config(path: Path, barrier: object, content: bytes) -> None:
    barrier.wait()
    try:
        LocalStorage(path).put(Kind.CONFIG, "config", [content])
    except StorageError:
        sys.exit(7)


def test_of_two_processes_one_puts_the_config(storage: LocalStorage, repository: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    workers = [context.Process(target=_put_config, args=(repository, barrier, content)) for content in (b"a", b"b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(worker.exitcode or 0 for worker in workers) == [0, 7]
    assert storage.get(Kind.CONFIG, "config") == (b"a" if workers[0].exitcode == 0 else b"b")
