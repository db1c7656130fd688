"""What is to be thought of a lock: by its host and process, its age, the start of the machine, and our own notes."""

from dataclasses import replace
from pathlib import Path

import pytest

from pivori.host import ProcessMark
from pivori.repository.lock_files import Holder, LockRecord, encode_lock, new_record
from pivori.repository.lock_notes import LockNotes, Whereabouts
from pivori.repository.lock_witness import Standing, remove_stale
from pivori.storage import Kind
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

HERE = ProcessMark("machine", "boot", "pid:4:1", 7, 1000)


def nobody(_pid: int) -> bool:
    return False


def everybody(_pid: int) -> bool:
    return True


def record_of(hostname: str = "here", pid: int = 7, age: float = 60.0) -> LockRecord:
    return new_record(Holder(hostname, "ann", pid), exclusive=False, now_ns=NOW - round(age * SECOND))


@pytest.mark.parametrize(
    ("record", "alive", "standing", "stale"),
    [
        (record_of(), everybody, Standing.HELD, False),
        (record_of(age=1801), everybody, Standing.HELD, True),
        (record_of(age=-3600), everybody, Standing.HELD, False),
        (record_of(), nobody, Standing.UNSEEN, True),
        (record_of(age=600), nobody, Standing.UNSEEN, True),
        (record_of(age=600.1), nobody, Standing.ABANDONED, True),
        # A clock that runs ahead makes nobody old.
        (record_of(age=-3600), nobody, Standing.UNSEEN, True),
        (record_of(pid=0), everybody, Standing.UNSEEN, True),
        (record_of(pid=-1, age=601), everybody, Standing.ABANDONED, True),
        # Our own number: it is not us, we would renew it.
        (record_of(pid=US.pid), everybody, Standing.UNSEEN, True),
        (record_of(pid=US.pid, age=601), everybody, Standing.ABANDONED, True),
        (record_of(hostname="there"), nobody, Standing.HELD, False),
        (record_of(hostname="there", pid=0), nobody, Standing.HELD, False),
        (record_of(hostname="there", age=1800), nobody, Standing.HELD, False),
        (record_of(hostname="there", age=1800.1), nobody, Standing.HELD, True),
    ],
)
def test_without_notes(record: LockRecord, alive: object, standing: Standing, stale: bool) -> None:
    witness = witness_of(US, alive)
    assert witness.standing(record, NOW) is standing
    assert witness.is_stale(record, NOW) is stale


@pytest.mark.parametrize(
    ("booted", "age", "standing"),
    [
        (700, 701, Standing.ABANDONED),
        (700, 699, Standing.HELD),
        (599, 3600, Standing.HELD),
        (599, 601, Standing.HELD),
        (None, 3600, Standing.HELD),
    ],
)
def test_a_number_that_was_given_out_again_after_a_restart(
    booted: float | None, age: float, standing: Standing
) -> None:
    assert witness_of(US, everybody, booted=booted).standing(record_of(age=age), NOW) is standing


def test_an_unknown_hostname_is_nobodys() -> None:
    assert witness_of(Holder("", "ann", 1), nobody).standing(record_of(hostname=""), NOW) is Standing.HELD


def test_a_hostname_that_is_not_utf8_is_recognised() -> None:
    holder = Holder("h\udcff", "u", 1)
    assert witness_of(holder, nobody).standing(record_of(hostname="h\ufffd"), NOW) is Standing.UNSEEN


def test_only_positive_numbers_are_asked_for() -> None:
    asked: list[int] = []
    witness_of(US, lambda pid: bool(asked.append(pid))).standing(record_of(pid=-1), NOW)
    assert asked == []


