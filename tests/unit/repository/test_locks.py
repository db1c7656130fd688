"""Taking, holding, renewing, losing and giving back a lock."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pivori.events import Event
from pivori.host import ProcessMark
from pivori.repository import held_lock
from pivori.repository.lock_conflicts import HolderUnseen, LockAbandoned, RepositoryLockedExclusively
from pivori.repository.lock_files import Holder, LockDamaged, encode_lock, list_locks, new_record, remove_all
from pivori.repository.lock_notes import Whereabouts
from pivori.repository.locks import (
    Lock,
    LockExpired,
    LockLost,
    LockNotes,
    LockNotReleased,
    RepositoryLocked,
    StaleLockRemoved,
    WaitingForLock,
    acquire,
)
from pivori.repository.objects import SealedObjects
from pivori.storage import Kind, MemoryStorage, ReadOnly, StorageError
from tests.interrupting import Interruption
from tests.unit.repository.locking import (
    NOW,
    SECOND,
    THEM,
    US,
    HandClock,
    lock_names,
    put_lock,
    put_record,
    sealed_objects,
    witness_of,
)


class Scene:
    """One repository, one clock, and what was told."""

    def __init__(self, objects: SealedObjects | None = None) -> None:
        self.objects = objects or sealed_objects()
        self.clock = HandClock()
        self.told: list[Event] = []
        self.alive = {US.pid, THEM.pid}
        self.notes = LockNotes()
        self.booted: float | None = None

    def acquire(self, *, exclusive: bool = False, holder: Holder = US, **choices: Any) -> Lock:
        return acquire(
            self.objects,
            witness=witness_of(holder, self.alive.__contains__, notes=self.notes, booted=self.booted),
            exclusive=exclusive,
            clock=self.clock,
            emit=self.told.append,
            **choices,
        )

    @property
    def names(self) -> set[str]:
        return lock_names(self.objects)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def failure(operation: str) -> StorageError:
    return StorageError(location="memory:", operation=operation, name="locks", reason="the cable is out")


class Fragile(MemoryStorage):
    """A medium on which single operations can be made to fail, before or after they happened."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: set[str] = set()
        self.before_put: Callable[[], object] = lambda: None
        self.on_put: Callable[[], object] = lambda: None
        self.create()

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        if "put" in self.fails:
            raise failure("write")
        self.before_put()
        super().put(kind, name, parts)
        self.on_put()

    def delete(self, kind: Kind, name: str) -> None:
        if "delete" in self.fails:
            raise failure("delete")
        super().delete(kind, name)

    def size(self, kind: Kind, name: str) -> int:
        if "size" in self.fails:
            raise failure("read")
        return super().size(kind, name)


@pytest.fixture
def fragile() -> Fragile:
    return Fragile()


# --- taking ---


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_lock_is_there_while_it_is_held_and_gone_after(scene: Scene, exclusive: bool) -> None:
    with scene.acquire(exclusive=exclusive) as lock:
        assert scene.names == {lock.name}
        [info] = list_locks(scene.objects)
        assert info.record is not None
        assert (info.record.exclusive, info.record.hostname, info.record.pid) == (exclusive, "here", 100)
        lock.check()
    assert scene.names == set()
    assert scene.clock.slept == [held_lock.SETTLE_SECONDS]
    assert scene.told == []


@given(st.lists(st.booleans(), max_size=4), st.booleans(), st.booleans())
def test_who_may_join_whom(present: list[bool], exclusive: bool, confirm_later: bool) -> None:
    scene = Scene()
    there = {put_lock(scene.objects, exclusive=kind) for kind in present}
    if any(present) or (exclusive and present):
        with pytest.raises(RepositoryLocked):
            scene.acquire(exclusive=exclusive, confirm_later=confirm_later)
        assert scene.clock.slept == []
    else:
        with scene.acquire(exclusive=exclusive, confirm_later=confirm_later) as lock:
            lock.confirm()
            assert scene.names == there | {lock.name}
    assert scene.names == there


