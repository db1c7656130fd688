"""A tree from a hostile or broken repository is refused with one sentence, never half read."""

import sys
from typing import Any

import msgspec
import pytest

from pivori.errors import PivoriError
from pivori.repository import tree as tree_module
from pivori.repository.tree import TreeDamaged, assemble_tree, decode_tree, references

ID = "ab" * 32
TIME = "2024-02-29T00:00:00.5Z"
FILE: dict[str, Any] = {"name": "a", "type": "file", "mtime": TIME, "content": [ID]}
DIRECTORY: dict[str, Any] = {"name": "d", "type": "dir", "content": None, "subtree": ID}
LINK: dict[str, Any] = {"name": "l", "type": "symlink", "linktarget": "x"}


def tree_of(*nodes: dict[str, Any]) -> bytes:
    return assemble_tree([msgspec.json.encode(node) for node in nodes])


def refused(blob: bytes) -> str:
    """The reason for which a tree is refused."""
    with pytest.raises(TreeDamaged) as caught:
        decode_tree(blob)
    assert isinstance(caught.value, PivoriError)
    assert caught.value.code == "tree-damaged"
    assert str(caught.value)
    return str(caught.value.details["reason"])


def test_the_sound_nodes_of_these_tests_are_read() -> None:
    assert len(decode_tree(tree_of(FILE, DIRECTORY, LINK))) == 3


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "a/b", "../a", "/etc", r"\x2e", r"\x2e.", r"a\x2fb", r"\057", r"a\x00", "a\0", r"\u0000"],
)
def test_names_that_are_no_component_of_a_path_are_refused(name: str) -> None:
    for other in ([], [FILE], [FILE, DIRECTORY]):
        assert "name" in refused(tree_of(*other, LINK | {"name": name}))
        refused(tree_of(LINK | {"name": name}, *other))


@pytest.mark.parametrize("name", ['a"b', "a\\", r"\q", r"\ud800", "a\nb"])
def test_names_that_are_not_quoted_are_refused(name: str) -> None:
    assert "quoted" in refused(tree_of(LINK | {"name": name}))


@pytest.mark.parametrize("other", ["a", r"\x61", r"\141", r"\u0061"])
def test_a_name_is_there_once_however_it_is_written(other: str) -> None:
    assert "twice" in refused(tree_of(FILE, DIRECTORY, FILE | {"name": other}))


def test_names_that_look_alike_are_two_names() -> None:
    names = ["é", "e\u0301", r"\xe9", r"\\xe9", "É"]
    assert [node.name for node in decode_tree(tree_of(*(FILE | {"name": name} for name in names)))] == names


@pytest.mark.parametrize(
    "node",
    [
        FILE | {"content": None},
        {"name": "a", "type": "file"},
        FILE | {"content": [ID[:-1]]},
        FILE | {"content": [ID + "a"]},
        FILE | {"content": [ID[:-1], "a" + ID]},
        FILE | {"content": [ID.upper()]},
        FILE | {"content": ["é" * 64]},
        FILE | {"content": ["g" * 64]},
        FILE | {"content": [None]},
        FILE | {"content": {}},
        FILE | {"content": ID},
        DIRECTORY | {"subtree": None},
        {"name": "d", "type": "dir"},
        DIRECTORY | {"subtree": ""},
        DIRECTORY | {"subtree": ID[1:]},
        DIRECTORY | {"subtree": "../" + ID[3:]},
        DIRECTORY | {"subtree": [ID]},
        FILE | {"type": "irregular"},
        FILE | {"type": ""},
        FILE | {"type": "File"},
        FILE | {"type": None},
        {"name": "a"},
        {"type": "fifo"},
        FILE | {"name": 5},
        FILE | {"name": None},
        FILE | {"name": ["a"]},
        FILE | {"size": -1},
        FILE | {"size": 2**63},
        FILE | {"size": 1.5},
        FILE | {"size": "1"},
        FILE | {"size": True},
        FILE | {"uid": -1},
        FILE | {"uid": 2**32},
        FILE | {"gid": 2**32},
        FILE | {"mode": 2**32},
        FILE | {"mode": -1},
        FILE | {"links": -1},
        FILE | {"user": 7},
        FILE | {"mtime": 0},
        FILE | {"mtime": "yesterday"},
        FILE | {"atime": "2023-02-29T00:00:00Z"},
        FILE | {"ctime": TIME + "\n" + TIME},
        FILE | {"ctime": ""},
        LINK | {"linktarget": "a\0b"},
        LINK | {"linktarget_raw": "AA=="},
        LINK | {"linktarget_raw": "A"},
        LINK | {"linktarget": 1},
        FILE | {"extended_attributes": {}},
        FILE | {"extended_attributes": [1]},
        FILE | {"extended_attributes": [{"name": "user.a", "value": "!"}]},
        FILE | {"extended_attributes": [{"name": "user.a\0", "value": ""}]},
        FILE | {"extended_attributes": [{"name": "", "value": ""}]},
        FILE | {"extended_attributes": [{"value": ""}]},
        FILE | {"generic_attributes": []},
        FILE | {"generic_attributes": "{"},
        FILE | {"generic_attributes": None},
        [],
        "node",
        None,
    ],
)
def test_nodes_that_make_no_sense_are_refused(node: Any) -> None:
    refused(tree_of(node))
    refused(tree_of(FILE | {"name": "0"}, node, DIRECTORY | {"name": "z"}))


