"""Which archives stay: the rules, and what no rule can take."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.engine.archive.pruning import ArchiveFacts, Fate, PruneRules, Verdict, plan_prune
from pivori.engine.retention import NoRetentionRule, Policy

NOW = datetime(2025, 12, 1, 4, 0, tzinfo=UTC)
WHOLE, DAMAGED, UNKNOWN = Verdict.WHOLE, Verdict.DAMAGED, Verdict.UNKNOWN


def facts(days: float, strategy: str = "complete", **more: object) -> ArchiveFacts:
    """An archive so many days old."""
    made = NOW - timedelta(days=days)
    options = {"root": "/srv", "id": f"id {days}", "verdict": WHOLE} | more
    return ArchiveFacts(path=Path(f"/b/{strategy}-{days}"), time=made.isoformat(), strategy=strategy, **options)


def plan(archives: list[ArchiveFacts], *, days: int | None = None, **rules: int) -> dict[str, Fate]:
    """The fates by file name."""
    older = None if days is None else int((NOW - timedelta(days=days)).timestamp() * 1e9)
    fates = plan_prune(
        archives, PruneRules(policy=Policy(**rules), older_than_ns=older), now_ns=int(NOW.timestamp() * 1e9)
    )
    return {fate.archive.path.name: fate for fate in fates}


def gone(fates: dict[str, Fate]) -> set[str]:
    return {name for name, fate in fates.items() if not fate.stays}


def test_plain_age() -> None:
    fates = plan([facts(1), facts(29), facts(31), facts(60)], days=30)
    assert gone(fates) == {"complete-31", "complete-60"}
    assert [reason.message for reason in fates["complete-60"].reasons] == ["it is old enough, and no rule keeps it"]


def test_the_rules_of_forget() -> None:
    fates = plan([facts(days) for days in range(10)], daily=3)
    assert gone(fates) == {f"complete-{days}" for days in range(3, 10)}
    assert str(fates["complete-1"].reasons[0]) == "daily archive"


def test_with_age_and_rules_either_keeps() -> None:
    fates = plan([facts(days) for days in (1, 2, 40, 50)], days=30, monthly=2)
    assert "complete-50" in gone(fates)
    assert not {"complete-1", "complete-2"} & gone(fates)
    assert "complete-40" not in gone(fates)


def test_each_strategy_and_root_on_its_own() -> None:
    archives = [
        facts(1),
        facts(2),
        facts(3, "smart"),
        facts(4, "smart"),
        facts(5, root="/other"),
        facts(6, root="/other"),
    ]
    assert gone(plan(archives, last=1)) == {"complete-2", "smart-4", "complete-6"}


def test_the_only_good_one_stays_however_old() -> None:
    assert gone(plan([facts(500)], days=30)) == set()
    assert gone(plan([facts(100, verdict=DAMAGED), facts(400, verdict=WHOLE), facts(500)], days=30)) == {
        "complete-100",
        "complete-500",
    }


def test_the_newest_that_is_known_to_be_whole_stays_beside_a_newer_one() -> None:
    fates = plan([facts(40, verdict=UNKNOWN), facts(50, verdict=WHOLE), facts(60, verdict=WHOLE)], days=30)
    assert gone(fates) == {"complete-60"}


def test_when_backups_have_stopped_the_last_ones_stay() -> None:
    archives = [facts(40, "smart", verdict=UNKNOWN), facts(41, "smart", verdict=UNKNOWN)]
    assert gone(plan(archives, days=30)) == {"smart-41"}


def test_the_base_of_what_stays_stays() -> None:
    archives = [
        facts(1, "differential", base_id="id 90"),
        facts(35),
        facts(40, "differential", base_id="id 95"),
        facts(90),
        facts(95),
    ]
    fates = plan(archives, days=30)
    assert gone(fates) == {"differential-40", "complete-95"}
    assert [str(reason) for reason in fates["complete-90"].reasons] == ["differential-1 is relative to it"]


def test_the_base_of_one_that_cannot_be_read_is_known_by_its_name_or_guessed() -> None:
    closed = facts(1, "differential", id="", base_name="complete-90")
    assert gone(plan([closed, facts(35), facts(90), facts(95)], days=30)) == {"complete-95"}
    unknown = facts(1, "differential", id="")
    # The newest complete one from before: what `create` takes.
    assert gone(plan([facts(0.5), unknown, facts(35), facts(90)], days=30)) == {"complete-90"}


def test_what_may_be_the_base_stays_while_nobody_can_tell() -> None:
    archives = [facts(1, "differential", base_id="lost"), facts(40), facts(50, id=""), facts(60)]
    assert gone(plan(archives, days=30)) == {"complete-60"}


def test_what_others_wrote_stays() -> None:
    fates = plan([facts(1), facts(400, is_ours=False, doubt="it has no manifest")], days=30)
    assert gone(fates) == set()
    assert str(fates["complete-400"].reasons[0]) == "this program did not write it: it has no manifest"


def test_without_a_rule_nothing_is_decided() -> None:
    with pytest.raises(NoRetentionRule):
        plan([facts(1)])


ARCHIVES = st.lists(
    st.builds(
        lambda days, strategy, verdict, root, base: facts(
            days, strategy, verdict=verdict, root=root, base_id=f"id {base}" if strategy == "differential" else ""
        ),
        st.integers(0, 100),
        st.sampled_from(["complete", "smart", "differential"]),
        st.sampled_from(list(Verdict)),
        st.sampled_from(["/a", "/b"]),
        st.integers(0, 100),
    ),
    max_size=15,
    unique_by=lambda each: each.path,
)


@given(archives=ARCHIVES, days=st.integers(0, 100), last=st.integers(0, 3))
def test_whatever_the_rules(archives: list[ArchiveFacts], days: int, last: int) -> None:
    fates = plan(archives, days=days, last=last)
    assert len(fates) == len(archives)
    stay = [fate.archive for fate in fates.values() if fate.stays]
    assert all(fate.reasons for fate in fates.values())
    ids = {each.id for each in stay}
    here = {each.id for each in archives if not each.is_differential}
    for each in stay:
        if each.is_differential and each.base_id in here:
            assert each.base_id in ids
    for root in {each.root for each in archives}:
        complete = [each for each in archives if each.root == root and each.strategy == "complete"]
        whole = [each for each in complete if each.verdict is WHOLE]
        if whole:
            assert max(whole, key=lambda each: each.time) in stay
