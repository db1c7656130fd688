"""Which snapshot a text means, filters, and the parent of a backup."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.repository.selection import (
    AmbiguousSnapshot,
    LoadedSnapshot,
    NoSnapshotBefore,
    NoSnapshots,
    NotASnapshotName,
    SnapshotNotFound,
    TooFewSnapshots,
    find,
    newest_first,
    parent_for,
    parse_moment,
    parse_tags,
    select,
    split_subtree,
)
from pivori.repository.snapshot import Snapshot
from pivori.repository.times import format_time

SECOND = 1_000_000_000
PARIS = ZoneInfo("Europe/Paris")


def at(text: str) -> int:
    """Nanoseconds since the epoch of ISO text in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def made(
    id: str,
    time: str | int = "2025-11-08 12:00",
    *,
    host: str = "web",
    paths: Sequence[str] = ("/srv",),
    tags: Sequence[str] = (),
) -> LoadedSnapshot:
    time_ns = at(time) if isinstance(time, str) else time
    snapshot = Snapshot(time=format_time(time_ns), tree="a" * 64, paths=list(paths), hostname=host, tags=list(tags))
    return LoadedSnapshot(id.ljust(64, "0"), snapshot)


MONDAY = made("ab1", "2025-11-03 10:00")
TUESDAY = made("ab2", "2025-11-04 10:00")
FRIDAY = made("c3", "2025-11-07 23:30")
WEEK = [TUESDAY, FRIDAY, MONDAY]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("latest", FRIDAY),
        ("latest~0", FRIDAY),
        ("latest~1", TUESDAY),
        ("latest~2", MONDAY),
        ("c", FRIDAY),
        ("C3", FRIDAY),
        ("ab1", MONDAY),
        (TUESDAY.id, TUESDAY),
        ("@2025-11-07T23:30", FRIDAY),
        ("@2025-11-07T23:29", TUESDAY),
        ("@2025-11-07 23:29", TUESDAY),
        ("@2025-11-07", FRIDAY),
        ("@2025-11-06", TUESDAY),
        ("@2025-11-04", TUESDAY),
        ("@2025-11-03", MONDAY),
        ("@2099-01-01", FRIDAY),
        ("@2025-11-08T00:30+01:00", FRIDAY),
        ("@2025-11-08T00:29+01:00", TUESDAY),
        ("@2025-11-07T23:30Z", FRIDAY),
    ],
)
def test_what_a_text_means(text: str, wanted: LoadedSnapshot) -> None:
    assert find(WEEK, text, zone=UTC) is wanted
    assert find(WEEK[::-1], text, zone=UTC) is wanted


