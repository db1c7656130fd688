"""Calendar spans and moments; the expected values are those of Go's time package, which restic computes with."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.engine.durations import BadDuration, BadMoment, Duration, Moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2y5m7d3h", Duration(2, 5, 7, 3)),
        ("3h7d", Duration(days=7, hours=3)),
        ("1d2d", Duration(days=2)),
        (" 48h ", Duration(hours=48)),
        ("", Duration()),
        ("0d", Duration()),
    ],
)
def test_durations_are_read(text: str, expected: Duration) -> None:
    assert Duration.parse(text) == expected


@pytest.mark.parametrize("text", ["5", "d", "5w", "1d 2h", "-1d", "1d-2h", "1234567890y", "٣d", "1.5d", "5D"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadDuration, match="not a duration"):
        Duration.parse(text)


def test_durations_are_written_as_restic_does() -> None:
    assert str(Duration(2, 5, 7, 3)) == "2y5m7d3h"
    assert str(Duration(hours=48)) == "48h"
    assert not Duration()


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-1439, 1439),
    st.integers(0, 999),
)
def test_moments_agree_with_datetime(local: datetime, offset: int, nanoseconds: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    sign = "-" if offset < 0 else "+"
    text = f"{local:%H:%M:%S.%f}{nanoseconds:03}{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    moment = Moment.parse(f"{local.year:04}-{local.month:02}-{local.day:02}T{text}")
    difference = local.replace(tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)
    assert moment.ns == difference // timedelta(microseconds=1) * 1000 + nanoseconds
    assert moment.hour == local.hour
    assert moment.iso_week() == local.isocalendar()[:2]
    assert moment.before(Duration()) == moment.ns


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-10T00:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:00:60Z",
        "2025-01-01T00:00:00+24:00",
        "2025-01-01T00:00:00.Z",
        "2025-01-01T00:00:00",
        "2025-01-01 00:00:00Z",
        "2025-01-01T00:00:00Z\n",
        "٢025-01-01T00:00:00Z",
        "2025-01-01",
        "",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadMoment):
        Moment.parse(text)


@pytest.mark.parametrize(
    ("time", "span", "expected"),
    [
        ("2025-03-31T10:00:00Z", "1m", "2025-03-03T10:00:00Z"),
        ("2024-03-31T10:00:00+02:00", "1m", "2024-03-02T10:00:00+02:00"),
        ("2024-02-29T10:00:00Z", "1y", "2023-03-01T10:00:00Z"),
        ("2024-01-01T00:30:00.5-05:00", "1h", "2023-12-31T23:30:00.5-05:00"),
        ("2024-01-15T00:00:00Z", "1y13m40d25h", "2021-11-03T23:00:00Z"),
        ("2021-01-01T00:00:00Z", "2021y", "0000-01-01T00:00:00Z"),
    ],
)
def test_spans_are_taken_off_the_calendar(time: str, span: str, expected: str) -> None:
    assert Moment.parse(time).before(Duration.parse(span)) == Moment.parse(expected).ns


def test_spans_reach_before_the_calendar() -> None:
    assert Moment.parse("2021-01-01T00:00:00Z").before(Duration(years=9999)) < Moment.parse("0000-01-01T00:00:00Z").ns


def test_year_zero_has_weeks() -> None:
    assert Moment.parse("0000-01-01T00:00:00Z").iso_week() == (-1, 52)
