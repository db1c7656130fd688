"""What a mounted folder answers, without a kernel."""

import errno
import os
import stat
from pathlib import Path

import pytest

from pivori.engine.mount import SnapshotView
from pivori.engine.mount.layout import Folder, Link, folder_name, make_layout
from pivori.engine.mount.recent import Recent
from pivori.repository import LoadedSnapshot
from tests.unit.engine.looking import START_NS, Shelf, loaded

CONTENT = os.urandom(5 << 20)


def tree_of(folder: Folder) -> dict[str, object]:
    return {
        os.fsdecode(name): tree_of(item)
        if isinstance(item, Folder)
        else item.target
        if isinstance(item, Link)
        else item.id[:2]
        for name, item in folder.items.items()
    }


def test_layout() -> None:
    snapshots = [
        loaded("aa", 5, tags=["x", "y/z"]),
        loaded("bb", 5, hostname="other"),
        loaded("cc", 0, tags=["x"], time="2023-11-14T23:13:20.123+01:00"),
    ]
    first, second = "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:25Z"
    latest = os.fsencode(second)
    assert tree_of(make_layout(snapshots)) == {
        "ids": {"aa000000": "aa", "bb000000": "bb", "cc000000": "cc"},
        "snapshots": {first: "cc", second: "aa", f"{second}-1": "bb", "latest": latest + b"-1"},
        "hosts": {"h": {first: "cc", second: "aa", "latest": latest}, "other": {second: "bb", "latest": latest}},
        "tags": {"x": {first: "cc", second: "aa", "latest": latest}, "y_z": {second: "aa", "latest": latest}},
    }
    assert tree_of(make_layout([])) == {"ids": {}, "snapshots": {}, "hosts": {}, "tags": {}}


def test_times_that_are_alike_are_numbered() -> None:
    names = make_layout(loaded(name, 5) for name in ("aa", "bb", "cc")).items[b"snapshots"].items
    assert [name[20:] for name in names] == [b"", b"-1", b"-2", b""]


def test_ids_that_begin_alike_are_told_apart() -> None:
    both = [loaded("aaaaaaaa1"), loaded("aaaaaaaa2")]
    names = set(make_layout(both).items[b"ids"].items)
    assert len(names) == 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a", b"a"),
        ("a/b", b"a_b"),
        ("..", b"__"),
        (".", b"_"),
        ("", b"_"),
        ("x\0", b"x_"),
        ("é" * 200, ("é" * 200).encode()[:255]),
    ],
)
def test_folder_names_lead_nowhere_else(text: str, name: bytes) -> None:
    assert folder_name(text) == name


def test_recent_is_bounded_by_weight() -> None:
    made: list[bytes] = []

    def make(name: bytes, size: int) -> bytes:
        made.append(name)
        return bytes(size)

    cache = Recent[bytes](100, len)
    for name, size in ((b"a", 40), (b"b", 40), (b"a", 40), (b"c", 40), (b"a", 40), (b"b", 40)):
        cache.get(name, lambda name=name, size=size: make(name, size))
        assert cache.weight <= 100
    assert made == [b"a", b"b", b"c", b"b"]
    assert len(cache.get(b"huge", lambda: bytes(500))) == 500
    assert cache.weight == 500
    cache.get(b"d", lambda: bytes(10))
    assert cache.weight == 10


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "s")
    (shelf.folder / "large").write_bytes(CONTENT)
    (shelf.folder / "link").symlink_to("large")
    (shelf.folder / "large").chmod(0o4711)
    shelf.keep()
    return shelf


@pytest.fixture
def view(shelf: Shelf) -> SnapshotView:
    return SnapshotView(shelf.repository, shelf.snapshots, owner=(7, 8), cache_bytes=2 << 20)


def inside(shelf: Shelf, name: str) -> bytes:
    return b"/ids/" + shelf.snapshots[0].id[:8].encode() + os.fsencode(shelf.folder / name)


def test_paths(view: SnapshotView, shelf: Shelf) -> None:
    assert isinstance(view.find(b"/"), Folder)
    assert isinstance(view.find(b"/snapshots/latest"), Link)
    assert isinstance(view.find(b"/ids/" + shelf.snapshots[0].id[:8].encode()), LoadedSnapshot)
    assert set(view.entries(view.find(inside(shelf, "")))) == {b"large", b"link"}
    with pytest.raises(FileNotFoundError):
        view.find(b"/ids/nothing")
    with pytest.raises(NotADirectoryError):
        view.find(inside(shelf, "large/below"))
    with pytest.raises(IsADirectoryError):
        view.open(view.find(b"/ids"))
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        view.link(view.find(b"/ids"))


def test_status(view: SnapshotView, shelf: Shelf) -> None:
    status = view.status(view.find(inside(shelf, "large")))
    real = (shelf.folder / "large").stat()
    assert status["st_mode"] == stat.S_IFREG | 0o4711
    for name in ("st_size", "st_nlink", "st_uid", "st_gid"):
        assert status[name] == getattr(real, name)
    assert status["st_mtime"] == real.st_mtime_ns
    assert status["st_blocks"] == (5 << 20) // 512
    link = view.find(inside(shelf, "link"))
    assert (view.status(link)["st_size"], view.link(link)) == (5, b"large")
    top = view.status(view.find(b"/snapshots"))
    assert (top["st_mode"], top["st_uid"], top["st_gid"], top["st_mtime"]) == (stat.S_IFDIR | 0o555, 7, 8, START_NS)


@pytest.mark.parametrize("size", [1, 4096, 131072, 3 << 20])
def test_reading_in_pieces(view: SnapshotView, shelf: Shelf, size: int) -> None:
    file = view.open(view.find(inside(shelf, "large")))
    assert len(file.blobs) > 1
    step = max(size, 200_000)
    for offset in range(0, len(CONTENT) + step, step):
        assert view.read(file, offset, size) == CONTENT[offset : offset + size]
    for end in file.ends:
        assert view.read(file, end - 1, 2) == CONTENT[end - 1 : end + 1]
    assert view.read(file, len(CONTENT) * 2, 10) == b""


def test_a_blob_read_in_small_pieces_is_opened_once(
    view: SnapshotView, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = shelf.repository.read_blob
    file = view.open(view.find(inside(shelf, "large")))
    monkeypatch.setattr(shelf.repository, "read_blob", lambda kind, blob: reads.append(blob) or read(kind, blob))
    content = b"".join(view.read(file, offset, 65536) for offset in range(0, len(CONTENT), 65536))
    assert content == CONTENT
    assert len(reads) == len(file.blobs)
