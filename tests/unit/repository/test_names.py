"""Names are quoted as Go's strconv quotes them. The expected texts were printed by Go 1.26."""

from hashlib import sha256

import pytest

from pivori.repository.names import TreeDamaged, quote_name, unquote_name
from pivori.repository.printable import is_printable

QUOTED_BY_GO = [
    (b"plain name.txt", "plain name.txt"),
    (b"\x00\x01\x07\b\f\n\r\t\v\x1f\x7f \"\\'`", "\\x00\\x01\\a\\b\\f\\n\\r\\t\\v\\x1f\\x7f \\\"\\\\'`"),
    (b"\xff\xc3\xa9\xc3", "\\xffé\\xc3"),
    ("\u200b\u00a0\u00ad\ufffd\ufeff\U000e0001\U0001f600".encode(), "\\u200b\\u00a0\\u00ad\ufffd\\ufeff\\U000e0001😀"),
    (b"\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82A", r"\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82A"),
    ("\U0001fae8\U0002ebf0\U0001fac3\u2028".encode(), "\U0001fae8\\U0002ebf0\U0001fac3\\u2028"),
    (b"<&>", "<&>"),
]


@pytest.mark.parametrize(("name", "quoted"), QUOTED_BY_GO)
def test_quoting_is_that_of_go(name: bytes, quoted: str) -> None:
    assert quote_name(name) == quoted
    assert unquote_name(quoted) == name


def test_what_prints_is_what_go_prints() -> None:
    """The digest is that of Go's strconv.IsPrint of every code point, written as 1 and 0."""
    answers = bytes(b"01"[is_printable(code_point)] for code_point in range(0x110000))
    assert sha256(answers).hexdigest() == "0326b64c15e91a0583a1d9f8bc53f4bb534adc91a5ae096b55adaf19525ed98d"


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        (r"\141\x61a\u0061\U00000061", b"aaaaa"),
        (r"\377", b"\xff"),
        (r"\u00e9", "é".encode()),
        (r"\xc3\xa9", "é".encode()),
        (r"\\x61", b"\\x61"),
        ("\t\x01\x7f", b"\t\x01\x7f"),
        ("", b""),
    ],
)
def test_escapes_that_go_reads_are_read(stored: str, name: bytes) -> None:
    assert unquote_name(stored) == name


@pytest.mark.parametrize(
    "stored",
    [
        '"',
        'a"b',
        "a\nb",
        "\\",
        "a\\",
        r"\q",
        r"\'",
        r"\x4",
        r"\xg0",
        r"\400",
        r"\12",
        r"\u12",
        r"\ud800",
        r"\U00110000",
        r"\UFFFFFFFF",
        '\\\\"',
        "\\x41\n",
        "\ud800",
        r"\u00６1",
    ],
)
def test_what_go_cannot_unquote_is_damage(stored: str) -> None:
    with pytest.raises(TreeDamaged, match="quoted"):
        unquote_name(stored)


def test_many_different_characters_stay_right() -> None:
    """More characters than are remembered."""
    for start in range(0x4E00, 0x9000, 64):
        text = "".join(map(chr, range(start, start + 64)))
        assert quote_name(text.encode()) == text
