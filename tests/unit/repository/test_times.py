"""Times are written and read as Go does it. The expected texts were printed by Go 1.26 and restic's year rule."""

import pytest

from pivori.repository import times
from pivori.repository.times import TimeDamaged, format_time, parse_time, valid_times

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (-315619199_877_000_000, "1960-01-01T00:00:00.123Z"),
        (1_709_208_000_120_000_000, "2024-02-29T12:00:00.12Z"),
        (951_827_696 * SECOND, "2000-02-29T12:34:56Z"),
        (4_107_542_399 * SECOND, "2100-02-28T23:59:59Z"),
        (253_402_300_799 * SECOND + 5000, "9999-12-31T23:59:59.000005Z"),
        (-62_167_219_200 * SECOND, "0000-01-01T00:00:00Z"),
        (-62_135_596_800 * SECOND, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_and_read(ns: int, text: str) -> None:
    assert format_time(ns) == text
    assert parse_time(text) == ns


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (253_402_300_800, "9999-01-01T00:00:00Z"),
        (253_407_398_400, "9999-03-01T00:00:00Z"),
        (1 << 40, "9999-02-20T00:36:16Z"),
        (825 * SECOND, "9999-03-18T02:40:00Z"),
        (-62_167_219_201, "0000-12-31T23:59:59Z"),
        (-(1 << 40), "0000-11-12T23:23:44Z"),
        (-70 * SECOND, "0000-10-15T19:33:20Z"),
    ],
)
def test_years_that_json_cannot_hold_are_clamped(second: int, text: str) -> None:
    assert format_time(second * SECOND) == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-02-29T12:00:00.5+02:00", "2024-02-29T10:00:00.5Z"),
        ("2024-01-01T00:30:00+05:45", "2023-12-31T18:45:00Z"),
        ("2023-12-31T23:30:00.123456789-23:59", "2024-01-01T23:29:00.123456789Z"),
        ("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00.1234567899999999999999Z", "2024-01-01T00:00:00.123456789Z"),
        ("2024-01-01T00:00:00.100000000000000000000000+01:00", "2023-12-31T23:00:00.1Z"),
        ("0000-02-29T00:00:00Z", "0000-02-29T00:00:00Z"),
    ],
)
def test_offsets_and_fractions_of_any_length_are_read(text: str, same: str) -> None:
    assert format_time(parse_time(text)) == same
    assert valid_times([text, same])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-00-10T00:00:00Z",
        "2024-13-10T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T23:59:60Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01t00:00:00z",
        "2024-01-01 00:00:00Z",
        "2024-1-01T00:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00+01:60",
        "2024-01-01T00:00:00Z\n",
        "2024-01-01T00:00:00Z\n2024-01-01T00:00:00Z",
        "12024-01-01T00:00:00Z",
        "２０２４-01-01T00:00:00Z",
        "2024-01-01T00:00:00.١Z",
    ],
)
def test_what_is_not_a_time_is_damage(text: str) -> None:
    with pytest.raises(TimeDamaged, match="not a time"):
        parse_time(text)
    assert not valid_times([text])
    assert not valid_times(["2024-01-01T00:00:00Z", text])


def test_no_times_are_valid_times() -> None:
    assert valid_times([])


def test_the_memory_of_seconds_is_bounded() -> None:
    for second in range(times._REMEMBERED_SECONDS + 10):
        format_time(second * SECOND)
    assert len(times._seconds) <= times._REMEMBERED_SECONDS
    assert format_time(5 * SECOND) == "1970-01-01T00:00:05Z"