@pytest.mark.parametrize(
    "text",
    [
        *("", "newest", "latest~", "latest~-1", "latest~x", "latest ", "g1", "a" * 65, "ab1\n", "-1"),
        *("@", "@now", "@2025-13-01", "@2025-2-1", "@2025-11-08T", "@2025-11-08T24:00", "@2025-11-08T12:00:61"),
        *("@2025-11-08T12:00+25:00", "@2025-11-08Z", "@٢٠٢٥-11-08", "@9999-12-31", "@0000-01-01"),
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(NotASnapshotName) as caught:
        find(WEEK, text, zone=UTC)
    assert "latest~2" in caught.value.hint
    assert caught.value.exit_status == 1


def test_nothing_fits() -> None:
    with pytest.raises(SnapshotNotFound, match="There is no snapshot ff"):
        find(WEEK, "ff")
    with pytest.raises(TooFewSnapshots, match="the oldest is latest~2"):
        find(WEEK, "latest~3")
    with pytest.raises(NoSnapshotBefore, match=r"ab100000, is from 2025-11-03 10:00:00\."):
        find(WEEK, "@2025-11-03T09:59", zone=UTC)
    with pytest.raises(NoSnapshotBefore, match=r"from 2025-11-03 11:00:00\."):
        find(WEEK, "@2025-11-03T09:59", zone=PARIS)
    for text in ("latest", "@2025-11-03"):
        with pytest.raises(NoSnapshots) as caught:
            find([], text)
        assert "filters" in caught.value.hint
    with pytest.raises(SnapshotNotFound):
        find([], "a")


def test_a_short_prefix_shows_the_candidates_apart() -> None:
    with pytest.raises(AmbiguousSnapshot, match="ab fits 2 snapshots: ab100000, ab200000"):
        find(WEEK, "ab")
    alike = [made("f" * 20 + digit) for digit in "0123456"]
    with pytest.raises(AmbiguousSnapshot) as caught:
        find(alike, "f")
    shown = str(caught.value.details["candidates"]).split(", ")
    assert shown == ["f" * 20 + digit for digit in "01234"] + ["…"]


def test_the_same_snapshot_listed_twice_is_not_ambiguous() -> None:
    assert find([MONDAY, MONDAY], "ab1") is MONDAY


def test_at_the_same_time_the_greater_id_is_newer() -> None:
    one, two = made("1"), made("2")
    assert find([two, one], "latest") is find([one, two], "latest") is two


def test_a_minute_is_its_beginning_and_a_second_is_all_of_it() -> None:
    noon = at("2025-11-08 12:00")
    assert parse_moment("2025-11-08T12:00", zone=UTC) == noon
    assert parse_moment("2025-11-08T12:00:00", zone=UTC) == noon + SECOND - 1
    assert parse_moment("2025-11-08T12:00:00.25", zone=UTC) == noon + SECOND // 4
    assert parse_moment("2025-11-08T12:00:00.000000001Z", zone=PARIS) == noon + 1
    assert parse_moment("2025-11-08", zone=UTC) == at("2025-11-09") - 1


def test_a_moment_that_is_recorded_is_the_one_that_is_written() -> None:
    noon = at("2025-11-08 12:00")
    assert parse_moment("2025-11-08T12:00", zone=UTC, start=True) == noon
    assert parse_moment("2025-11-08T12:00:30", zone=UTC, start=True) == noon + 30 * SECOND
    assert parse_moment("2025-11-08 12:00:30.25", zone=UTC, start=True) == noon + 30 * SECOND + SECOND // 4
    assert parse_moment("2025-11-08", zone=PARIS, start=True) == at("2025-11-07 23:00")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-07-01T12:00", "2025-07-01 10:00"),
        ("2025-12-01T12:00", "2025-12-01 11:00"),
        # The clock is set back at 03:00: of the two moments the earlier one is meant.
        ("2025-10-26T02:30", "2025-10-26 00:30"),
    ],
)
def test_moments_are_local(text: str, utc: str) -> None:
    assert parse_moment(text, zone=PARIS) == at(utc)


def test_a_day_ends_at_the_local_midnight_even_if_it_has_25_hours() -> None:
    assert parse_moment("2025-10-26", zone=PARIS) == at("2025-10-26 23:00") - 1
    assert parse_moment("2025-10-25", zone=PARIS) == at("2025-10-25 22:00") - 1


