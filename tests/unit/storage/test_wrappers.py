"""The retry and the fault wrappers: when they act, how often, and across processes."""

import multiprocessing
import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.clock import SystemClock
from pivori.storage import (
    AccessDenied,
    AlreadyExists,
    Kind,
    LocalStorage,
    MemoryStorage,
    NoSpace,
    NotFound,
    Storage,
    StorageError,
    TemporaryStorageError,
)
from pivori.storage.wrap import FaultPlan, FaultStorage, RetryStorage
from pivori.storage.wrap.faults import Failure, Moment
from pivori.storage.wrap.retry import Retry
from pivori.testing.storage_contract import name_of, put_content


class PatientClock(SystemClock):
    """Sleeps no time and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def inner(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "repository")
    storage.create()
    return storage


def names(storage: Storage, kind: Kind) -> set[str]:
    return {item.name for item in storage.list(kind)}


# --------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.BROKEN, StorageError),
        (Failure.TEMPORARY, TemporaryStorageError),
        (Failure.FULL, NoSpace),
        (Failure.DENIED, AccessDenied),
    ],
)
@pytest.mark.parametrize("moment", list(Moment))
def test_the_planned_write_fails_and_no_other(
    inner: LocalStorage, tmp_path: Path, failure: Failure, kind: type[StorageError], moment: Moment
) -> None:
    plan = FaultPlan(tmp_path / "state", at_write=3, failure=failure, moment=moment)
    storage = FaultStorage(inner, plan)
    pack = put_content(storage, Kind.PACK, b"1")
    put_content(storage, Kind.INDEX, b"2")
    assert not plan.happened()
    with pytest.raises(StorageError) as failed:
        storage.delete(Kind.PACK, pack)
    assert type(failed.value) is kind
    assert plan.happened()
    assert names(inner, Kind.PACK) == ({pack} if moment is Moment.BEFORE else set())
    put_content(storage, Kind.SNAPSHOT, b"4")
    assert plan.writes() == 4


def test_a_lasting_fault_fails_all_that_follows(inner: LocalStorage, tmp_path: Path) -> None:
    plan = FaultPlan(tmp_path / "state", at_write=2, moment=Moment.AFTER, lasting=True)
    storage = FaultStorage(inner, plan)
    first = put_content(storage, Kind.PACK, b"1")
    with pytest.raises(StorageError):
        put_content(storage, Kind.PACK, b"2")
    for content in (b"3", b"4"):
        with pytest.raises(StorageError):
            put_content(storage, Kind.LOCK, content)
    with pytest.raises(StorageError):
        storage.delete(Kind.PACK, first)
    assert names(inner, Kind.PACK) == {first, name_of(b"2")}
    assert names(inner, Kind.LOCK) == set()


@pytest.mark.parametrize("failure", [Failure.TEMPORARY, Failure.BROKEN])
def test_the_first_read_of_each_object_fails(inner: LocalStorage, tmp_path: Path, failure: Failure) -> None:
    storage = FaultStorage(inner, FaultPlan(tmp_path / "state", first_reads=failure))
    objects = [
        (kind, put_content(storage, kind, content)) for kind in (Kind.PACK, Kind.INDEX) for content in (b"1", b"2")
    ]
    storage.sync()  # only then do copies see packs
    for kind, name in objects:
        with pytest.raises(StorageError) as failed:
            storage.get(kind, name)
        assert failed.value.retryable is (failure is Failure.TEMPORARY)
        copy: FaultStorage = pickle.loads(pickle.dumps(storage))
        assert copy.get(kind, name) == inner.get(kind, name)


@pytest.mark.parametrize("failure", [Failure.TEMPORARY, Failure.BROKEN])
def test_the_first_size_of_each_object_fails(inner: LocalStorage, tmp_path: Path, failure: Failure) -> None:
    storage = FaultStorage(inner, FaultPlan(tmp_path / "state", first_reads=failure))
    one, other = (put_content(storage, Kind.PACK, content) for content in (b"1", b"22"))
    for name, size in ((one, 1), (other, 2)):
        with pytest.raises(StorageError) as failed:
            storage.size(Kind.PACK, name)
        assert failed.value.retryable is (failure is Failure.TEMPORARY)
        assert storage.size(Kind.PACK, name) == size


@pytest.mark.parametrize("failure", [Failure.TEMPORARY, Failure.BROKEN])
def test_the_first_listing_of_each_kind_fails_half_way(inner: LocalStorage, tmp_path: Path, failure: Failure) -> None:
    storage = FaultStorage(inner, FaultPlan(tmp_path / "state", first_reads=failure))
    for kind in (Kind.PACK, Kind.INDEX):
        stored = {put_content(storage, kind, content) for content in (b"1", b"2", b"3", b"4")}
        storage.sync()  # only then do copies see packs
        listing = storage.list(kind)
        found = {next(listing).name, next(listing).name}
        with pytest.raises(StorageError) as failed:
            next(listing)
        assert failed.value.retryable is (failure is Failure.TEMPORARY)
        assert found < stored
        copy: FaultStorage = pickle.loads(pickle.dumps(storage))
        assert names(copy, kind) == stored


def test_two_media_of_one_plan_fail_each_once(tmp_path: Path) -> None:
    plan = FaultPlan(tmp_path / "state", first_reads=Failure.BROKEN)
    for folder in ("one", "other"):
        inner = LocalStorage(tmp_path / folder)
        inner.create()
        with pytest.raises(StorageError):
            names(FaultStorage(inner, plan), Kind.SNAPSHOT)
        assert names(FaultStorage(inner, plan), Kind.SNAPSHOT) == set()


def test_the_planned_read_fails_and_no_other(inner: LocalStorage, tmp_path: Path) -> None:
    """Gets, sizes and listings are counted together."""
    pack = put_content(inner, Kind.PACK, b"content")
    reads: list[Callable[[Storage], object]] = [
        lambda storage: storage.get(Kind.PACK, pack),
        lambda storage: storage.size(Kind.PACK, pack),
        lambda storage: names(storage, Kind.PACK),
    ]
    for number in range(1, 4):
        plan = FaultPlan(tmp_path / f"state{number}", at_read=number)
        storage = FaultStorage(inner, plan)
        outcomes = []
        for read in (*reads, *reads):
            try:
                read(storage)
            except StorageError:
                outcomes.append(False)
            else:
                outcomes.append(True)
        assert outcomes == [place != number for place in range(1, 7)]
        assert plan.happened()


@pytest.mark.parametrize("moment", list(Moment))
def test_a_sync_is_a_write(inner: LocalStorage, tmp_path: Path, moment: Moment) -> None:
    plan = FaultPlan(tmp_path / "state", at_write=2, moment=moment)
    storage = FaultStorage(inner, plan)
    put_content(storage, Kind.PACK, b"1")
    with pytest.raises(StorageError):
        storage.sync()
    storage.sync()
    assert plan.writes() == 3


def _put_three(storage: Storage, first: int) -> None:
    for number in range(first, first + 3):
        put_content(storage, Kind.PACK, b"%d" % number)


@pytest.mark.parametrize("moment", list(Moment))
def test_copies_in_other_processes_count_together(inner: LocalStorage, tmp_path: Path, moment: Moment) -> None:
    plan = FaultPlan(tmp_path / "state", at_write=5, failure=Failure.KILL, moment=moment)
    storage = FaultStorage(inner, plan)
    context = multiprocessing.get_context("spawn")
    codes = []
    for first in (0, 10, 20):
        worker = context.Process(target=_put_three, args=(storage, first))
        worker.start()
        worker.join()
        codes.append(worker.exitcode)
    assert codes == [0, -signal.SIGKILL, 0]
    assert plan.happened()
    assert plan.writes() == 8
    stored = names(inner, Kind.PACK)
    assert (name_of(b"11") in stored) is (moment is Moment.AFTER)
    assert name_of(b"12") not in stored


def _put_many(storage: Storage, worker: int) -> None:
    for number in range(100):
        put_content(storage, Kind.LOCK, b"%d %d" % (worker, number))


def test_no_count_is_lost_between_processes(inner: LocalStorage, tmp_path: Path) -> None:
    plan = FaultPlan(tmp_path / "state")
    storage = FaultStorage(inner, plan)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_many, args=(storage, number)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert plan.writes() == 200


# ---------------------------------------------------------------------------------------------------------- retry


def failing_once(inner: Storage, tmp_path: Path, moment: Moment, at_write: int = 1) -> FaultStorage:
    plan = FaultPlan(tmp_path / "state", at_write=at_write, failure=Failure.TEMPORARY, moment=moment)
    return FaultStorage(inner, plan)


@pytest.mark.parametrize("moment", list(Moment))
def test_what_fails_once_succeeds(inner: LocalStorage, tmp_path: Path, moment: Moment) -> None:
    clock = PatientClock()
    seen: list[Retry] = []
    storage = RetryStorage(failing_once(inner, tmp_path, moment), clock, first_delay=0.25, on_retry=seen.append)
    storage.put(Kind.CONFIG, "config", [b"con", b"fig"])
    assert inner.get(Kind.CONFIG, "config") == b"config"
    assert clock.slept == [0.25]
    assert [(type(retry.error), retry.attempt, retry.delay) for retry in seen] == [(TemporaryStorageError, 1, 0.25)]


@pytest.mark.parametrize("moment", list(Moment))
def test_a_deletion_that_fails_once_succeeds(inner: LocalStorage, tmp_path: Path, moment: Moment) -> None:
    name = put_content(inner, Kind.PACK, b"content")
    RetryStorage(failing_once(inner, tmp_path, moment), PatientClock()).delete(Kind.PACK, name)
    assert names(inner, Kind.PACK) == set()


def test_somebody_elses_config_is_not_taken_for_ours(inner: LocalStorage, tmp_path: Path) -> None:
    inner.put(Kind.CONFIG, "config", [b"theirs"])
    with pytest.raises(AlreadyExists):
        RetryStorage(inner, PatientClock()).put(Kind.CONFIG, "config", [b"theirs"])
    storage = RetryStorage(failing_once(inner, tmp_path, Moment.BEFORE), PatientClock())
    with pytest.raises(AlreadyExists):
        storage.put(Kind.CONFIG, "config", [b"ours"])


def test_delays_double_up_to_the_longest(inner: LocalStorage, tmp_path: Path) -> None:
    clock = PatientClock()
    plan = FaultPlan(tmp_path / "state", at_write=1, failure=Failure.TEMPORARY, lasting=True)
    storage = RetryStorage(FaultStorage(inner, plan), clock, attempts=7, first_delay=1, longest_delay=5)
    with pytest.raises(TemporaryStorageError):
        put_content(storage, Kind.PACK, b"content")
    assert clock.slept == [1, 2, 4, 5, 5, 5]
    assert plan.writes() == 7


@pytest.mark.parametrize("failure", [Failure.BROKEN, Failure.FULL, Failure.DENIED])
def test_what_does_not_pass_is_not_retried(inner: LocalStorage, tmp_path: Path, failure: Failure) -> None:
    clock = PatientClock()
    plan = FaultPlan(tmp_path / "state", at_write=1, failure=failure, lasting=True)
    with pytest.raises(StorageError):
        put_content(RetryStorage(FaultStorage(inner, plan), clock), Kind.PACK, b"content")
    assert clock.slept == []
    assert plan.writes() == 1


def test_missing_objects_are_not_retried() -> None:
    clock = PatientClock()
    inner = MemoryStorage()
    inner.create()
    storage = RetryStorage(inner, clock)
    with pytest.raises(NotFound):
        storage.get(Kind.PACK, "a" * 64)
    with pytest.raises(NotFound):
        storage.delete(Kind.PACK, "a" * 64)
    assert clock.slept == []


def test_a_pickled_copy_retries_without_the_callback(inner: LocalStorage, tmp_path: Path) -> None:
    seen: list[Retry] = []
    faulty = failing_once(inner, tmp_path, Moment.BEFORE)
    storage = RetryStorage(faulty, SystemClock(), first_delay=0, on_retry=lambda retry: seen.append(retry))
    copy: RetryStorage = pickle.loads(pickle.dumps(storage))
    put_content(copy, Kind.INDEX, b"content")
    assert names(inner, Kind.INDEX) == {name_of(b"content")}
    assert seen == []


def test_a_single_attempt_is_no_retry(inner: LocalStorage, tmp_path: Path) -> None:
    storage = RetryStorage(failing_once(inner, tmp_path, Moment.BEFORE), PatientClock(), attempts=1)
    with pytest.raises(TemporaryStorageError):
        put_content(storage, Kind.PACK, b"content")