def test_the_refusal_says_who_since_when_and_how(scene: Scene) -> None:
    put_lock(scene.objects, exclusive=True, age=3 * 60 + 5)
    with pytest.raises(RepositoryLockedExclusively) as caught:
        scene.acquire()
    assert str(caught.value) == (
        "memory: is locked for exclusive use by bob on there (process 200) since 2025-11-08 11:56:55, 3 min 05 s ago."
    )
    assert (caught.value.code, caught.value.exit_status) == ("repository-locked", 11)
    assert caught.value.details["exclusive"] is True


def test_an_old_lock_of_another_host_blocks_and_looks_abandoned(scene: Scene) -> None:
    name = put_lock(scene.objects, exclusive=True, age=1801)
    with pytest.raises(LockAbandoned) as caught:
        scene.acquire()
    assert (caught.value.code, caught.value.exit_status) == ("repository-locked", 11)
    assert "pivori unlock" in caught.value.hint
    assert scene.names == {name}


def test_an_old_shared_lock_does_not_block_a_shared_one(scene: Scene) -> None:
    put_lock(scene.objects, age=1801)
    scene.acquire().release()


def test_an_old_lock_of_a_living_process_of_this_host_is_left_alone(scene: Scene) -> None:
    put_lock(scene.objects, Holder("here", "ann", THEM.pid), exclusive=True, age=1801)
    with pytest.raises(LockAbandoned):
        scene.acquire()
    assert len(scene.names) == 1


@pytest.mark.parametrize("was_exclusive", [False, True])
def test_the_lock_of_a_dead_process_of_this_host_is_removed_and_told(scene: Scene, was_exclusive: bool) -> None:
    put_lock(scene.objects, Holder("here", "ann", 99), exclusive=was_exclusive, age=601)
    with scene.acquire(exclusive=True) as lock:
        assert scene.names == {lock.name}
    assert scene.told == [
        StaleLockRemoved(hostname="here", username="ann", pid=99, exclusive=was_exclusive, age_seconds=601.0)
    ]


def test_a_young_lock_of_an_unseen_process_of_this_host_may_be_a_container_s(scene: Scene) -> None:
    name = put_lock(scene.objects, Holder("here", "ann", 99), age=150)
    scene.acquire().release()
    with pytest.raises(HolderUnseen) as caught:
        scene.acquire(exclusive=True)
    assert scene.names == {name}
    assert (caught.value.code, caught.value.exit_status) == ("repository-locked", 11)
    assert "No such process runs here" in str(caught.value)
    assert "`pivori unlock`" in caught.value.hint
    assert str(caught.value.details["remaining"]) in ("7 min 30 s", "7 min 31 s")


def test_an_unseen_holder_is_waited_for_until_its_lock_counts_as_abandoned(scene: Scene) -> None:
    put_lock(scene.objects, Holder("here", "ann", 99), age=150)
    scene.acquire(exclusive=True, wait_seconds=600).release()
    assert scene.clock.wall - NOW == pytest.approx(450 * SECOND, abs=11 * SECOND)
    assert [type(event) for event in scene.told] == [WaitingForLock, StaleLockRemoved]


# --- what our own notes prove ---


@pytest.fixture
def noting(scene: Scene, tmp_path: Path) -> Scene:
    """With a place for notes: ``notes_of`` of them are this process's."""
    scene.notes = LockNotes(tmp_path / "notes", ProcessMark.current())
    return scene


def noted(folder: Path) -> int:
    return len(list((folder / "notes").iterdir()))


def test_a_note_is_there_while_the_lock_is(noting: Scene, tmp_path: Path) -> None:
    with noting.acquire() as lock:
        assert noted(tmp_path) == 1
        noting.clock.advance(301)
        lock.refresh_if_due()
        assert noted(tmp_path) == 1
        [info] = list_locks(noting.objects)
        assert info.record is not None
        assert noting.notes.find(encode_lock(info.record)) is Whereabouts.RUNNING
    assert noted(tmp_path) == 0


