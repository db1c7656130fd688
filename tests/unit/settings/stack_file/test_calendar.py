"""When something is done regularly."""

import pytest

from pivori.settings.stack_file.calendar import checked_calendar


@pytest.mark.parametrize(
    "text",
    [
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "30 2 * * *",
        "*/5 0-6,22 1,15 jan-mar MON-fri",
        "0 0 31 12 7",
        "0-30/10 * * * *",
    ],
)
def test_what_says_a_time(text: str) -> None:
    assert checked_calendar(text) == text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "five fields"),
        ("yearly", "five fields"),
        ("* * * *", "five fields"),
        ("60 * * * *", "“60” is no minute"),
        ("* 24 * * *", "“24” is no hour"),
        ("* * 0 * *", "“0” is no day of the month"),
        ("* * * 13 *", "“13” is no month"),
        ("* * * * 8", "“8” is no day of the week"),
        ("* * * * mon-sun", "“mon-sun” is no day of the week"),
        ("5-1 * * * *", "“5-1” is no minute"),
        ("*/0 * * * *", "“*/0” is no minute"),
        ("1, * * * *", "“1,” is no minute"),
        ("² * * * *", "is no minute"),
    ],
)
def test_what_says_none(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named.replace("*", r"\*")):
        checked_calendar(text)