def test_no_zone_is_the_one_of_the_machine() -> None:
    here = datetime(2025, 7, 1, 12).astimezone()
    assert parse_moment("2025-07-01T12:00") == round(here.timestamp()) * SECOND


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_any_moment_is_read(moment: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    whole = moment.replace(microsecond=0, tzinfo=zone)
    start = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * SECOND
    plain = f"{whole:%H:%M:%S}"
    day = f"{whole.year:04d}-{whole.month:02d}-{whole.day:02d}"
    assert parse_moment(f"{day} {plain}", zone=zone) == start + SECOND - 1
    assert parse_moment(f"{day}T{plain}.5", zone=zone) == start + SECOND // 2


@given(st.text())
def test_any_text_is_found_or_refused(text: str) -> None:
    with suppress(SnapshotNotFound, AmbiguousSnapshot):
        assert find(WEEK, text) in WEEK


ids = st.text("0123456789abcdef", min_size=64, max_size=64)
histories = st.lists(st.builds(made, ids, st.integers(0, 5).map(lambda n: n * SECOND)), max_size=8)


@given(histories, st.text("0123456789abcdef", min_size=1, max_size=3))
def test_a_prefix_finds_the_only_one_that_has_it(history: list[LoadedSnapshot], prefix: str) -> None:
    fitting = {loaded.id for loaded in history if loaded.id.startswith(prefix)}
    if len(fitting) == 1:
        assert {find(history, prefix).id} == fitting
    else:
        with pytest.raises(AmbiguousSnapshot if fitting else SnapshotNotFound):
            find(history, prefix)


@given(histories, st.integers(0, 9))
def test_latest_counts_back(history: list[LoadedSnapshot], back: int) -> None:
    ordered = newest_first(history)
    assert [loaded.time_ns for loaded in ordered] == sorted((loaded.time_ns for loaded in history), reverse=True)
    if back < len(history):
        assert find(history, f"latest~{back}") == ordered[back]
    else:
        with pytest.raises(SnapshotNotFound):
            find(history, f"latest~{back}")


@given(histories, st.integers(0, 6))
def test_a_moment_finds_the_last_one_until_then(history: list[LoadedSnapshot], second: int) -> None:
    fitting = [loaded for loaded in newest_first(history) if loaded.time_ns <= second * SECOND]
    text = f"@1970-01-01T00:00:0{second}.0"
    if fitting:
        assert find(history, text, zone=UTC) == fitting[0]
    else:
        with pytest.raises(SnapshotNotFound):
            find(history, text, zone=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("latest", ("latest", b"")),
        ("ab12", ("ab12", b"")),
        ("ab12:", ("ab12", b"")),
        ("ab12:/", ("ab12", b"")),
        ("ab12:/srv/app", ("ab12", b"/srv/app")),
        ("ab12:srv/app", ("ab12", b"/srv/app")),
        ("latest~2://srv/./app//", ("latest~2", b"/srv/app")),
        ("latest:/a:b/c:/d", ("latest", b"/a:b/c:/d")),
        ("latest:/caf\udce9", ("latest", b"/caf\xe9")),
        ("latest:/é", ("latest", "/é".encode())),
        ("@2025-11-08T12:00", ("@2025-11-08T12:00", b"")),
        ("@2025-11-08T12:00:30", ("@2025-11-08T12:00:30", b"")),
        ("@2025-11-08T12:00:/srv", ("@2025-11-08T12:00", b"/srv")),
        ("@2025-11-08T12:00+01:00:/srv/x", ("@2025-11-08T12:00+01:00", b"/srv/x")),
        ("@2025-11-08:/", ("@2025-11-08", b"")),
        ("latest:/a..b/...", ("latest", b"/a..b/...")),
    ],
)
def test_a_subtree_is_split_off(text: str, wanted: tuple[str, bytes]) -> None:
    assert split_subtree(text) == wanted


@pytest.mark.parametrize("text", ["latest:/..", "latest:/a/../b", "latest:../x"])
def test_a_subtree_has_no_way_up(text: str) -> None:
    with pytest.raises(NotASnapshotName):
        split_subtree(text)


FILTERED = [
    made("1", host="web", paths=["/srv", "/etc"], tags=["db", "night"]),
    made("2", host="web", paths=["/srv"], tags=["db"]),
    made("3", host="mail", paths=["/etc"], tags=["night"]),
    made("4", host="mail", paths=["/srv"]),
]


@pytest.mark.parametrize(
    ("hosts", "tags", "paths", "wanted"),
    [
        ([], [], [], "1234"),
        (["web"], [], [], "12"),
        (["web", "mail"], [], [], "1234"),
        (["other"], [], [], ""),
        ([], ["db"], [], "12"),
        ([], ["db,night"], [], "1"),
        ([], ["db, night "], [], "1"),
        ([], ["db", "night"], [], "123"),
        ([], [""], [], "4"),
        ([], ["", "db"], [], "124"),
        ([], ["db,"], [], ""),
        ([], [], ["/srv"], "124"),
        ([], [], ["/srv", "/etc"], "1"),
        ([], [], ["/sr"], ""),
        (["mail"], ["night", ""], ["/etc"], "3"),
    ],
)
def test_filters_are_those_of_restic(hosts: list[str], tags: list[str], paths: list[str], wanted: str) -> None:
    found = select(FILTERED, hosts=hosts, tags=[parse_tags(text) for text in tags], paths=paths)
    assert "".join(loaded.id[0] for loaded in found) == wanted


def test_the_parent_has_the_same_host_and_exactly_the_same_paths() -> None:
    older, newer = made("1", 10, paths=["/a", "/b"]), made("2", 20, paths=["/b", "/a"])
    others = [
        made("3", 30, paths=["/a", "/b"], host="mail"),
        made("4", 30, paths=["/a"]),
        made("5", 30, paths=["/a", "/b", "/c"]),
    ]
    history = [newer, older, *others]
    assert parent_for(history, host="web", paths=["/a", "/b"], before=100) is newer
    assert parent_for(history, host="web", paths=["/a", "/b"], before=20) is newer
    assert parent_for(history, host="web", paths=["/a", "/b"], before=19) is older
    assert parent_for(history, host="web", paths=["/a", "/b"], before=9) is None
    assert parent_for([], host="web", paths=["/a"], before=9) is None