@pytest.mark.parametrize("field", ["inode", "device_id", "device"])
def test_numbers_over_64_bits_are_refused(field: str) -> None:
    node = msgspec.json.encode(FILE)[:-1] + b',"%s":%%d}' % field.encode()
    assert getattr(decode_tree(assemble_tree([node % (2**64 - 1)]))[0], field) == 2**64 - 1
    assert "too large" in refused(assemble_tree([node % 2**64]))
    refused(assemble_tree([node % -1]))
    refused(assemble_tree([node.replace(b"%d", b"9" * 10_000)]))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b'{"nodes":null}',
        b'{"nodes":{}}',
        b'{"nodes":[]',
        b'{"nodes":[]}x',
        b'{"nodes":[],}',
        b'\xef\xbb\xbf{"nodes":[]}',
        b'{"nodes":[{"name":"\xff","type":"fifo"}]}',
        b'{"nodes":[{"name":"\\ud800","type":"fifo"}]}',
        b'{"nodes":[{"name":"\\ud800\\u0041","type":"fifo"}]}',
        b'{"nodes":[{"name":"a","type":"fifo","x":' + b"[" * 200_000,
        b'{"nodes":[{"name":"a","type":"fifo","generic_attributes":' + b'{"":' * 200_000,
        b'{"x":' + b"[" * 200_000,
        b"[" * 200_000,
    ],
)
def test_what_is_not_the_json_of_a_tree_is_refused(blob: bytes) -> None:
    refused(blob)
    if b'"name"' not in blob:
        with pytest.raises(TreeDamaged):
            references(blob)


@pytest.mark.parametrize(
    "node", [FILE | {"content": ["g" * 64]}, FILE | {"content": [ID[1:]]}, DIRECTORY | {"subtree": "/" * 64}]
)
def test_references_that_are_no_ids_are_refused(node: dict[str, Any]) -> None:
    with pytest.raises(TreeDamaged):
        references(tree_of(FILE, node))


def test_a_tree_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = tree_of(FILE)
    monkeypatch.setattr(tree_module, "MAXIMUM_TREE_SIZE", len(blob) - 1)
    assert "larger" in refused(blob)
    with pytest.raises(TreeDamaged):
        references(blob)


def test_the_blob_is_not_kept_in_memory_by_its_nodes() -> None:
    """What is passed on untouched is a copy, not a view of the whole blob."""
    blob = tree_of(FILE | {"generic_attributes": {"a": 1}})
    references_before = sys.getrefcount(blob)
    (node,) = decode_tree(blob)
    assert node.generic_attributes == msgspec.Raw(b'{"a":1}')
    assert sys.getrefcount(blob) == references_before
