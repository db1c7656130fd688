"""Names, times, modes and nodes survive the way into a tree and back, whatever they are."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pivori.repository.modes import go_mode, node_type, unix_mode
from pivori.repository.names import TreeDamaged, quote_name, unquote_name
from pivori.repository.times import TimeDamaged, format_time, parse_time, valid_times
from pivori.repository.tree import (
    ExtendedAttribute,
    Node,
    assemble_tree,
    decode_tree,
    encode_node,
    link_target,
    raw_name,
    references,
)
from tests.fuzz.targets import fuzz_tree

SEEDS = sorted(path.read_bytes() for path in (Path(__file__).parent.parent / "fuzz" / "corpus" / "tree").iterdir())
FRAGMENTS = [
    b"\\\\",
    b'"',
    b"\\u0000",
    b"/",
    b".",
    b"null",
    b"[",
    b"{",
    b"}",
    b"-",
    b"9" * 20,
    b"1e9",
    b"true",
    b"\xff",
    b"<",
    b"",
]

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
OFFSET = st.integers(0, 2**63 - 1)
YEAR_0 = -62_167_219_200 * 10**9
YEAR_10000 = 253_402_300_800 * 10**9

arbitrary_bytes = st.one_of(
    st.binary(max_size=30),
    st.text(max_size=30).map(str.encode),
    st.text("ab\\\"\n<>&'\u200b\u2028é😀\x7f", max_size=12).map(str.encode),
)
names = arbitrary_bytes.map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_") or b"x").filter(
    lambda name: name not in (b".", b"..")
)
ids = st.binary(min_size=32, max_size=32).map(bytes.hex)
times = st.integers(YEAR_0, YEAR_10000 - 1)
# Text as the system's bytes become it: surrogates stand for bytes that are no UTF-8.
texts = arbitrary_bytes.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
sound_texts = st.text(st.characters(codec="utf-8"), max_size=20)
attributes = st.builds(
    ExtendedAttribute,
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
    value=st.none() | st.binary(max_size=20),
)
links = st.binary(max_size=40).map(lambda target: target.replace(b"\0", b"<"))


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    """Any node that a tree may hold."""
    kind = draw(st.sampled_from(["file", "dir", "symlink", "dev", "chardev", "fifo", "socket"]))
    node = Node(
        name=quote_name(draw(names)),
        type=kind,
        mode=draw(U32),
        mtime=format_time(draw(times)),
        atime=format_time(draw(times)),
        ctime=format_time(draw(times)),
        uid=draw(U32),
        gid=draw(U32),
        user=draw(sound_texts),
        group=draw(sound_texts),
        inode=draw(U64),
        device_id=draw(U64),
        size=draw(OFFSET),
        links=draw(OFFSET),
        device=draw(U64),
        extended_attributes=draw(st.lists(attributes, max_size=3)),
        content=draw(st.lists(ids, max_size=3)) if kind == "file" else None,
        subtree=draw(ids) if kind == "dir" else None,
        error=draw(sound_texts),
    )
    if kind == "symlink":
        target = draw(links)
        node.linktarget = target.decode("utf-8", "surrogateescape")
        if target.decode("utf-8", "replace").encode() != target:
            node.linktarget_raw = target
    if draw(st.booleans()):
        value = draw(st.dictionaries(sound_texts, st.integers() | sound_texts | st.lists(st.none()), max_size=3))
        text = json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        node.generic_attributes = msgspec.Raw(text.encode())
    return node


def sorted_trees() -> st.SearchStrategy[list[Node]]:
    """The nodes of a directory, in the order of a tree."""
    return st.lists(nodes(), max_size=5, unique_by=lambda node: node.name).map(lambda some: sorted(some, key=raw_name))


@given(arbitrary_bytes)
def test_every_name_survives(name: bytes) -> None:
    quoted = quote_name(name)
    assert unquote_name(quoted) == name
    assert quoted.isascii() or not name.isascii()
    assert not any(character < " " or character == "\x7f" for character in quoted)
    quoted.encode()


@given(arbitrary_bytes, arbitrary_bytes)
def test_names_are_quoted_part_by_part(left: bytes, right: bytes) -> None:
    """As long as the parts are whole characters; so two names are never quoted alike."""
    left = left.decode(errors="ignore").encode()
    assert quote_name(left + right) == quote_name(left) + quote_name(right)


@given(st.text("\\xuU0123abdnt\"\n'é", max_size=14) | st.text(max_size=10))
def test_any_stored_name_is_read_or_refused(stored: str) -> None:
    try:
        name = unquote_name(stored)
    except TreeDamaged:
        return
    assert unquote_name(quote_name(name)) == name


@given(times)
def test_every_time_survives(ns: int) -> None:
    text = format_time(ns)
    assert parse_time(text) == ns
    assert valid_times([text])
    assert text.endswith("Z")
    assert not text.endswith(("0Z", ".Z")) or "." not in text


@given(st.integers(-(1 << 80), 1 << 80))
def test_any_integer_becomes_a_time_that_can_be_read(ns: int) -> None:
    again = parse_time(format_time(ns))
    assert YEAR_0 <= again < YEAR_10000
    assert (again - ns) % 86_400_000_000_000 == 0
    assert again == ns or not YEAR_0 <= ns < YEAR_10000


@given(st.datetimes(), st.integers(-1439, 1439))
def test_times_agree_with_the_standard_library(moment: datetime, offset: int) -> None:
    ns = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert format_time(ns)[:19] == moment.isoformat()[:19]
    sign, minutes = ("-" if offset < 0 else "+"), abs(offset)
    local = f"{moment.isoformat()}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    assert parse_time(local) == ns - offset * 60 * 10**9


@given(st.text("0123456789-:.TZ+ ", max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fullmatch=True))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        ns = parse_time(text)
    except TimeDamaged:
        assert not valid_times([text])
        return
    assert valid_times([text])
    assert parse_time(format_time(ns)) == ns


@given(
    st.sampled_from(
        [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK]
    ),
    st.integers(0, 0o7777),
)
def test_every_mode_survives(kind: int, permissions: int) -> None:
    assert unix_mode(go_mode(kind | permissions)) == permissions
    assert node_type(kind | permissions) == node_type(kind)
    assert go_mode(kind | permissions) & go_mode(kind) == go_mode(kind)


@given(sorted_trees())
def test_every_tree_survives(tree: list[Node]) -> None:
    blob = assemble_tree([encode_node(node) for node in tree])
    decoded = decode_tree(blob)
    assert decoded == tree
    assert [raw_name(node) for node in decoded] == [raw_name(node) for node in tree]
    assert [link_target(node) for node in decoded] == [link_target(node) for node in tree]
    assert assemble_tree([encode_node(node) for node in decoded]) == blob
    assert references(blob) == (
        [node.subtree for node in tree if node.subtree],
        [name for node in tree for name in node.content or ()],
    )


@given(sorted_trees())
def test_a_tree_is_json_that_go_would_write(tree: list[Node]) -> None:
    """The same facts for an independent reader, and none of the characters that Go escapes."""
    blob = assemble_tree([encode_node(node) for node in tree])
    document = json.loads(blob)
    assert [node["name"] for node in document["nodes"]] == [node.name for node in tree]
    assert [node["user"] for node in document["nodes"] if "user" in node] == [node.user for node in tree if node.user]
    assert not set(blob.decode()) & set("<>&\u2028\u2029")
    assert blob.endswith(b"]}\n")


@given(texts, links)
def test_bytes_that_are_no_text_never_stop_a_node(text: str, target: bytes) -> None:
    node = Node(name="l", type="symlink", user=text, linktarget=target.decode("utf-8", "surrogateescape"))
    node.linktarget_raw = target
    node.extended_attributes = [ExtendedAttribute("user." + text.replace("\0", ""), b"")]
    (decoded,) = decode_tree(assemble_tree([encode_node(node)]))
    assert link_target(decoded) == target
    assert len(decoded.user) == len(text)


@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(FRAGMENTS) | st.binary(max_size=3)), max_size=4
    ),
)
def test_damaged_trees_are_read_or_refused(blob: bytes, changes: list[tuple[float, int, bytes]]) -> None:
    for place, length, fragment in changes:
        start = int(place * len(blob))
        blob = blob[:start] + fragment + blob[start + length :]
    fuzz_tree(blob)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(blob: bytes) -> None:
    fuzz_tree(blob)
