"""Groups, and plans that never empty one by mistake."""

import pytest

from pivori.engine.forget_plan import (
    BadGrouping,
    GroupKey,
    LastSnapshots,
    group,
    parse_grouping,
    plan_forget,
    plan_removal,
)
from pivori.engine.retention import NoRetentionRule, Policy, SnapshotFacts

NOW_NS = 1_900_000_000_000_000_000
SNAPSHOTS = [
    SnapshotFacts("1", "2025-11-01T00:00:00Z", "web", ("/b", "/a"), ("nightly",)),
    SnapshotFacts("2", "2025-11-02T00:00:00Z", "web", ("/a", "/b")),
    SnapshotFacts("3", "2025-11-03T00:00:00Z", "db", ("/a", "/b")),
    SnapshotFacts("4", "2025-11-04T00:00:00Z", "db", ("/a",), ("y", "x")),
]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("host,paths", [("db", ["4"]), ("db", ["3"]), ("web", ["1", "2"])]),
        ("host", [("db", ["3", "4"]), ("web", ["1", "2"])]),
        ("tags", [("", ["2", "3"]), ("", ["1"]), ("", ["4"])]),
        ("", [("", ["1", "2", "3", "4"])]),
    ],
)
def test_snapshots_are_grouped(by: str, expected: list[tuple[str, list[str]]]) -> None:
    groups = group(SNAPSHOTS, parse_grouping(by))
    assert [(each.key.host, [snapshot.id for snapshot in each.snapshots]) for each in groups] == expected


def test_a_key_says_what_its_snapshots_share() -> None:
    (*_, last) = group(SNAPSHOTS, {"host", "paths", "tags"})
    assert last.key == GroupKey("web", ("/a", "/b"), ("nightly",))
    assert last.key.title == "host web, paths /a, /b, tags nightly"


def test_groupings_are_read_in_singular_and_plural() -> None:
    assert parse_grouping("hosts, path,tag") == {"host", "paths", "tags"}
    with pytest.raises(BadGrouping, match="size"):
        parse_grouping("host,size")
    with pytest.raises(BadGrouping):
        group(SNAPSHOTS, {"size"})


def test_each_group_is_decided_on_its_own() -> None:
    plan = plan_forget(group(SNAPSHOTS, {"host"}), Policy(last=1), now_ns=NOW_NS)
    assert [snapshot.id for snapshot in plan.remove] == ["3", "1"]
    assert [kept.snapshot.id for kept in plan.keep] == ["4", "2"]


@pytest.mark.parametrize("allow_empty", [False, True])
def test_a_policy_without_a_rule_is_refused(allow_empty: bool) -> None:
    with pytest.raises(NoRetentionRule):
        plan_forget(group(SNAPSHOTS), Policy(), now_ns=NOW_NS, allow_empty=allow_empty)


def test_a_mistyped_tag_costs_no_history() -> None:
    groups = group(SNAPSHOTS, {"host"})
    policy = Policy(tags=(("nihgtly",),))
    with pytest.raises(LastSnapshots, match="host db"):
        plan_forget(groups, policy, now_ns=NOW_NS)
    assert len(plan_forget(groups, policy, now_ns=NOW_NS, allow_empty=True).remove) == 4


def test_named_snapshots_are_removed_and_others_left_alone() -> None:
    plan = plan_removal(group(SNAPSHOTS, {"host"}), {"1"})
    assert [snapshot.id for snapshot in plan.remove] == ["1"]
    assert [(kept.snapshot.id, [str(reason) for reason in kept.reasons]) for kept in plan.keep] == [
        ("2", ["not named"])
    ]


def test_the_last_of_a_group_is_removed_by_name_only_on_demand() -> None:
    groups = group(SNAPSHOTS)
    with pytest.raises(LastSnapshots, match="host db, paths /a"):
        plan_removal(groups, {"3"})
    assert [snapshot.id for snapshot in plan_removal(groups, {"3"}, allow_empty=True).remove] == ["3"]
