"""The record of what a repository had: several commands change it at once, and none undoes what another did."""

from pathlib import Path

import pytest

from pivori.repository.last_seen import LastSeen, Record, SeenKey, SeenSnapshot

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
