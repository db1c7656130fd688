"""What a differential backup is relative to."""

import pytest

from pivori.engine.relative import BaseIsDifferential, NoBase, check_base, find_base, strategy_of
from tests.unit.engine.looking import START_NS, loaded

LATER = START_NS + 10**15


def test_the_newest_whole_snapshot_of_the_same_sources_is_the_base() -> None:
    snapshots = [
        loaded("a1", 1, tags=["strategy:complete"]),
        loaded("b2", 2),
        loaded("c3", 3, tags=["strategy:compressed", "mine"]),
        loaded("d4", 4, tags=["strategy:smart"]),
        loaded("e5", 5, tags=["strategy:differential", "base:x"]),
        loaded("f6", 6, hostname="other"),
        loaded("a7", 7, paths=["/p", "/q"]),
    ]
    order = []
    for _ in range(3):
        base = find_base(snapshots, host="h", paths=["/p"], before=LATER)
        order.append(base.id[:2])
        snapshots.remove(base)
    assert order == ["c3", "b2", "a1"]
    with pytest.raises(NoBase):
        find_base(snapshots, host="h", paths=["/p"], before=LATER)


def test_a_later_snapshot_is_no_base_for_an_earlier_one() -> None:
    with pytest.raises(NoBase):
        find_base([loaded("a1", 10)], host="h", paths=["/p"], before=START_NS)


def test_a_differential_snapshot_is_never_a_base() -> None:
    check_base(loaded("a1", tags=["strategy:smart"]))
    with pytest.raises(BaseIsDifferential):
        check_base(loaded("a1", tags=["strategy:differential"]))


def test_the_strategy_is_in_the_tags() -> None:
    assert strategy_of(loaded("a1")) is None
    assert strategy_of(loaded("a1", tags=["x", "strategy:smart"])) == "smart"
