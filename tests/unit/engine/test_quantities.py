"""Sizes, shares and counts as people write them."""

from collections.abc import Callable

import pytest

from pivori.engine.quantities import (
    BadCount,
    BadLimit,
    BadSize,
    BadSubset,
    Part,
    Percent,
    Size,
    parse_count,
    parse_limit,
    parse_size,
    parse_subset,
)
from pivori.errors import PivoriError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("500", 500),
        ("500b", 500),
        ("1k", 1024),
        ("2G", 2 << 30),
        ("2GiB", 2 << 30),
        ("2 gb", 2 << 30),
        ("1.5M", 3 << 19),
        (" 3T ", 3 << 40),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/10", Part(1, 10)),
        ("10 / 10", Part(10, 10)),
        ("5%", Percent(5)),
        ("0.5 %", Percent(0.5)),
        ("100%", Percent(100)),
        ("2G", Size(2 << 30)),
    ],
)
def test_subsets(text: str, expected: object) -> None:
    assert parse_subset(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("5%", Percent(5)), ("0%", Percent(0)), ("0", Size(0)), ("2M", Size(2 << 20))]
)
def test_limits(text: str, expected: object) -> None:
    assert parse_limit(text) == expected


def test_unlimited() -> None:
    assert parse_limit("unlimited") is None
    assert parse_count("Unlimited") == parse_count("-1") == -1
    assert parse_count(" 7 ") == 7


@pytest.mark.parametrize(
    ("parse", "text", "error"),
    [
        (parse_size, "", BadSize),
        (parse_size, "-1", BadSize),
        (parse_size, "2X", BadSize),
        (parse_size, "1e9", BadSize),
        (parse_size, "2٣", BadSize),
        (parse_subset, "0/10", BadSubset),
        (parse_subset, "11/10", BadSubset),
        (parse_subset, "1/0", BadSubset),
        (parse_subset, "0%", BadSubset),
        (parse_subset, "101%", BadSubset),
        (parse_subset, "0", BadSubset),
        (parse_subset, "unlimited", BadSubset),
        (parse_limit, "101%", BadLimit),
        (parse_limit, "1/10", BadLimit),
        (parse_count, "-2", BadCount),
        (parse_count, "seven", BadCount),
        (parse_count, "", BadCount),
    ],
)
def test_what_cannot_be_read_is_named(parse: Callable[[str], object], text: str, error: type[PivoriError]) -> None:
    with pytest.raises(error) as caught:
        parse(text)
    assert f"“{text}”" in str(caught.value)
    assert caught.value.exit_status == 2
