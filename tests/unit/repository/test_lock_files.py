"""Lock records: restic's JSON, listing and removing them."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.repository.lock_files import (
    LARGEST_LOCK_BYTES,
    Holder,
    LockDamaged,
    LockRecord,
    age_seconds,
    decode_lock,
    encode_lock,
    list_locks,
    new_record,
    remove_all,
)
from pivori.repository.times import format_time
from pivori.storage import Item, Kind, MemoryStorage
from tests.unit.repository.locking import (
    NOW,
    SECOND,
    US,
    lock_names,
    put_lock,
    put_record,
    sealed_objects,
)


def test_a_record_is_the_json_of_restic() -> None:
    record = new_record(US, exclusive=True, now_ns=NOW + 120_000_000)
    assert encode_lock(record) == (
        b'{"time":"2025-11-08T12:00:00.12Z","exclusive":true,"hostname":"here","username":"ann","pid":100,'
        b'"uid":1000,"gid":1000}'
    )


def test_root_has_no_uid_and_gid_but_empty_names_are_written() -> None:
    written = json.loads(encode_lock(new_record(Holder("", "", 0), exclusive=False, now_ns=NOW)))
    assert list(written) == ["time", "exclusive", "hostname", "username", "pid"]


def test_names_that_are_not_utf8_can_be_written() -> None:
    record = new_record(Holder("h\udcff", "u", 1), exclusive=False, now_ns=NOW)
    assert decode_lock(encode_lock(record), "x").hostname == "h\ufffd"


def test_a_record_of_restic_is_read() -> None:
    data = (
        b'{"time":"2025-11-08T13:00:00.5+01:00","exclusive":false,"hostname":"vm","username":"root","pid":4711,'
        b'"new":{"er":[1]}}'
    )
    record = decode_lock(data, "x")
    assert (record.created_ns, record.exclusive, record.pid, record.uid) == (NOW + SECOND // 2, False, 4711, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"time":"2025-11-08T12:00:00Z"}',
        b'{"exclusive":true}',
        b'{"time":"yesterday","exclusive":true}',
        b'{"time":"2025-02-30T12:00:00Z","exclusive":true}',
        b'{"time":5,"exclusive":true}',
        b'{"time":"2025-11-08T12:00:00Z","exclusive":1}',
        b'{"time":"2025-11-08T12:00:00Z","exclusive":true,"pid":"1"}',
        b'{"time":"2025-11-08T12:00:00Z","exclusive":true,"pid":99999999999999999999999}',
        b'{"time":"2025-11-08T12:00:00Z","exclusive":true,"uid":-1}',
        b'{"time":"2025-11-08T12:00:00Z","exclusive":true,"hostname":{}}',
    ],
)
def test_anything_else_is_damage_that_names_the_lock(data: bytes) -> None:
    with pytest.raises(LockDamaged) as caught:
        decode_lock(data, "abc123")
    assert "abc123" in str(caught.value)
    assert caught.value.exit_status == 11
    assert "unlock --remove-all" in caught.value.hint


names = st.text(alphabet=st.characters(exclude_categories=("Cs",)))


@given(
    st.integers(0, 253402300799 * SECOND),
    st.booleans(),
    names,
    names,
    st.integers(-(2**31), 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_records_survive_the_round_trip(
    now: int, exclusive: bool, hostname: str, username: str, pid: int, uid: int
) -> None:
    record = new_record(Holder(hostname, username, pid, uid, uid), exclusive=exclusive, now_ns=now)
    assert decode_lock(encode_lock(record), "x") == record
    assert record.created_ns == now


def record_of(hostname: str = "here", pid: int = 7, age: float = 60.0) -> LockRecord:
    return new_record(Holder(hostname, "ann", pid), exclusive=False, now_ns=NOW - round(age * SECOND))


def test_age_is_never_negative() -> None:
    assert age_seconds(record_of(age=-10), NOW) == 0
    assert age_seconds(record_of(age=90), NOW) == 90


def test_listing_passes_over_empty_locks_and_shows_damaged_ones() -> None:
    objects = sealed_objects()
    good, empty, broken, huge = put_lock(objects), "e" * 64, "b" * 64, "c" * 64
    objects.storage.put(Kind.LOCK, empty, [b""])
    objects.storage.put(Kind.LOCK, broken, [b"x" * 40])
    objects.storage.put(Kind.LOCK, huge, [bytes(LARGEST_LOCK_BYTES + 1)])
    wrong = objects.save_unpacked(Kind.LOCK, b'{"time":1}')
    found = {info.name: info for info in list_locks(objects)}
    assert set(found) == {good, broken, huge, wrong}
    assert found[good].record is not None
    for name in (broken, huge, wrong):
        assert found[name].record is None
        assert isinstance(found[name].content, LockDamaged)
        assert name in str(found[name].content)


class Refreshing(MemoryStorage):
    """Somebody renews their lock just when it was listed: the listed name is gone when it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.objects = sealed_objects(self)
        self.renewals = 0

    def list(self, kind: Kind) -> Iterator[Item]:
        items = list(super().list(kind))
        if self.renewals:
            self.renewals -= 1
            put_record(self.objects, record_of(hostname="there", pid=self.renewals + 1))
            for item in items:
                self.delete(Kind.LOCK, item.name)
        yield from items


@pytest.mark.parametrize("renewals", [1, 3])
def test_a_lock_that_is_renewed_while_it_is_listed_is_not_missed(renewals: int) -> None:
    storage = Refreshing()
    storage.create()
    put_lock(storage.objects)
    storage.renewals = renewals
    assert [info.record and info.record.pid for info in list_locks(storage.objects)] == [1]


def test_a_listed_lock_that_can_never_be_read_is_gone() -> None:
    class Ghost(MemoryStorage):
        def list(self, kind: Kind) -> Iterator[Item]:
            yield Item("f" * 64, 150)

    storage = Ghost()
    storage.create()
    assert list_locks(sealed_objects(storage)) == []


def test_known_locks_are_not_read_again() -> None:
    objects = sealed_objects()
    name = put_lock(objects)
    known = {}
    list_locks(objects, known=known)
    assert set(known) == {name}
    objects.load_unpacked = None  # reading would fail
    assert [info.name for info in list_locks(objects, known=known)] == [name]
    assert list_locks(objects, skip=[name], known=known) == []


def test_remove_all_leaves_nothing() -> None:
    objects = sealed_objects()
    put_lock(objects)
    objects.storage.put(Kind.LOCK, "b" * 64, [b"x" * 40])
    objects.storage.put(Kind.LOCK, "e" * 64, [b""])
    assert remove_all(objects) == 3
    assert lock_names(objects) == set()
    assert remove_all(objects) == 0


def test_times_are_written_as_restic_reads_them() -> None:
    assert new_record(US, exclusive=False, now_ns=NOW).time == format_time(NOW) == "2025-11-08T12:00:00Z"
