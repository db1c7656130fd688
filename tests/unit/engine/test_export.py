"""Archives: sizes, links, and what happens to what is damaged."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from pivori.archives.tar_format import TarEntry, acl_text, header
from pivori.engine.export import LeftOutOfArchive, NotAFile, export_file, export_tree
from pivori.engine.listing import Entry
from pivori.engine.restore.items import find_subtree
from pivori.errors import PivoriError
from pivori.repository import BlobId, BlobKind, BlobMissing
from pivori.storage import Kind
from tests.unit.engine.looking import Shelf, never

LARGE = os.urandom(9 << 20)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "s")
    (shelf.folder / "large").write_bytes(LARGE)
    (shelf.folder / "small").write_bytes(b"small")
    for name in ("z", "zz"):
        os.link(shelf.folder / "large", shelf.folder / name)
    (shelf.folder / "zeros").write_bytes(bytes(3 << 20))
    shelf.keep()
    return shelf


def archive(shelf: Shelf, on_problem: object = never) -> "dict[str, tuple[bytes, bytes | None]]":
    pieces = list(export_tree(shelf.repository, shelf.tree(), None, on_problem=on_problem))
    assert max(map(len, pieces)) <= 8 << 20
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        for member in tar:
            file = tar.extractfile(member)
            found[member.name] = member.type, file.read() if file else None
    return found


def test_contents_and_links(shelf: Shelf) -> None:
    assert archive(shelf) == {
        "large": (tarfile.REGTYPE, LARGE),
        "small": (tarfile.REGTYPE, b"small"),
        "z": (tarfile.LNKTYPE, LARGE),
        "zz": (tarfile.LNKTYPE, LARGE),
        "zeros": (tarfile.REGTYPE, bytes(3 << 20)),
    }


def test_a_file(shelf: Shelf) -> None:
    tree, node = find_subtree(shelf.repository, shelf.tree(), b"/large")
    assert node is not None
    assert b"".join(export_file(shelf.repository, node, b"/a")) == LARGE
    directory = shelf.repository.read_tree(shelf.snapshots[0].snapshot.tree)[0]
    with pytest.raises(NotAFile):
        list(export_file(shelf.repository, directory, b"/a"))
    assert tree == shelf.tree()


def test_a_directory_brings_its_own_entry(shelf: Shelf) -> None:
    tree, node = find_subtree(shelf.repository, shelf.snapshots[0].snapshot.tree, os.fsencode(shelf.folder))
    assert node is not None
    pieces = export_tree(shelf.repository, tree, Entry(b"/x/s", node), on_problem=never)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        assert tar.getnames() == ["x/s", "x/s/large", "x/s/small", "x/s/z", "x/s/zeros", "x/s/zz"]


def test_sockets_are_left_out(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """No backup of today holds one; those of old repositories do."""
    nodes = shelf.repository.read_tree(shelf.tree())
    small = next(node for node in nodes if node.name == "small")
    small.name, small.type, small.content = "socket", "socket", None
    monkeypatch.setattr(shelf.repository, "read_tree", lambda _tree: nodes)
    tree = shelf.snapshots[0].snapshot.tree
    heard: list[tuple[bytes, PivoriError]] = []
    pieces = export_tree(shelf.repository, tree, None, on_problem=lambda path, error: heard.append((path, error)))
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        assert tar.getnames() == ["large", "z", "zeros", "zz"]
    assert [(path, type(error)) for path, error in heard] == [(b"/socket", LeftOutOfArchive)]


def spoil(shelf: Shelf, name: str) -> None:
    """Damage the last blob of a file, where it lies."""
    _, node = find_subtree(shelf.repository, shelf.tree(), os.fsencode(name))
    assert node is not None
    assert node.content
    location = shelf.repository.index.find(BlobKind.DATA, BlobId(bytes.fromhex(node.content[-1])))
    assert location is not None
    packs = shelf.storage._objects[Kind.PACK]
    content = bytearray(packs[location.pack.hex()])
    content[location.offset + 20] ^= 1
    packs[location.pack.hex()] = bytes(content)


def test_damage_becomes_zeros_and_is_told(shelf: Shelf) -> None:
    spoil(shelf, "large")
    heard: list[bytes] = []
    found = archive(shelf, lambda path, _error: heard.append(path))
    assert heard == [b"/large"]
    content = found["large"][1]
    assert content is not None
    assert len(content) == len(LARGE)
    sound = next(number for number in range(len(LARGE)) if content[number] != LARGE[number])
    assert 0 < sound < len(LARGE)
    assert not content[sound:].strip(b"\0")
    assert found["small"] == (tarfile.REGTYPE, b"small")


def test_a_damaged_file_alone_is_an_error(shelf: Shelf) -> None:
    spoil(shelf, "large")
    _, node = find_subtree(shelf.repository, shelf.tree(), b"large")
    assert node is not None
    with pytest.raises(PivoriError):
        list(export_file(shelf.repository, node, b"/a"))


def test_what_is_not_in_the_index_is_left_out_with_its_links_kept(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, node = find_subtree(shelf.repository, shelf.tree(), b"small")
    assert node is not None
    assert node.content
    lost = bytes.fromhex(node.content[0])
    find = shelf.repository.index.find
    monkeypatch.setattr(shelf.repository.index, "find", lambda kind, blob: None if blob == lost else find(kind, blob))
    heard: list[tuple[bytes, PivoriError]] = []
    found = archive(shelf, lambda path, error: heard.append((path, error)))
    assert set(found) == {"large", "z", "zeros", "zz"}
    assert [(path, type(error)) for path, error in heard] == [(b"/small", BlobMissing)]


def entry(**changes: object) -> TarEntry:
    values: dict[str, object] = {
        "name": b"n", "kind": ord("0"), "mode": 0o644, "uid": 1, "gid": 2, "user": "u", "group": "g", "mtime_ns": 0,
    }  # fmt: skip
    return TarEntry(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"size": (8 << 30) - 1}, "size", (8 << 30) - 1),
        ({"size": 8 << 30}, "size", 8 << 30),
        ({"uid": 1 << 21}, "uid", 1 << 21),
        ({"gid": (1 << 32) - 1}, "gid", (1 << 32) - 1),
        ({"mtime_ns": 1_500_000_000}, "mtime", 1.5),
        ({"mtime_ns": -1_500_000_000}, "mtime", -1.5),
        ({"mtime_ns": -2_000_000_000}, "mtime", -2),
        ({"mtime_ns": (1 << 33) * 10**9}, "mtime", 1 << 33),
        ({"name": b"a" * 100}, "name", "a" * 100),
        ({"name": b"d/" * 400 + b"e"}, "name", "d/" * 400 + "e"),
        ({"name": b"\xff"}, "name", "\udcff"),
        ({"name": "é".encode()}, "name", "é"),
        ({"kind": ord("2"), "target": b"t" * 101}, "linkname", "t" * 101),
        ({"kind": ord("2"), "target": b"\xff"}, "linkname", "\udcff"),
        ({"user": "ü" * 20}, "uname", "ü" * 20),
        ({"group": "g" * 32}, "gname", "g" * 32),
        ({"mode": 0o7777}, "mode", 0o7777),
        ({"kind": ord("4"), "device": os.makedev(259, 70000)}, "devminor", 70000),
    ],
)
def test_headers_say_what_they_were_given(changes: dict[str, object], attribute: str, value: object) -> None:
    data = header(entry(**changes))
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data + bytes(1024))) as tar:
        member = tar.firstmember
    assert member is not None
    assert getattr(member, attribute) == value


def test_a_record_counts_its_own_digits() -> None:
    for length in (80, 87, 88, 89, 90, 91, 980, 985, 986, 987, 988, 990):
        data = header(entry(attributes=[(b"user.a", b"v" * length)]))
        with tarfile.open(fileobj=io.BytesIO(data + bytes(1024))) as tar:
            assert tar.firstmember is not None
            assert tar.firstmember.pax_headers == {"SCHILY.xattr.user.a": "v" * length}


def test_acls_as_text() -> None:
    def acl(*entries: tuple[int, int, int]) -> bytes:
        parts = [
            tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + who.to_bytes(4, "little")
            for tag, bits, who in entries
        ]
        return (2).to_bytes(4, "little") + b"".join(parts)

    nobody = (1 << 32) - 1
    value = acl((1, 6, nobody), (2, 7, 1234), (4, 4, nobody), (8, 1, 99), (16, 7, nobody), (32, 0, nobody))
    assert acl_text(value) == b"user::rw-,user:1234:rwx,group::r--,group:99:--x,mask::rwx,other::---"
    for wrong in (b"", b"\x01\0\0\0", value[:-1], acl((3, 0, 0))):
        assert acl_text(wrong) is None