@pytest.mark.parametrize(
    ("whereabouts", "hostname", "age", "booted", "standing"),
    [
        # What is proven needs no age and no name.
        (Whereabouts.GONE, "here", 0, None, Standing.DEAD),
        (Whereabouts.GONE, "there", 0, None, Standing.DEAD),
        (Whereabouts.RUNNING, "here", 3600, 1000, Standing.HELD),
        # In a container of this host's name: whether its number is in use here says nothing.
        (Whereabouts.ELSEWHERE, "here", 600, None, Standing.HELD),
        (Whereabouts.ELSEWHERE, "here", 601, None, Standing.ABANDONED),
        (Whereabouts.ELSEWHERE, "there", 3600, None, Standing.HELD),
        # Before the last start, if the clock agrees; a twin that shares our notes renews its lock.
        (Whereabouts.BEFORE, "here", 60, 59, Standing.DEAD),
        (Whereabouts.BEFORE, "here", 60, 61, Standing.UNSEEN),
        (Whereabouts.BEFORE, "here", 60, None, Standing.UNSEEN),
    ],
)
def test_with_a_note(
    whereabouts: Whereabouts, hostname: str, age: float, booted: float | None, standing: Standing
) -> None:
    class Saying(LockNotes):
        def find(self, record: bytes) -> Whereabouts | None:
            return whereabouts

    witness = witness_of(US, nobody, notes=Saying(), booted=booted)
    assert witness.standing(record_of(hostname=hostname, age=age), NOW) is standing


@pytest.mark.parametrize(
    ("mark", "whereabouts"),
    [
        (replace(HERE, boot="another", started=5), Whereabouts.BEFORE),
        (replace(HERE, boot="another", machine="twin"), None),
        (replace(HERE, namespaces="pid:4:2"), Whereabouts.ELSEWHERE),
        (replace(HERE, namespaces="pid:4:2", boot="another", machine="twin"), None),
        (replace(HERE, pid=2**22 + 1), Whereabouts.GONE),
    ],
)
def test_what_a_mark_says(tmp_path: Path, mark: ProcessMark, whereabouts: Whereabouts | None) -> None:
    LockNotes(tmp_path, mark).write(b"record")
    assert LockNotes(tmp_path, HERE).find(b"record") is whereabouts
    assert LockNotes(tmp_path, HERE).find(b"another record") is None


def test_machines_without_an_id_are_not_told_apart_by_it(tmp_path: Path) -> None:
    LockNotes(tmp_path, replace(HERE, machine="", boot="another")).write(b"record")
    assert LockNotes(tmp_path, replace(HERE, machine="")).find(b"record") is None


def test_a_torn_note_is_none(tmp_path: Path) -> None:
    notes = LockNotes(tmp_path, HERE)
    notes.write(b"record")
    [file] = tmp_path.iterdir()
    for content in (b"", file.read_bytes()[:-5], b"[]", b"\xff", b'{"machine":1}'):
        file.write_bytes(content)
        assert notes.find(b"record") is None
        notes.tidy([])
    notes.remove(b"record")
    assert list(tmp_path.iterdir()) == []


def test_notes_are_private(tmp_path: Path) -> None:
    LockNotes(tmp_path / "state" / "locks", HERE).write(b"record")
    [file] = (tmp_path / "state" / "locks").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state" / "locks").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("notes", [LockNotes(), LockNotes(Path("/dev/null/no/folder"), HERE)])
def test_without_a_place_for_notes_there_are_none(notes: LockNotes) -> None:
    notes.write(b"record")
    assert notes.find(b"record") is None
    notes.tidy([])
    notes.remove(b"record")


def test_a_process_without_a_mark_makes_no_notes(tmp_path: Path) -> None:
    LockNotes(tmp_path, None).write(b"record")
    assert list(tmp_path.iterdir()) == []


def test_remove_stale_leaves_what_is_in_use_or_damaged(tmp_path: Path) -> None:
    objects = sealed_objects()
    here = ProcessMark.current()
    assert here is not None
    notes = LockNotes(tmp_path, here)
    unseen = put_lock(objects, Holder("here", "ann", 9))
    old = put_lock(objects, THEM, age=1801)
    young = put_lock(objects, THEM)
    broken = "b" * 64
    objects.storage.put(Kind.LOCK, broken, [b"x" * 40])
    running, gone = record_of(pid=here.pid), record_of(pid=here.pid, age=1)
    notes.write(encode_lock(running))
    LockNotes(tmp_path, replace(here, started=here.started - 1)).write(encode_lock(gone))
    held, dead = put_record(objects, running), put_record(objects, gone)
    assert remove_stale(objects, witness=witness_of(US, nobody, notes=notes), clock=HandClock()) == 3
    assert {unseen, old, dead}.isdisjoint(lock_names(objects))
    assert lock_names(objects) == {young, broken, held}
    assert len(list(tmp_path.iterdir())) == 1
