"""Moments to go back to, and which base reaches them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pivori.clock import SystemClock
from pivori.components.postgres_physical.facts import BaseFacts, Facts
from pivori.components.postgres_physical.target import Target, TargetNotUnderstood, TargetOutOfReach

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Abroad(SystemClock):
    """A clock in another zone."""

    def now(self) -> datetime:
        return datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=5)))


def base(name: str, end: str, ended: datetime) -> BaseFacts:
    return BaseFacts(
        id=name, start=end, end=end, timeline=1, taken=ended, ended=ended, size=1, archives={"base.tar": ""}
    )


FACTS = Facts(
    system="1",
    timeline=1,
    segment_size=1 << 24,
    major=15,
    position="0/9000000",
    time=NOON,
    slot="slot",
    superuser="postgres",
    database="postgres",
    bases=[base("old", "0/3000000", NOON - timedelta(days=1)), base("new", "0/8000000", NOON - timedelta(minutes=1))],
    settings={},
)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "new"),
        ({"target-time": "2026-01-31T12:00:00Z"}, "new"),
        ({"target-time": "2026-01-31T13:59:30+02:00"}, "new"),
        ({"target-time": "2026-01-31 11:58:00+00"}, "old"),
        ({"target-time": "2026-01-31T16:58:00"}, "old"),
        ({"target-lsn": "0/8000000"}, "new"),
        ({"target-lsn": "0/7FFFFFF"}, "old"),
        ({"target-xid": "700"}, "old"),
    ],
)
def test_the_newest_base_before_the_target_is_taken(settings: dict[str, str], expected: str) -> None:
    assert Target.of(settings, Abroad()).base_of(FACTS).id == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"target-time": "2026-01-31T12:00:01Z"},
        {"target-time": "2026-01-30T11:59:59Z"},
        {"target-lsn": "0/2000000"},
        {"target-lsn": "0/9000001"},
    ],
)
def test_what_is_out_of_reach_is_refused_with_what_is_within(settings: dict[str, str]) -> None:
    with pytest.raises(TargetOutOfReach) as caught:
        Target.of(settings, Abroad()).base_of(FACTS)
    assert caught.value.details["earliest_lsn"] == "0/3000000"
    assert caught.value.details["latest_lsn"] == "0/9000000"


@pytest.mark.parametrize(
    "settings",
    [
        {"target-time": "yesterday"},
        {"target-lsn": "9000000"},
        {"target-xid": "-3"},
        {"target-xid": "3", "target-time": "2026-01-31T12:00:00Z"},
        {"target-inclusive": "yes"},
    ],
)
def test_what_is_no_moment_is_not_understood(settings: dict[str, str]) -> None:
    with pytest.raises(TargetNotUnderstood):
        Target.of(settings, Abroad())


def test_what_the_server_is_told() -> None:
    time = Target.of({"target-time": "2026-01-31T17:00:00.5", "target-inclusive": "false"}, Abroad())
    assert time.settings() == {
        "recovery_target_inclusive": "off",
        "recovery_target_action": "promote",
        "recovery_target_time": "2026-01-31 12:00:00.500000+00",
    }
    assert Target.of({"target-xid": "77"}, Abroad()).settings()["recovery_target_xid"] == "77"
    assert Target.of({"target-lsn": "16/b374d848"}, Abroad()).settings()["recovery_target_lsn"] == "16/B374D848"
