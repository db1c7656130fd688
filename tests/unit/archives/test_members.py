"""What no archive may hold, case by case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.archives.container import Member, MemberRefused
from pivori.archives.members import (
    HARMLESS,
    ArchiveBomb,
    Item,
    check_against_manifest,
    check_capitals,
    check_expansion,
    check_items,
    colliding,
    plain_name,
)
from pivori.entries import Entry, EntryKind

FILE, DIRECTORY, SYMLINK = EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.SYMLINK


def item(path: bytes, kind: EntryKind | None, link: bytes | None = None) -> Item:
    """What the checks look at, most often no further name of a file."""
    return path, kind, link


@pytest.mark.parametrize(
    "items",
    [
        [item(b"/etc/passwd", FILE)],
        [item(b"../up", FILE)],
        [item(b"a/../../up", FILE)],
        [item(b"a/..", DIRECTORY)],
        [item(b"a//b", FILE)],
        [item(b"a/./b", FILE)],
        [item(b"a\0b", FILE)],
        [item(b"x" * 40000, FILE)],
        [item(b"", FILE)],
        [item(b"dev", None)],
        [item(b"a", FILE), item(b"a", FILE)],
        [item(b"a", DIRECTORY), item(b"a", DIRECTORY)],
        [item(b"a", SYMLINK), item(b"a/b", FILE)],
        [item(b"a/b", FILE), item(b"a", SYMLINK)],
        [item(b"a/b/c/d", FILE), item(b"a/b", SYMLINK)],
        [item(b"a", FILE), item(b"a/b", FILE)],
        [item(b"link", FILE, b"not there")],
        [item(b"link", FILE, b"../outside")],
        [item(b"s", SYMLINK), item(b"link", FILE, b"s")],
        [item(b"a", FILE), item(b"b", FILE, b"a"), item(b"c", FILE, b"b")],
        [item(b"a", FILE, b"a")],
        [item(b"", DIRECTORY, b"not there")],
    ],
    ids=lambda items: b" ".join(path[:20] for path, _, _ in items).decode("ascii", "backslashreplace"),
)
def test_refused(items: list[Item]) -> None:
    with pytest.raises(MemberRefused) as caught:
        check_items("x.zip", items)
    assert caught.value.details["member"] in {path for path, _, _ in items} | {items[0][0][:256]}
    assert "x.zip" in str(caught.value)


def test_ordinary_trees_pass() -> None:
    check_items(
        "x.zip",
        [
            item(b"", DIRECTORY),
            item(b"a/b", FILE),
            item(b"a", DIRECTORY),
            item(b"a.b", FILE),
            item(b"..a", FILE),
            item(b"link", SYMLINK),
            item(b"link.d/x", FILE),
            item(b"other name", FILE, b"a/b"),
        ],
    )


@given(st.lists(st.binary(min_size=1, max_size=6).map(lambda name: name.replace(b"\0", b"/")), max_size=6))
def test_what_passes_stays_inside(names: list[bytes]) -> None:
    try:
        check_items("x", [item(name, FILE) for name in names])
    except MemberRefused:
        return
    assert len(set(names)) == len(names)
    for name in names:
        assert not name.startswith(b"/")
        assert not {b"", b".", b".."} & set(name.split(b"/"))
        assert not any(other != name and name.startswith(other + b"/") for other in names)


@pytest.mark.parametrize(
    ("name", "plain"),
    [(b"./a/b", b"a/b"), (b"a/", b"a"), (b"./", b""), (b".", b""), (b"././a", b"a"), (b"/", b"/"), (b"..", b"..")],
)
def test_harmless_ways_of_writing_a_name(name: bytes, plain: bytes) -> None:
    assert plain_name(name) == plain


def test_capitals_and_accents() -> None:
    assert colliding([b"a", b"b", b"a/c"]) is None
    assert colliding([b"Makefile", b"makefile"]) == (b"Makefile", b"makefile")
    assert colliding(["\u00e9".encode(), "e\u0301".encode()]) is not None
    assert colliding(["Straße".encode(), b"STRASSE"]) is not None
    with pytest.raises(MemberRefused, match="makefile"):
        check_capitals("x", [b"Makefile", b"makefile"])


def test_bombs() -> None:
    check_expansion("x", 1000, [(b"a", HARMLESS)])
    check_expansion("x", 1 << 20, [(b"a", 1 << 30)])
    with pytest.raises(ArchiveBomb) as caught:
        check_expansion("x", 1000, [(b"small", 1), (b"large", HARMLESS), (b"more", 10)])
    assert caught.value.details["member"] == b"large"
    with pytest.raises(ArchiveBomb):
        check_expansion("x", 42_000, [(b"%d" % number, 281 << 30) for number in range(250_000)])


def test_nothing_is_there_that_the_manifest_does_not_know() -> None:
    member = Member(0, b"a", FILE, None, 0, 1)
    entry = Entry(path=b"a", kind=FILE, mode=0, mtime_ns=0)
    check_against_manifest("x", {b"a": member, b".pivori/manifest.json": member}, {b"a": entry})
    with pytest.raises(MemberRefused):
        check_against_manifest("x", {b"a": member, b"b": member}, {b"a": entry})
    with pytest.raises(MemberRefused):
        check_against_manifest("x", {b"a": member._replace(kind=SYMLINK)}, {b"a": entry})