def test_the_note_is_written_before_the_lock(fragile: Fragile, tmp_path: Path) -> None:
    scene = Scene(sealed_objects(fragile))
    scene.notes = LockNotes(tmp_path / "notes", ProcessMark.current())
    seen: list[int] = []
    fragile.before_put = lambda: seen.append(noted(tmp_path))
    scene.acquire().release()
    assert seen == [1]


def test_the_note_of_a_lock_that_could_not_be_removed_stays(fragile: Fragile, tmp_path: Path) -> None:
    scene = Scene(sealed_objects(fragile))
    scene.notes = LockNotes(tmp_path / "notes", ProcessMark.current())
    lock = scene.acquire()
    fragile.fails = {"delete"}
    lock.release()
    assert noted(tmp_path) == 1


@pytest.mark.parametrize("own_pid", [False, True])
def test_the_lock_of_a_process_that_is_proven_dead_is_removed_at_once(
    noting: Scene, tmp_path: Path, own_pid: bool
) -> None:
    here = ProcessMark.current()
    assert here is not None
    # Its number may be in use again, which the note tells apart.
    dead = replace(here, started=0, pid=here.pid if own_pid else os.getppid())
    record = new_record(Holder("another name", "ann", dead.pid), exclusive=True, now_ns=NOW)
    LockNotes(tmp_path / "notes", dead).write(encode_lock(record))
    put_record(noting.objects, record)
    noting.alive.add(dead.pid)
    with noting.acquire(exclusive=True) as lock:
        assert noting.names == {lock.name}
        assert noted(tmp_path) == 1
    assert [type(event) for event in noting.told] == [StaleLockRemoved]
    assert noted(tmp_path) == 0


def test_what_the_dead_have_left_is_tidied_up(noting: Scene, tmp_path: Path) -> None:
    here = ProcessMark.current()
    assert here is not None
    LockNotes(tmp_path / "notes", replace(here, started=here.started - 1)).write(b"of a lock that is gone")
    LockNotes(tmp_path / "notes", here).write(b"of a lock that is about to be written")
    noting.acquire().release()
    assert noted(tmp_path) == 1


def test_a_lock_is_announced_before_it_is_written(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))
    known: list[Lock] = []
    seen: list[int] = []
    fragile.before_put = lambda: seen.append(len(known))
    lock = scene.acquire(announce=known.append)
    assert (known, seen) == ([lock], [1])
    lock.release()


def test_a_dead_lock_that_cannot_be_removed_counts(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))
    put_lock(scene.objects, Holder("here", "ann", 99), exclusive=True, age=601)
    fragile.fails = {"delete"}
    with pytest.raises(RepositoryLocked):
        scene.acquire()


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_damaged_lock_blocks_and_an_empty_one_does_not(scene: Scene, exclusive: bool) -> None:
    scene.objects.storage.put(Kind.LOCK, "e" * 64, [b""])
    scene.acquire(exclusive=exclusive).release()
    scene.objects.storage.put(Kind.LOCK, "b" * 64, [b"x" * 40])
    with pytest.raises(LockDamaged, match="b" * 64):
        scene.acquire(exclusive=exclusive)
    assert scene.names == {"e" * 64, "b" * 64}


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True)])
def test_somebody_who_comes_at_the_same_time_is_seen_after_the_wait(scene: Scene, ours: bool, theirs: bool) -> None:
    scene.clock.during_sleep = lambda: put_lock(scene.objects, exclusive=theirs)
    with pytest.raises(RepositoryLocked):
        scene.acquire(exclusive=ours)
    [info] = list_locks(scene.objects)
    assert info.record is not None
    assert info.record.hostname == "there"


def test_confirming_later_waits_only_for_what_is_left(scene: Scene) -> None:
    with scene.acquire(confirm_later=True) as lock:
        assert scene.clock.slept == []
        scene.clock.advance(0.15)
        lock.confirm()
        assert scene.clock.slept == [pytest.approx(0.05)]
        lock.confirm()
    with scene.acquire(confirm_later=True) as lock:
        scene.clock.advance(3)
        lock.confirm()
    assert len(scene.clock.slept) == 1


