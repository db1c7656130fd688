"""Positions and segments, as the server counts them."""

import pytest

from pivori.components.postgres_physical.lsn import format_lsn, parse_lsn, segment_name, segment_path, segments

MIB = 1 << 20


@pytest.mark.parametrize(
    ("timeline", "lsn", "size", "name"),
    [
        # As pg_walfile_name of servers with such segments says.
        (1, "0/1000000", 16 * MIB, "000000010000000000000001"),
        (1, "0/FFFFFFFF", 16 * MIB, "0000000100000000000000FF"),
        (31, "16/B374D848", 16 * MIB, "0000001F00000016000000B3"),
        (1, "1/0", MIB, "000000010000000100000000"),
        (1, "0/FFFFFFFF", MIB, "000000010000000000000FFF"),
        (2, "3/C0000000", 1024 * MIB, "000000020000000300000003"),
    ],
)
def test_names_of_segments(timeline: int, lsn: str, size: int, name: str) -> None:
    assert segment_name(timeline, parse_lsn(lsn), size) == name


@pytest.mark.parametrize("text", ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"])
def test_positions_are_written_as_they_are_read(text: str) -> None:
    assert format_lsn(parse_lsn(text)) == text


@pytest.mark.parametrize("text", ["12", "x/1", "1/123456789", "1//2", "-1/2"])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_lsn(text)


def test_segments_between_two_positions_and_where_they_are() -> None:
    size = 16 * MIB
    found = segments(1, parse_lsn("0/FE000028"), parse_lsn("1/100"), size)
    assert [(name, length) for name, _first, length in found] == [
        ("0000000100000000000000FE", size),
        ("0000000100000000000000FF", size),
        ("000000010000000100000000", 0x100),
    ]
    assert [segment_path(name, length, size) for name, _first, length in found] == [
        "wal/0000000100000000000000FE",
        "wal/0000000100000000000000FF",
        "wal/000000010000000100000000.partial",
    ]
    assert segments(1, parse_lsn("0/FE000028"), parse_lsn("0/FF000000"), size)[-1][2] == size
