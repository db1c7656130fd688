"""Names that cannot harm a terminal, and the notation of sizes, durations and numbers."""

import gettext
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori import translation
from pivori.cli import wording as w

SENTENCES = {
    "1.5": "1,5",
    "1,000": "1\u202f000",
    "{number} B": "{number} o",
    "{number} GiB": "{number} Gio",
    "{number}%": "{number} %",
}


class French(gettext.NullTranslations):
    """The few sentences a French notation is made of."""

    def gettext(self, message: str) -> str:
        return SENTENCES.get(message, message)


@pytest.fixture
def french(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "_active", French())


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (1_503_238_553, "1.4 GiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (1 << 40, "1.0 TiB"),
        (5 << 60, "5,120.0 PiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_bytes(count: int, expected: str) -> None:
    assert w.show_bytes(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (42, "42 s"),
        (59.7, "1 min 00 s"),
        (192, "3 min 12 s"),
        (3599.9, "1 h 00 min"),
        (5 * 3600 + 120, "5 h 02 min"),
        (86399, "1 d 0 h"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert w.show_duration(seconds) == expected


def test_numbers_and_percents() -> None:
    assert w.show_number(1234567) == "1,234,567"
    assert w.show_decimal(1234.56) == "1,234.6"
    assert w.show_decimal(7, 0) == "7"
    assert [w.show_percent(value) for value in (-1, 0.429, 0.9999, 1, 3)] == ["0%", "42%", "99%", "100%", "100%"]


@pytest.mark.usefixtures("french")
def test_the_catalogue_decides_the_notation() -> None:
    assert w.show_bytes(1_503_238_553) == "1,4 Gio"
    assert w.show_bytes(1000) == "1\u202f000 o"
    assert w.show_number(1234567) == "1\u202f234\u202f567"
    assert w.show_percent(0.5) == "50 %"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"/home/ada/plain name", "/home/ada/plain name"),
        ("/café/日本".encode(), "/café/日本"),
        (b"back\\slash", "back\\slash"),
        (b"caf\xe9", "caf\\xe9"),
        (b"a\nb\\c", "a\\nb\\\\c"),
        (b"\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("evil\u202egnp.exe".encode(), "evil\\u202egnp.exe"),
        ("\u200binvisible".encode(), "\\u200binvisible"),
        (b"", ""),
    ],
)
def test_names(name: bytes, expected: str) -> None:
    assert w.show_path(name) == expected


@given(st.binary(max_size=40))
def test_no_name_reaches_the_terminal_unescaped(name: bytes) -> None:
    shown = w.show_path(name)
    assert not [character for character in shown if unicodedata.category(character) in ("Cc", "Cf", "Cs")]
    shown.encode()


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_escaped_names_are_not_ambiguous(one: bytes, two: bytes) -> None:
    escaped = [name for name in (one, two) if w.show_path(name).encode() != name]
    if len(escaped) == 2 and one != two:
        assert w.show_path(one) != w.show_path(two)


def test_messages_keep_their_lines() -> None:
    assert w.safe_text("one\ntwo\x1b[31m\r") == "one\ntwo\\x1b[31m\\r"
    assert w.safe_cell("one\ntwo") == "one\\ntwo"


@given(st.text(max_size=60), st.integers(min_value=0, max_value=50))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert w.display_width(w.shorten(text, width)) <= max(width, w.display_width(text) if not text else width)


def test_shortening_keeps_the_ends() -> None:
    assert w.shorten("/home/ada/projects/engine/plan.txt", 16) == "/home…e/plan.txt"
    assert w.shorten("short", 16) == "short"
    assert w.display_width("日本e\u0301") == 5