def test_confirming_later_looks_right_after_the_write(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))

    def intrude() -> None:
        fragile.on_put = lambda: None
        put_lock(scene.objects, exclusive=True)

    fragile.on_put = intrude
    with pytest.raises(RepositoryLocked):
        scene.acquire(confirm_later=True)
    assert len(scene.names) == 1


def test_a_conflict_found_when_confirming_gives_the_lock_back(scene: Scene) -> None:
    with scene.acquire(confirm_later=True) as lock:
        theirs = put_lock(scene.objects, exclusive=True)
        with pytest.raises(RepositoryLocked):
            lock.confirm()
        assert scene.names == {theirs}


def test_once_confirmed_a_passing_attempt_of_another_does_no_harm(scene: Scene) -> None:
    with scene.acquire() as lock:
        put_lock(scene.objects, exclusive=True)
        lock.confirm()


def test_confirming_finds_that_the_lock_was_removed_by_hand(scene: Scene) -> None:
    with scene.acquire() as lock:
        remove_all(scene.objects)
        with pytest.raises(LockLost):
            lock.confirm()
        with pytest.raises(LockLost):
            lock.check()
        with pytest.raises(LockLost):
            lock.refresh_if_due()


# --- waiting ---


def test_waiting_goes_on_until_the_other_is_done(scene: Scene) -> None:
    theirs = put_lock(scene.objects, exclusive=True)
    scene.clock.during_sleep = lambda: scene.objects.storage.delete(Kind.LOCK, theirs)
    with scene.acquire(wait_seconds=60):
        pass
    [event] = scene.told
    assert isinstance(event, WaitingForLock)
    assert event.seconds == 60
    assert isinstance(event.reason, RepositoryLocked)


def test_waiting_ends_with_the_refusal(scene: Scene) -> None:
    put_lock(scene.objects, exclusive=True)
    begin = scene.clock.monotonic()
    with pytest.raises(RepositoryLocked):
        scene.acquire(wait_seconds=60)
    assert scene.clock.monotonic() - begin == pytest.approx(60)
    assert max(scene.clock.slept) <= 10
    assert len(scene.told) == 1


def test_a_lock_that_ceases_to_be_damaged_is_waited_for(scene: Scene) -> None:
    scene.objects.storage.put(Kind.LOCK, "b" * 64, [b"x" * 40])
    scene.clock.during_sleep = lambda: scene.objects.storage.delete(Kind.LOCK, "b" * 64)
    scene.acquire(wait_seconds=5).release()


# --- renewing ---


def test_a_lock_is_renewed_after_five_minutes(scene: Scene) -> None:
    with scene.acquire() as lock:
        first = lock.name
        scene.clock.advance(298)
        lock.refresh_if_due()
        assert scene.names == {first}
        scene.clock.advance(2)
        lock.refresh_if_due()
        assert lock.name != first
        assert scene.names == {lock.name}
        [info] = list_locks(scene.objects)
        assert info.record is not None
        assert info.record.created_ns == scene.clock.wall
    assert scene.names == set()


def test_the_new_object_is_there_before_the_old_one_goes(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))
    seen: list[int] = []
    with scene.acquire() as lock:
        fragile.on_put = lambda: seen.append(len(scene.names))
        scene.clock.advance(301)
        lock.refresh_if_due()
    assert seen == [2]


def test_a_clock_that_was_set_back_does_not_stop_the_renewals(scene: Scene) -> None:
    with scene.acquire() as lock:
        first = lock.name
        scene.clock.advance(301)
        scene.clock.wall -= 3600 * 10**9
        lock.refresh_if_due()
        assert lock.name != first


def test_a_thread_renews_on_its_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_lock, "_POLL_SECONDS", 0.005)
    with scene.acquire() as lock:
        first = lock.name
        scene.clock.advance(301)
        wait_until(lambda: first not in scene.names)
        assert lock.name != first
    assert scene.names == set()
    assert not [thread for thread in threading.enumerate() if thread.name == "pivori-lock"]


