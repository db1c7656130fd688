"""The lines of keys in a TOML text."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.settings.stack_file.lines import Path, find_lines

TEXT = '''\
# a comment with [a.table] in it
top = 1
"quoted key" = "a # is no comment"
'lite.ral'.x = 2
a.b."c d" = """
x = "no key"
[nor a table]
""" # after
list = [
  1, "]",  # ] here
  [2,
   3],
  { in = 1, "line" = { deep = [1,
    2] } },
]

[one.two]
key = "tab\\tand \\"quote\\""
"esc\\u0061ped" = 1979-05-27T07:32:00Z
[[items]]
name = 'first'
hooks = [{ before = "x = y", after = 'z' }]
[items.sub]
deep = true
[[items]]
name = \'\'\'
second\'\'\'
last = 5 # five
[[items.parts]]
a = 1
[[items.parts]]
a = 2
[ spaced . out ]
k=1'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key",), 3),
        (("lite.ral", "x"), 4),
        (("a",), 5),
        (("a", "b", "c d"), 5),
        (("list",), 9),
        (("list", 0), 10),
        (("list", 1), 10),
        (("list", 2, 0), 11),
        (("list", 2, 1), 12),
        (("list", 3, "in"), 13),
        (("list", 3, "line", "deep", 1), 14),
        (("one",), 17),
        (("one", "two", "key"), 18),
        (("one", "two", "escaped"), 19),
        (("items",), 20),
        (("items", 0), 20),
        (("items", 0, "name"), 21),
        (("items", 0, "hooks", 0, "after"), 22),
        (("items", 0, "sub"), 23),
        (("items", 0, "sub", "deep"), 24),
        (("items", 1), 25),
        (("items", 1, "name"), 26),
        (("items", 1, "last"), 28),
        (("items", 1, "parts", 1, "a"), 32),
        (("spaced", "out", "k"), 34),
        (("items", 1, "missing"), 25),
        (("one", "two", "missing", "deeper"), 17),
    ],
)
def test_every_key_has_its_line(path: Path, line: int) -> None:
    tomllib.loads(TEXT)
    assert find_lines(TEXT).of(path) == line


def test_quotation_marks_at_the_end_of_a_long_text_belong_to_it() -> None:
    text = "a = \"\"\"x\n\"\"\"\"\"\nb = '''y'''''\nc = 1\n"
    assert tomllib.loads(text) == {"a": 'x\n""', "b": "y''", "c": 1}
    assert [find_lines(text).of((key,)) for key in "abc"] == [1, 3, 4]


def test_what_is_not_there_has_no_line() -> None:
    assert find_lines(TEXT).of(("missing", "deeper")) is None
    assert find_lines("").of(("x",)) is None


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[[",
        "a",
        "a.",
        "a =",
        "a = [",
        "a = {",
        "a = {b",
        '"',
        'a = """x',
        "]",
        "=",
        "[a]]",
        "a = [1 2]",
        "[" * 5000,
        "a = " + "[" * 5000 + "]" * 5000,
        'a = "\\UFFFFFFFF"',
        '"\\UFFFFFFFF" = 1',
        "\x00",
        "a = 1 b = 2",
    ],
)
def test_what_is_no_toml_ends_the_search(text: str) -> None:
    assert find_lines("first = 1\n" + text).of(("first",)) == 1


@given(st.text(alphabet="ab.=\"'[]{},# \n\\1", max_size=60))
def test_it_never_fails_and_always_ends(text: str) -> None:
    find_lines(text).of(("a", 0, "b"))


VALUES = st.recursive(
    st.integers(0, 9) | st.booleans() | st.text(alphabet="ab\"'#=[]{}\n\\é", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab .#", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text('abc .#"=', min_size=1, max_size=4), VALUES, max_size=4))
def test_all_keys_of_what_a_writer_of_toml_writes_are_found(data: dict[str, object]) -> None:
    import tomlkit

    text = tomlkit.dumps(data)
    read = tomllib.loads(text)
    lines = find_lines(text)

    def check(path: Path, value: object) -> None:
        if path:
            assert path in lines.known
        if isinstance(value, dict):
            for key, item in value.items():
                check((*path, key), item)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                check((*path, number), item)

    check((), read)
