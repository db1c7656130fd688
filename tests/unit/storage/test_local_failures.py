"""What the local storage makes of the system's errors."""

import errno
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.storage import (
    AccessDenied,
    Item,
    Kind,
    LocalStorage,
    NoSpace,
    NotFound,
    StorageError,
    TemporaryStorageError,
    local_files,
)
from pivori.storage.system_errors import storage_error
from pivori.testing.storage_contract import name_of, put_content
from tests.conftest import small_file_system
from tests.unit.storage.failing import failing, run_program, temporary_files


def test_a_pack_that_cannot_be_flushed_is_never_forgotten(
    storage: LocalStorage, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO, 1, os.fsync))
    name = put_content(storage, Kind.PACK, b"content")
    with pytest.raises(StorageError, match="Input/output error"):
        storage.sync()
    # The system works again, but the first pack is lost: no index may be written that names it.
    for attempt in (
        storage.sync,
        lambda: put_content(storage, Kind.PACK, b"another"),
        lambda: put_content(storage, Kind.INDEX, b"index"),
    ):
        with pytest.raises(StorageError, match=f"data/{name}"):
            attempt()
    put_content(storage, Kind.LOCK, b"lock")
    assert temporary_files(repository) == []
    assert list(storage.list(Kind.PACK)) == []


def test_a_late_failure_is_never_retried(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ETIMEDOUT, 1, os.fsync))
    put_content(storage, Kind.PACK, b"content")
    with pytest.raises(StorageError, match="timed out") as failed:
        storage.sync()
    assert not failed.value.retryable


def test_a_folder_that_cannot_be_flushed_is_never_forgotten(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = put_content(storage, Kind.PACK, b"content")
    storage.size(Kind.PACK, name)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO, 1, os.fsync))
    for _attempt in range(2):
        with pytest.raises(StorageError, match="Input/output error"):
            storage.sync()


def test_closing_raises_what_nothing_raised_before(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    monkeypatch.setattr(local_files, "flush_folder", lambda _folder: None)
    first, second = LocalStorage(repository), LocalStorage(repository)
    first.create()
    for storage in (first, second):
        put_content(storage, Kind.PACK, b"content")
    with pytest.raises(StorageError):
        first.close()
    with pytest.raises(StorageError):
        second.sync()
    second.close()


def test_a_small_object_that_fails_leaves_nothing(
    storage: LocalStorage, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call, number in (
        ("fsync", errno.EIO),
        ("rename", errno.EIO),
        ("writev", errno.ENOSPC),
        ("writev", errno.EDQUOT),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing(number))
            with pytest.raises(NoSpace if call == "writev" else StorageError):
                put_content(storage, Kind.INDEX, b"content")
        assert temporary_files(repository) == []
        assert list(storage.list(Kind.INDEX)) == []
    put_content(storage, Kind.INDEX, b"content")


def test_short_writes_are_continued(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def writev(descriptor: int, buffers: list[memoryview]) -> int:
        sizes.append(len(buffers))
        return os.write(descriptor, b"".join(buffers)[:1501])

    monkeypatch.setattr(os, "writev", writev)
    content = hashlib.shake_128(b"short").digest(40_000)
    parts = [content[start : start + 7] for start in range(0, len(content), 7)]
    storage.put(Kind.INDEX, name_of(content), parts)
    assert storage.get(Kind.INDEX, name_of(content)) == content
    assert max(sizes) <= os.sysconf("SC_IOV_MAX") < len(parts)


def test_short_reads_are_continued(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    content = hashlib.shake_128(b"short").digest(40_000)
    name = put_content(storage, Kind.INDEX, content)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, length, offset: pread(descriptor, min(length, 999), offset))
    assert storage.get(Kind.INDEX, name) == content
    assert storage.get(Kind.INDEX, name, 5, 30_000) == content[5:30_005]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, NotFound),
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
        (errno.EACCES, AccessDenied),
        (errno.EPERM, AccessDenied),
        (errno.EROFS, AccessDenied),
        (errno.ETIMEDOUT, TemporaryStorageError),
        (errno.EIO, StorageError),
        (errno.ENOTDIR, StorageError),
    ],
)
def test_the_systems_errors_have_their_meaning(number: int, kind: type[StorageError]) -> None:
    error = storage_error(OSError(number, os.strerror(number)), "/place", "read", "keys/a")
    assert type(error) is kind
    assert error.details["reason"] == os.strerror(number)
    assert "/place" in str(error)
    assert "keys/a" in str(error)


def test_a_file_in_place_of_the_repository_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(StorageError, match="Not a directory"):
        LocalStorage(file).create()
    with pytest.raises(StorageError, match="Not a directory"):
        LocalStorage(file).get(Kind.CONFIG, "config")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    with small_file_system(folder, "1m"):
        yield folder


@pytest.mark.root
@pytest.mark.parametrize("kind", [Kind.PACK, Kind.INDEX])
def test_a_full_file_system(tiny: Path, kind: Kind) -> None:
    storage = LocalStorage(tiny / "repository")
    storage.create()
    kept = put_content(storage, kind, bytes(400_000))
    storage.sync()
    with pytest.raises(NoSpace):
        put_content(storage, kind, bytes(700_000))
    assert temporary_files(tiny / "repository") == []
    assert list(storage.list(kind)) == [Item(kept, 400_000)]
    # What fits is still taken, and what is there can be read and removed.
    small = put_content(storage, kind, bytes(1000))
    storage.sync()
    assert storage.get(kind, small) == bytes(1000)
    storage.delete(kind, kept)
    put_content(storage, kind, bytes(700_000))
    storage.close()


@pytest.mark.root
def test_a_file_system_mounted_read_only(tiny: Path) -> None:
    storage = LocalStorage(tiny / "repository")
    storage.create()
    name = put_content(storage, Kind.INDEX, b"content")
    subprocess.run(["mount", "-o", "remount,ro", tiny], check=True)
    with pytest.raises(AccessDenied):
        put_content(storage, Kind.INDEX, b"another")
    with pytest.raises(AccessDenied):
        storage.delete(Kind.INDEX, name)
    assert storage.get(Kind.INDEX, name) == b"content"
    storage.close()


_AS_SOMEBODY_ELSE = """
import os, sys
from pathlib import Path
from pivori.storage import *
storage = LocalStorage(Path(sys.argv[1]))
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for attempt in (
    lambda: storage.get(Kind.KEY, "a" * 64),
    lambda: storage.put(Kind.KEY, "b" * 64, [b"content"]),
    lambda: storage.delete(Kind.KEY, "a" * 64),
    lambda: list(storage.list(Kind.KEY)),
    lambda: list(storage.list(Kind.PACK)),
):
    try:
        attempt()
    except AccessDenied as error:
        print(error)
"""


@pytest.fixture
def passable() -> Iterator[Path]:
    """A folder everybody may pass through, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="pivori-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_permissions_refused_by_the_system(passable: Path) -> None:
    repository = passable / "repository"
    storage = LocalStorage(repository)
    storage.create()
    storage.put(Kind.KEY, "a" * 64, [b"content"])
    repository.chmod(0o755)
    for folder in ("keys", "data", "tmp"):
        (repository / folder).chmod(0)
    printed = run_program(_AS_SOMEBODY_ELSE, repository)
    for folder in ("keys", "data", "tmp"):
        (repository / folder).chmod(0o700)
    names = ["keys/" + "a" * 64, "keys/" + "b" * 64, "keys/" + "a" * 64, "keys", "data"]
    assert printed.splitlines() == [f"{repository}: access to {name} is denied." for name in names]
