"""Every medium, and every wrapper over it, keeps the contract of storage/base.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.clock import SystemClock
from pivori.storage import Kind, LocalStorage, MemoryStorage, ReadOnly, Storage, open_storage
from pivori.storage.wrap import AppendOnlyStorage, FaultPlan, FaultStorage, ReadOnlyStorage, RetryStorage
from pivori.storage.wrap.faults import Failure
from pivori.testing.storage_contract import StorageContract, name_of, put_content


def _closed_after(storage: Storage) -> Iterator[Storage]:
    yield storage
    storage.close()


class TestLocal(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        yield from _closed_after(open_storage(f"local:{tmp_path}/some/where"))


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        yield from _closed_after(open_storage("memory:"))


@pytest.fixture(params=["local", "memory"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return LocalStorage(tmp_path / "repository") if request.param == "local" else MemoryStorage()


class TestRetry(StorageContract):
    @pytest.fixture
    def storage(self, inner: Storage) -> Iterator[Storage]:
        yield from _closed_after(RetryStorage(inner, SystemClock(), attempts=3))


class TestAppendOnly(StorageContract):
    deletes = False
    replaces = False

    @pytest.fixture
    def storage(self, inner: Storage) -> Iterator[Storage]:
        yield from _closed_after(AppendOnlyStorage(inner))


class TestFaultsWithoutAny(StorageContract):
    @pytest.fixture
    def storage(self, inner: Storage, tmp_path: Path) -> Iterator[Storage]:
        yield from _closed_after(FaultStorage(inner, FaultPlan(tmp_path / "state")))


class TestRetryOverFailingReads(StorageContract):
    """With the retry wrapper around it, a medium on which everything that reads fails once keeps the contract."""

    @pytest.fixture
    def storage(self, inner: Storage, tmp_path: Path) -> Iterator[Storage]:
        failing = FaultStorage(inner, FaultPlan(tmp_path / "state", first_reads=Failure.TEMPORARY))
        yield from _closed_after(RetryStorage(failing, SystemClock(), attempts=2, first_delay=0))


class TestReadOnly:
    @pytest.fixture
    def filled(self, inner: Storage) -> Iterator[Storage]:
        inner.create()
        inner.put(Kind.CONFIG, "config", [b"config"])
        for kind in (Kind.PACK, Kind.LOCK):
            put_content(inner, kind, b"content")
        yield from _closed_after(inner)

    def test_reads_pass(self, filled: Storage) -> None:
        storage = ReadOnlyStorage(filled)
        name = name_of(b"content")
        assert storage.location == filled.location
        assert storage.get(Kind.PACK, name, 1, 2) == b"on"
        assert storage.size(Kind.PACK, name) == 7
        assert list(storage.list(Kind.PACK)) == [(name, 7)]
        storage.sync()
        storage.close()

    @pytest.mark.parametrize("allow_locks", [False, True])
    def test_changes_are_refused(self, filled: Storage, allow_locks: bool) -> None:
        storage = ReadOnlyStorage(filled, allow_locks)
        with pytest.raises(ReadOnly):
            storage.create()
        for kind in (Kind.PACK, Kind.KEY, Kind.INDEX, Kind.SNAPSHOT):
            with pytest.raises(ReadOnly):
                put_content(storage, kind, b"new")
        with pytest.raises(ReadOnly):
            storage.delete(Kind.PACK, name_of(b"content"))
        with pytest.raises(ReadOnly) as refused:
            storage.delete(Kind.CONFIG, "config")
        assert str(refused.value) == (
            f"{filled.location}: delete of config is refused, the repository is open for reading only."
        )
        assert [item.size for kind in (Kind.CONFIG, Kind.PACK, Kind.KEY) for item in filled.list(kind)] == [6, 7]

    def test_locks_pass_where_allowed(self, filled: Storage) -> None:
        with pytest.raises(ReadOnly):
            put_content(ReadOnlyStorage(filled), Kind.LOCK, b"mine")
        with pytest.raises(ReadOnly):
            ReadOnlyStorage(filled).delete(Kind.LOCK, name_of(b"content"))
        storage = ReadOnlyStorage(filled, allow_locks=True)
        name = put_content(storage, Kind.LOCK, b"mine")
        storage.delete(Kind.LOCK, name_of(b"content"))
        assert [item.name for item in filled.list(Kind.LOCK)] == [name]


def test_append_only_deletes_locks_and_nothing_else(inner: Storage) -> None:
    inner.create()
    storage = AppendOnlyStorage(inner)
    for kind in (Kind.PACK, Kind.INDEX, Kind.SNAPSHOT, Kind.KEY):
        name = put_content(storage, kind, b"content")
        with pytest.raises(ReadOnly):
            storage.delete(kind, name)
        assert inner.get(kind, name) == b"content"
    storage.put(Kind.CONFIG, "config", [b"config"])
    with pytest.raises(ReadOnly):
        storage.delete(Kind.CONFIG, "config")
    storage.delete(Kind.LOCK, put_content(storage, Kind.LOCK, b"content"))
    assert list(inner.list(Kind.LOCK)) == []
    inner.close()
