"""Odd texts in Markdown stay what they are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.stack.markdown import code, code_block, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/my_app_2", "/srv/my_app_2"),
        ("_all_", r"\_all\_"),
        ("*bold* `code` [link](x) <b>", r"\*bold\* \`code\` \[link\](x) \<b>"),
        ("# no heading", r"\# no heading"),
        ("- no item", r"\- no item"),
        ("1. no item", r"1\. no item"),
        ("a &amp; b & c", r"a \&amp; b & c"),
        ("two\nlines", "two lines"),
        ("bell\x07 esc\x1b[31m", r"bell\\x07 esc\\x1b\[31m"),
        ("a\\b", r"a\\b"),
    ],
)
def test_plain_text_is_no_markdown(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("name", "`name`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("``x", "``` ``x ```"),
        (" x ", "`  x  `"),
        ("", "` `"),
        ("a\nb", "`a b`"),
    ],
)
def test_code_has_a_fence_that_nothing_in_it_closes(text: str, shown: str) -> None:
    assert code(text) == shown


@given(st.text())
def test_code_closes_where_it_ends(text: str) -> None:
    """As CommonMark reads it: the first run of backticks as long as the opening one is the last thing there."""
    shown = code(text)
    opening = re.match("`+", shown)
    assert opening is not None
    runs = [found for found in re.finditer("`+", shown) if len(found[0]) == len(opening[0])]
    assert [run.start() for run in runs] == [0, len(shown) - len(opening[0])]
    assert "\n" not in shown


@given(st.lists(st.text()))
def test_a_block_ends_where_it_ends(lines: list[str]) -> None:
    block = code_block(lines).split("\n")
    fence = block[-1]
    assert block[0] == f"{fence}sh"
    assert len(fence) >= 3
    assert all(not line.lstrip().startswith(fence) for line in block[1:-1])
