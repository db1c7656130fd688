"""The retention policy on histories whose outcome a person can follow.

``tests/compat/test_retention.py`` compares with the real restic on generated ones.
"""

import pytest

from pivori.engine.durations import BadMoment, Duration
from pivori.engine.retention import BadRetentionRule, Policy, SnapshotFacts, decide, has_tags, parse_tags

NOW_NS = 1_900_000_000_000_000_000


def facts(*times: str, **details: object) -> list[SnapshotFacts]:
    """Snapshots made at these times; ids count from 0."""
    return [SnapshotFacts(str(number), time, **details) for number, time in enumerate(times)]


def kept(snapshots: list[SnapshotFacts], policy: Policy) -> dict[str, list[str]]:
    """The reasons by the time of the snapshot."""
    decision = decide(snapshots, policy, now_ns=NOW_NS)
    assert len(decision.keep) + len(decision.remove) == len(snapshots)
    return {each.snapshot.time: [str(reason) for reason in each.reasons] for each in decision.keep}


def test_one_snapshot_a_day_and_the_oldest() -> None:
    times = ("08T09", "08T23", "07T12", "06T12", "06T11")
    history = facts(*(f"2025-11-{time}:00:00Z" for time in times))
    assert kept(history, Policy(daily=7)) == {
        "2025-11-08T23:00:00Z": ["daily snapshot"],
        "2025-11-07T12:00:00Z": ["daily snapshot"],
        "2025-11-06T12:00:00Z": ["daily snapshot"],
        "2025-11-06T11:00:00Z": ["oldest daily snapshot"],
    }
    assert list(kept(history, Policy(daily=2))) == ["2025-11-08T23:00:00Z", "2025-11-07T12:00:00Z"]


def test_the_counters_tell_what_is_left() -> None:
    history = facts("2025-11-08T09:00:00Z", "2025-11-07T09:00:00Z", "2025-10-07T09:00:00Z")
    decision = decide(history, Policy(last=1, daily=2, monthly=-1), now_ns=NOW_NS)
    left = [(each.counters["last"], each.counters["daily"], each.counters["monthly"]) for each in decision.keep]
    assert left == [(0, 1, -1), (0, 0, -1), (0, 0, -1)]


def test_days_are_those_of_the_recorded_clock() -> None:
    """Both snapshots are of one UTC day, but of two local ones; and the reverse."""
    assert (
        len(
            kept(
                facts("2025-11-08T00:30:00+02:00", "2025-11-07T23:30:00+02:00", "2025-11-01T00:00:00Z"), Policy(daily=2)
            )
        )
        == 2
    )
    assert kept(
        facts("2025-11-08T20:00:00-05:00", "2025-11-08T18:00:00-05:00", "2025-11-07T00:00:00Z"), Policy(daily=2)
    ) == {
        "2025-11-08T20:00:00-05:00": ["daily snapshot"],
        "2025-11-07T00:00:00Z": ["daily snapshot"],
    }


def test_the_hour_that_comes_twice_is_one_hour() -> None:
    history = facts("2025-10-26T02:30:00+01:00", "2025-10-26T02:30:00+02:00", "2025-10-25T00:00:00+02:00")
    assert list(kept(history, Policy(hourly=2))) == ["2025-10-26T02:30:00+01:00", "2025-10-25T00:00:00+02:00"]


def test_weeks_are_iso_weeks_over_new_year() -> None:
    history = facts("2021-01-03T12:00:00Z", "2020-12-28T12:00:00Z", "2020-12-27T12:00:00Z", "2019-01-01T12:00:00Z")
    assert list(kept(history, Policy(weekly=2))) == ["2021-01-03T12:00:00Z", "2020-12-27T12:00:00Z"]


def test_within_looks_back_from_the_newest_and_its_edge_is_out() -> None:
    history = facts("2025-03-31T10:00:00Z", "2025-03-03T10:00:00.000000001Z", "2025-03-03T10:00:00Z")
    assert kept(history, Policy(within=Duration(months=1))) == {
        "2025-03-31T10:00:00Z": ["within 1m"],
        "2025-03-03T10:00:00.000000001Z": ["within 1m"],
    }


def test_within_a_period_keeps_one_each() -> None:
    history = facts("2025-11-08T09:00:00Z", "2025-11-08T08:00:00Z", "2025-11-07T09:00:00Z", "2025-11-01T09:00:00Z")
    assert kept(history, Policy(within_daily=Duration(days=3))) == {
        "2025-11-08T09:00:00Z": ["daily within 3d"],
        "2025-11-07T09:00:00Z": ["daily within 3d"],
    }
    assert list(kept(history, Policy(within_daily=Duration(days=1)))) == ["2025-11-08T09:00:00Z"]
    assert kept(history[:2], Policy(within_daily=Duration(days=3)))["2025-11-08T08:00:00Z"] == [
        "oldest daily within 3d"
    ]


def test_the_future_does_not_move_what_within_looks_back_from() -> None:
    history = facts("2100-01-01T00:00:00Z", "2025-11-08T09:00:00Z", "2025-11-01T09:00:00Z")
    assert list(kept(history, Policy(within=Duration(days=1)))) == ["2100-01-01T00:00:00Z", "2025-11-08T09:00:00Z"]
    assert len(kept(facts("2100-01-01T00:00:00Z", "2101-01-01T00:00:00Z"), Policy(within=Duration(hours=1)))) == 2


def test_tags_keep_what_has_them_all() -> None:
    snapshot = SnapshotFacts("1", "2025-11-08T09:00:00Z", tags=("a", "b"))
    assert kept([snapshot], Policy(tags=(("b", "a"), ("c",), ("a",)))) == {
        snapshot.time: ["has tags [b, a]", "has tags [a]"]
    }
    assert not has_tags(snapshot, ("a", "c"))
    assert not has_tags(snapshot, ("",))
    assert has_tags(SnapshotFacts("2", snapshot.time), ("",))
    assert parse_tags(" a, b,") == ("a", "b", "")


def test_reasons_stand_in_the_order_of_the_rules() -> None:
    policy = Policy(1, 1, 1, 1, 1, 1, *[Duration(hours=1)] * 6, tags=(("t",),))
    assert kept(facts("2025-11-08T09:00:00Z", tags=("t",)), policy)["2025-11-08T09:00:00Z"] == [
        "has tags [t]",
        "within 1h",
        *(f"{rule} snapshot" for rule in ("last", "hourly", "daily", "weekly", "monthly", "yearly")),
        *(f"{rule} within 1h" for rule in ("hourly", "daily", "weekly", "monthly", "yearly")),
    ]


def test_equal_instants_are_ordered_by_id() -> None:
    one, two = SnapshotFacts("1", "2025-11-08T09:00:00Z"), SnapshotFacts("2", "2025-11-08T10:00:00+01:00")
    for history in ([one, two], [two, one]):
        assert decide(history, Policy(last=1), now_ns=NOW_NS).remove == (one,)


def test_nothing_is_kept_of_nothing() -> None:
    assert decide([], Policy(last=1), now_ns=NOW_NS) == decide([], Policy(), now_ns=NOW_NS)


def test_a_policy_is_false_without_a_rule() -> None:
    assert not Policy()
    assert not Policy(within=Duration())
    assert Policy(tags=(("",),))
    assert Policy(yearly=-1)


def test_a_count_below_all_is_refused() -> None:
    with pytest.raises(BadRetentionRule, match="weekly"):
        Policy(weekly=-2)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(BadMoment, match="yesterday"):
        SnapshotFacts("1", "yesterday")
