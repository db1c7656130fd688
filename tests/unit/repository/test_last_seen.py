"""The record of what a repository had: several commands change it at once, and none undoes what another did."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.repository import Repository, Snapshot
from pivori.repository.last_seen import LastSeen, Record, SeenKey, SeenSnapshot
from pivori.storage import Kind, MemoryStorage, NoSpace

ONE = SeenSnapshot("2025-11-08T12:00:00Z", "desk", ("/home/me",))
KEY = SeenKey("2025-11-08T12:00:00Z", "desk", "me")


@pytest.fixture
def last_seen(tmp_path: Path) -> LastSeen:
    return LastSeen(tmp_path / "seen", "/srv/repository")


def noted(last_seen: LastSeen) -> set[str]:
    record = last_seen.read()
    assert record is not None
    return {*record.snapshots, *record.keys}


def test_what_is_struck_off_between_looking_and_learning_is_not_learned(last_seen: LastSeen) -> None:
    last_seen.add(snapshots={"kept": ONE, "struck": ONE}, keys={"struck key": KEY})
    before = last_seen.read()
    assert before is not None
    last_seen.strike(["struck", "struck key"])
    last_seen.add(snapshots={"added": ONE})
    found = Record({"kept": ONE, "struck": ONE, "new": ONE}, {"struck key": KEY, "new key": KEY})
    last_seen.learn(found, before=before)
    assert noted(last_seen) == {"kept", "added", "new", "new key"}


def test_an_object_that_cannot_be_read_now_keeps_its_description(last_seen: LastSeen) -> None:
    last_seen.add(snapshots={"one": ONE})
    last_seen.learn(Record({"one": SeenSnapshot()}), before=Record())
    record = last_seen.read()
    assert record is not None
    assert record.snapshots == {"one": ONE}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(
        MemoryStorage(), "x", username="u", hostname="h", created="2025-11-08T12:00:00Z", cache_directory=tmp_path
    )


def snapshot(number: int) -> Snapshot:
    return Snapshot(time=f"2025-11-08T12:00:{number:02d}Z", tree="aa" * 32, paths=["/srv"], hostname="desk")


def stored(repository: Repository) -> set[str]:
    return {item.name for item in repository.storage.list(Kind.SNAPSHOT)}


def test_several_snapshots_are_noted_together_once_they_are_stored(repository: Repository) -> None:
    """The record is written as a whole, so once for each of many snapshots would take their square."""
    noted_meanwhile: list[set[str]] = []
    heard: list[str] = []

    def snapshots() -> Iterator[Snapshot]:
        for number in range(3):
            assert len(stored(repository)) == len(heard) == number
            noted_meanwhile.append(noted(repository.last_seen) - {repository.key_name})
            yield snapshot(number)

    names = repository.save_snapshots(snapshots(), saved=heard.append)
    assert names == heard
    assert noted_meanwhile == [set()] * 3
    assert set(names) == stored(repository) == noted(repository.last_seen) - {repository.key_name}


def test_what_was_stored_before_an_error_is_noted_and_nothing_else(repository: Repository) -> None:
    def snapshots() -> Iterator[Snapshot]:
        yield snapshot(0)
        yield snapshot(1)
        raise NoSpace(location="", operation="write", name="")

    with pytest.raises(NoSpace):
        repository.save_snapshots(snapshots())
    assert len(stored(repository)) == 2
    assert noted(repository.last_seen) - {repository.key_name} == stored(repository)


def test_what_is_removed_is_struck_off_before_the_first_of_it_goes(repository: Repository) -> None:
    """An end in between leaves what is there and not noted, which the next check learns: never the reverse."""
    names = repository.save_snapshots(map(snapshot, range(3)))
    repository.storage.delete(Kind.SNAPSHOT, names[1])
    left: list[set[str]] = []
    gone: list[str] = []

    def before_each() -> None:
        assert noted(repository.last_seen) == {repository.key_name}
        left.append(stored(repository))

    repository.remove(Kind.SNAPSHOT, names, before_each=before_each, removed=gone.append)
    assert left == [{names[0], names[2]}, {names[2]}, {names[2]}]
    assert gone == [names[0], names[2]]
    assert not stored(repository)
    repository.remove(Kind.KEY, [repository.key_name])
    assert noted(repository.last_seen) == set()