def test_what_the_thread_finds_is_raised_where_the_work_is_done(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_lock, "_POLL_SECONDS", 0.005)
    with scene.acquire() as lock:
        remove_all(scene.objects)
        scene.clock.advance(301)
        thread = next(thread for thread in threading.enumerate() if thread.name == "pivori-lock")
        wait_until(lambda: not thread.is_alive())
        with pytest.raises(LockLost):
            lock.check()
    assert scene.names == set()


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(4000):
        if happened():
            return
        time.sleep(0.005)
    pytest.fail("it never happened")


def test_a_failing_storage_is_tried_again_until_the_lock_is_lost(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))
    with scene.acquire() as lock:
        first = lock.name
        fragile.fails = {"put"}
        scene.clock.advance(301)
        lock.refresh_if_due()
        lock.check()
        fragile.fails = set()
        scene.clock.advance(29)
        lock.refresh_if_due()
        assert lock.name == first
        scene.clock.advance(2)
        lock.refresh_if_due()
        assert lock.name != first
        fragile.fails = {"size"}
        scene.clock.advance(1349)
        lock.refresh_if_due()
        lock.check()
        scene.clock.advance(1)
        with pytest.raises(LockExpired, match=r"22 min 30 s: .*the cable is out"):
            lock.check()
        fragile.fails = set()
    assert scene.names == set()


def test_after_a_long_sleep_a_lock_that_is_still_there_is_renewed(scene: Scene) -> None:
    with scene.acquire() as lock:
        first = lock.name
        scene.clock.advance(8 * 3600, asleep=True)
        lock.check()
        assert lock.name != first
        assert scene.names == {lock.name}
        assert scene.clock.slept == [0.2, 0.2]


def test_after_a_long_sleep_a_lock_that_is_gone_is_lost(scene: Scene) -> None:
    with scene.acquire() as lock:
        scene.clock.advance(8 * 3600, asleep=True)
        remove_all(scene.objects)
        theirs = put_lock(scene.objects, exclusive=True)
        with pytest.raises(LockLost):
            lock.check()
    assert scene.names == {theirs}


def test_after_a_long_sleep_a_lock_that_is_being_removed_is_lost(scene: Scene) -> None:
    with scene.acquire() as lock:
        old = lock.name
        scene.clock.advance(8 * 3600, asleep=True)
        scene.clock.during_sleep = lambda: scene.objects.storage.delete(Kind.LOCK, old)
        with pytest.raises(LockLost):
            lock.check()
    assert scene.names == set()


def test_a_lock_removed_by_hand_is_noticed_at_the_next_renewal(scene: Scene) -> None:
    with scene.acquire() as lock:
        remove_all(scene.objects)
        scene.clock.advance(301)
        with pytest.raises(LockLost, match="removed"):
            lock.refresh_if_due()
        assert scene.names == set()


def test_old_objects_that_could_not_be_removed_go_later(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))
    with scene.acquire() as lock:
        for _ in range(2):
            fragile.fails = {"delete"}
            scene.clock.advance(301)
            lock.refresh_if_due()
        assert len(scene.names) == 3
        fragile.fails = set()
        scene.clock.advance(301)
        lock.refresh_if_due()
        assert scene.names == {lock.name}
        fragile.fails = {"delete"}
        scene.clock.advance(301)
        lock.refresh_if_due()
        fragile.fails = set()
    assert scene.names == set()


# --- giving back ---


def test_release_may_be_called_again_and_needs_no_object(scene: Scene) -> None:
    lock = scene.acquire()
    remove_all(scene.objects)
    lock.release()
    lock.release()
    assert scene.told == []
    assert lock.name == ""


def test_a_released_lock_is_not_renewed(scene: Scene) -> None:
    lock = scene.acquire()
    lock.release()
    scene.clock.advance(301)
    lock.refresh_if_due()
    assert scene.names == set()


