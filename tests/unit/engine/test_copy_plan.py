"""Which snapshots count as copied."""

import msgspec

from pivori.engine.copy import plan_copy
from pivori.repository import LoadedSnapshot, Snapshot


def snapshot(number: int, **changes: object) -> LoadedSnapshot:
    plain = Snapshot(time=f"2025-01-01T00:00:{number:02d}Z", tree="aa" * 32, paths=["/srv"], hostname="desk")
    return LoadedSnapshot(f"{number:064x}", msgspec.structs.replace(plain, **changes))


def copied(loaded: LoadedSnapshot, name: int, **changes: object) -> LoadedSnapshot:
    original = loaded.snapshot.original or loaded.id
    return LoadedSnapshot(
        f"{name:064x}", msgspec.structs.replace(loaded.snapshot, parent=None, **{"original": original, **changes})
    )


def ids(snapshots: tuple[LoadedSnapshot, ...]) -> list[str]:
    return [loaded.id for loaded in snapshots]


def test_all_of_them_oldest_first() -> None:
    one, two = snapshot(1), snapshot(2)
    assert ids(plan_copy([two, one], []).copy) == [one.id, two.id]


def test_a_copy_counts() -> None:
    one, two = snapshot(1, parent="bb" * 32), snapshot(2)
    plan = plan_copy([one, two], [copied(one, 100)])
    assert (ids(plan.copy), ids(plan.skip)) == ([two.id], [one.id])


def test_a_copy_of_a_copy_counts() -> None:
    one = snapshot(1)
    assert ids(plan_copy([copied(one, 100)], [copied(one, 200)]).skip) == [f"{100:064x}"]
    assert ids(plan_copy([copied(one, 100)], [one]).skip) == [f"{100:064x}"]


def test_the_same_instant_in_another_zone_is_the_same() -> None:
    one = snapshot(1)
    assert plan_copy([one], [copied(one, 100, time="2025-01-01T01:00:01+01:00")]).skip


def test_a_copy_that_was_edited_does_not_count() -> None:
    one = snapshot(1)
    for change in ({"tags": ["new"]}, {"hostname": "other"}, {"tree": "cc" * 32}, {"paths": ["/other"]}):
        assert ids(plan_copy([one], [copied(one, 100, **change)]).copy) == [one.id]


def test_a_look_alike_with_another_origin_does_not_count() -> None:
    one = snapshot(1)
    assert plan_copy([one], [copied(one, 100, original="dd" * 32)]).copy