def test_release_tells_what_it_cannot_remove_and_hides_no_error(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))
    lock = scene.acquire()
    name = lock.name
    fragile.fails = {"delete"}
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    [event] = scene.told
    assert isinstance(event, LockNotReleased)
    assert event.name == name


@pytest.mark.parametrize("error", [KeyboardInterrupt(), failure("write")])
def test_a_write_that_is_interrupted_after_it_happened_leaves_nothing(fragile: Fragile, error: BaseException) -> None:
    scene = Scene(sealed_objects(fragile))
    theirs = put_lock(scene.objects)

    def interrupt() -> None:
        fragile.on_put = lambda: None
        raise error

    fragile.on_put = interrupt
    with pytest.raises(type(error)):
        scene.acquire()
    assert scene.names == {theirs}


def test_a_renewal_that_is_interrupted_after_it_happened_leaves_nothing(fragile: Fragile) -> None:
    scene = Scene(sealed_objects(fragile))

    def interrupt() -> None:
        fragile.on_put = lambda: None
        raise KeyboardInterrupt

    lock = scene.acquire()
    fragile.on_put = interrupt
    scene.clock.advance(301)
    with pytest.raises(KeyboardInterrupt), lock:
        lock.refresh_if_due()
    assert scene.names == set()


def test_an_interrupted_wait_leaves_nothing(scene: Scene) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    scene.clock.during_sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        scene.acquire()
    assert scene.names == set()


def test_a_release_that_is_interrupted_can_be_done_again(fragile: Fragile) -> None:
    """At each place in turn: of a lock whose name is known, and of one that may be stored or not."""
    for step in itertools.count():
        scene = Scene(sealed_objects(fragile))
        lock = scene.acquire()

        def interrupt() -> None:
            fragile.on_put = lambda: None
            raise KeyboardInterrupt

        fragile.on_put = interrupt
        scene.clock.advance(301)
        with pytest.raises(KeyboardInterrupt):
            lock.refresh_if_due()
        assert len(scene.names) == 2
        with Interruption(step, Path(held_lock.__file__)) as interruption:
            try:
                lock.release()
            finally:
                lock.release()
        assert scene.names == set()
        if not interruption.came:
            break
    assert step > 20


def test_taking_that_is_interrupted_leaves_nothing() -> None:
    """At each place in turn, refused or not; what stands there is released by whom it was announced to."""
    for refused, step in itertools.product([False, True], range(1000)):
        scene = Scene()
        theirs = {put_lock(scene.objects, exclusive=True)} if refused else set()
        announced: list[Lock] = []
        with Interruption(step, Path(held_lock.__file__)) as interruption, suppress(RepositoryLocked):
            scene.acquire(announce=announced.append)
        for lock in announced:
            lock.release()
        assert scene.names == theirs
        if not interruption.came:
            assert step > 10
            if refused:
                return


def test_a_lock_that_could_not_be_renewed_is_looked_after_before_a_write(fragile: Fragile) -> None:
    """On a host of our name it counts as abandoned after ten minutes: long before it is lost by age."""
    scene = Scene(sealed_objects(fragile))
    with scene.acquire() as lock:
        fragile.fails = {"put"}
        scene.clock.advance(449)
        remove_all(scene.objects)
        lock.check()
        scene.clock.advance(2)
        fragile.fails = {"put", "size"}
        lock.check()
        fragile.fails = {"put"}
        with pytest.raises(LockLost, match="removed"):
            lock.check()


def test_a_medium_that_takes_no_locks_says_so(monkeypatch: pytest.MonkeyPatch, fragile: Fragile) -> None:
    def refuse(*_: object) -> None:
        raise ReadOnly(location="memory:", operation="write", name="locks/x", mode="for reading")

    monkeypatch.setattr(fragile, "put", refuse)
    with pytest.raises(ReadOnly):
        Scene(sealed_objects(fragile)).acquire()


def test_a_release_during_a_renewal_that_hangs_leaves_nothing(
    fragile: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_lock, "_RELEASE_PATIENCE_SECONDS", 0.05)
    scene = Scene(sealed_objects(fragile))
    lock = scene.acquire()
    writing, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        writing.set()
        go_on.wait(20)

    fragile.before_put = hang
    scene.clock.advance(301)
    renewal = threading.Thread(target=lock.refresh_if_due)
    renewal.start()
    assert writing.wait(20)
    lock.release()
    go_on.set()
    renewal.join(20)
    assert not renewal.is_alive()
    assert scene.names == set()


# --- several at once: every order in which their steps may happen ---


class Stage:
    """Runs actors one step at a time, in an order that is drawn: a step ends where an actor touches the storage."""

    def __init__(self, order: Callable[[int], int]) -> None:
        self._order = order
        self._changed = threading.Condition()
        self._waiting: dict[threading.Thread, bool] = {}

    def step(self) -> None:
        me = threading.current_thread()
        if me not in self._waiting:
            return  # not an actor: the test itself
        with self._changed:
            self._waiting[me] = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting[me])

    def play(self, actors: list[Callable[[], None]]) -> None:
        def act(actor: Callable[[], None]) -> None:
            self.step()
            try:
                actor()
            finally:
                with self._changed:
                    del self._waiting[threading.current_thread()]
                    self._changed.notify_all()

        threads = [threading.Thread(target=act, args=(actor,), daemon=True) for actor in actors]
        with self._changed:
            self._waiting = dict.fromkeys(threads, False)
            for thread in threads:
                thread.start()
            while self._waiting:
                assert self._changed.wait_for(lambda: all(self._waiting.values()), timeout=20)
                if self._waiting:
                    ready = [thread for thread in threads if thread in self._waiting]
                    self._waiting[ready[self._order(len(ready))]] = False
                    self._changed.notify_all()


class StagedStorage(MemoryStorage):
    """Every operation is one step on the stage."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.create()

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        self.stage.step()
        return super().get(kind, name, offset, length)

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        self.stage.step()
        super().put(kind, name, parts)

    def list(self, kind: Kind) -> Any:
        self.stage.step()
        return super().list(kind)

    def delete(self, kind: Kind, name: str) -> None:
        self.stage.step()
        super().delete(kind, name)


class StagedClock(HandClock):
    """A wait is a step that takes no time: what holds then holds for waits of any length."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def sleep(self, seconds: float) -> None:
        self.stage.step()


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=2, max_size=3),
    st.data(),
)
def test_nobody_works_beside_an_exclusive_holder(actors: list[tuple[bool, bool, int]], data: st.DataObject) -> None:
    """The index may be read from the moment ``acquire`` returns, and what is read has to be right if confirmed."""
    stage = Stage(lambda count: data.draw(st.integers(0, count - 1)))
    objects = sealed_objects(StagedStorage(stage))
    ticks = iter(range(1_000_000))
    worked: list[tuple[bool, int, int]] = []

    def actor(number: int, exclusive: bool, confirm_later: bool, rests: int) -> Callable[[], None]:
        def act() -> None:
            try:
                with acquire(
                    objects,
                    witness=witness_of(Holder("here", "ann", number + 1)),
                    exclusive=exclusive,
                    clock=StagedClock(stage),
                    emit=lambda event: None,
                    confirm_later=confirm_later,
                ) as lock:
                    begin = next(ticks)
                    for _ in range(rests):
                        stage.step()
                    lock.confirm()
                    # An exclusive locker changes things from here on only.
                    begin = next(ticks) if exclusive else begin
                    for _ in range(rests):
                        stage.step()
                    worked.append((exclusive, begin, next(ticks)))
            except RepositoryLocked:
                pass

        return act

    stage.play([actor(number, *each) for number, each in enumerate(actors)])
    assert lock_names(objects) == set()
    for one in worked:
        for other in worked:
            if one is not other and (one[0] or other[0]):
                assert one[2] < other[1] or other[2] < one[1]
