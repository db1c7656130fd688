"""A repository written by somebody who has the key: nothing gets out of the target, nothing grows without bound."""

import json
import os
import shutil
import stat
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pivori.repository import BlobId, BlobKind, blob_id
from pivori.repository.crypto import OVERHEAD
from pivori.storage import Kind
from tests.broken.forging import PASSWORD, TIME, Forger, limited, node, tree_json
from tests.compat.hostile_tree import facts
from tests.conftest import Pivori

ROOT = os.geteuid() == 0
FAILURE, INCOMPLETE, LOCKED, WRONG_PASSWORD = 1, 3, 11, 12
INSIDE = "a file of the snapshot"


class Scene:
    """A forged repository, a target, and beside it what nothing may touch."""

    def __init__(self, folder: Path, program: Pivori) -> None:
        self.forger = Forger(folder / "repository")
        self.program = program
        self.outside = folder / "outside"
        self.target = folder / "inner" / "target"
        self.outside.mkdir()
        self.target.parent.mkdir()
        (self.outside / "precious").write_text("precious")
        (self.outside / "precious").chmod(0o600)
        (self.target.parent / "precious").write_text("precious")
        self._before = facts(self.outside), (self.target.parent / "precious").stat()

    def run(self, *arguments: str | Path, expect: int, program: Pivori | None = None) -> str:
        """Run a command; what it printed. It has to end in an orderly way."""
        command, *rest = arguments
        options = ("-r", self.forger.folder, *rest)
        result = (program or self.program)(command, *options, expect=None, PIVORI_PASSWORD=PASSWORD)
        said = result.stdout + result.stderr
        assert result.returncode == expect, said
        assert "nternal error" not in said
        assert "Traceback" not in said
        if expect:
            assert said.strip()
        return said

    def restore(self, *options: str, expect: int = INCOMPLETE, limit: bool = False, snapshot: str = "latest") -> str:
        """Restore, and look after what is not to be touched."""
        program = limited(self.program) if limit else None
        said = self.run("restore", snapshot, "--target", self.target, *options, expect=expect, program=program)
        self.nothing_outside_changed()
        return said

    def nothing_outside_changed(self) -> None:
        """The canaries live."""
        assert facts(self.outside) == self._before[0]
        assert sorted(path.name for path in self.target.parent.iterdir()) in (["precious"], ["precious", "target"])
        now = (self.target.parent / "precious").stat()
        assert (now.st_mtime_ns, now.st_mode, now.st_nlink) == (
            self._before[1].st_mtime_ns, self._before[1].st_mode, 1,
        )  # fmt: skip

    def good(self, name: str = "good") -> dict[str, Any]:
        """A sound file."""
        return node(name, content=[self.forger.data(INSIDE.encode())], size=len(INSIDE))

    def good_came_back(self) -> None:
        """The sound file is there, whatever else went wrong."""
        assert (self.target / "good").read_text() == INSIDE


@pytest.fixture
def scene(tmp_path: Path, pivori: Pivori) -> Scene:
    """An empty forged repository."""
    return Scene(tmp_path, pivori)


# ------------------------------------------------------------------------------------ names and places

NAMES = [
    "..", ".", "../outside/evil", "/evil", "a/b", "../precious", "\\x2e\\x2e", "\\x2e\\x2e\\x2foutside\\x2fevil",
    "..\\u002foutside", "nul\\x00", "nul\u0000byte", "", "\\", "half \\x4", 'a"quote', "line\nbreak",
    "\\U0011ffff", "\\ud800",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["file", "dir", "symlink"])
def test_names_that_are_no_names(scene: Scene, kind: str) -> None:
    """Each in a folder of its own; no part of such a folder is restored, everything else is."""
    forger = scene.forger
    extra = {"subtree": forger.tree(scene.good("evil"))} if kind == "dir" else {}
    content = {"content": [forger.data(b"evil")], "size": 4} if kind == "file" else {}
    link = {"linktarget": str(scene.outside)} if kind == "symlink" else {}
    evil = [node(name, kind, **extra, **content, **link) for name in NAMES]
    folders = [forger.folder_node(f"folder {number}", each) for number, each in enumerate(evil)]
    forger.snapshot(*folders, scene.good())
    said = scene.restore("--json")
    assert said.count("folder ") >= len(NAMES)
    scene.good_came_back()
    assert [path.name for path in scene.target.iterdir()] == ["good"]


def test_a_root_of_such_names(scene: Scene) -> None:
    scene.forger.snapshot(node("..", "dir", subtree=scene.forger.tree(scene.good("evil"))), scene.good())
    scene.restore(expect=FAILURE)


@pytest.mark.parametrize("first", ["file", "symlink"])
def test_the_same_name_twice(scene: Scene, first: str) -> None:
    """A link, then a file or folder through it."""
    forger = scene.forger
    link = node("a", "symlink", linktarget=str(scene.outside)) if first == "symlink" else scene.good("a")
    through = forger.folder_node("a", node("precious", content=[forger.data(b"evil")], size=4))
    escaped = {**through, "name": "\\x61"}
    for number, pair in enumerate(([link, through], [through, link], [link, escaped])):
        forger.snapshot(forger.folder_node("pair", *pair), node(f"{number}"), scene.good())
        (snapshot,) = [each.id for each in scene.forger.repository.snapshots()]
        scene.restore(snapshot=snapshot)
        scene.good_came_back()
        scene.forger.storage.delete(Kind.SNAPSHOT, snapshot)


def test_a_link_becomes_a_folder_in_the_next_snapshot(scene: Scene) -> None:
    """Restored one over the other: the link of the first leads nowhere for the second."""
    forger = scene.forger
    links = [node(name, "symlink", linktarget=str(scene.outside)) for name in ("a", "precious")]
    first = forger.snapshot(*links)
    evil = node("precious", content=[forger.data(b"evil")], size=4, mode=0o777)
    second = forger.snapshot(forger.folder_node("a", evil), evil)
    for options in ([], ["--delete"], ["--sparse"]):
        scene.restore("--delete", snapshot=first, expect=0)
        assert (scene.target / "a").is_symlink()
        scene.restore(*options, snapshot=second, expect=0)
        assert (scene.target / "a" / "precious").read_text() == "evil"
        assert not (scene.target / "a").is_symlink()
    scene.restore(snapshot=first, expect=INCOMPLETE)
    assert (scene.target / "a" / "precious").read_text() == "evil"


def test_names_that_differ_by_case_only(scene: Scene) -> None:
    scene.forger.snapshot(*(scene.good(name) for name in ("GOOD", "Good", "good")))
    scene.restore(expect=0)
    scene.good_came_back()


# ------------------------------------------------------------------------------------ what nodes say


def test_names_of_one_inode_with_different_content(scene: Scene) -> None:
    """Numbers that claim that different things are one."""
    forger = scene.forger
    shared = {"inode": 7, "device_id": 9, "links": 2**63 - 1}
    contents = [b"first", b"second", b"third" * 300_000, b""]
    files = [
        node(f"file {number}", content=[forger.data(content)] if content else [], size=len(content), **shared)
        for number, content in enumerate(contents)
    ]
    link = node("a link", "symlink", linktarget=str(scene.outside / "precious"), **shared)
    other = node("another link", "symlink", linktarget="elsewhere", **shared)
    forger.snapshot(link, other, *files, {**files[0], "name": "file 0 again"})
    scene.restore(expect=0)
    for number, content in enumerate(contents):
        path = scene.target / f"file {number}"
        assert path.read_bytes() == content
        assert path.stat().st_nlink == (2 if number == 0 else 1)
    assert (scene.target / "another link").readlink() == Path("elsewhere")


def test_sizes_that_lie(scene: Scene) -> None:
    """What is restored is what the blobs hold, never padded or cut; comparing says that something is wrong."""
    content = INSIDE.encode()
    blob = scene.forger.data(content)
    sizes = (0, 5, len(content) - 1, len(content) + 1, 50_000, 2**40, 2**63 - 1)
    scene.forger.snapshot(*(node(f"{size}", content=[blob, blob], size=size) for size in sizes))
    for options, expect in (([], 0), (["--sparse"], 0), (["--verify"], INCOMPLETE)):
        scene.restore(*options, expect=expect)
        for path in scene.target.iterdir():
            assert path.read_bytes() == content * 2


def test_attributes_times_owners_and_modes_that_cannot_be(scene: Scene) -> None:
    """The content comes back; what cannot be applied is reported."""
    attributes = [
        {"name": name, "value": "eA=="}
        for name in ("user.", "user." + "n" * 300, "../x", "no namespace", "system.posix_acl_access", "security.x\ny")
    ]
    odd = [
        scene.good("attributes") | {"extended_attributes": attributes},
        scene.good("large attribute") | {"extended_attributes": [{"name": "user.a", "value": "eHh4" * 200_000}]},
        scene.good("owner") | {"uid": 2**32 - 1, "gid": 2**32 - 1, "user": "../root\n", "group": "x" * 10_000},
        scene.good("time") | {"mtime": "9999-12-31T23:59:59.999999999-23:59", "atime": "0000-01-01T00:00:00+23:59"},
        scene.good("mode") | {"mode": 2**32 - 1},
        node("long link", "symlink", linktarget="x" * 100_000),
        node("empty link", "symlink", linktarget=""),
        node("n" * 5000),
    ]
    scene.forger.snapshot(*odd, scene.good())
    scene.restore()
    scene.good_came_back()
    for name in ("attributes", "large attribute", "owner", "time", "mode"):
        assert (scene.target / name).read_text() == INSIDE
    scene.restore("--owners-by-name")


def test_devices_that_cannot_be(scene: Scene) -> None:
    numbers = (0, 2**32 - 1, 2**63, 2**64 - 1)
    nodes = [
        node(f"{kind} {number}", kind, device=number, mode=0o666) for kind in ("dev", "chardev") for number in numbers
    ]
    scene.forger.snapshot(*nodes, scene.good())
    program = scene.program
    status = program("restore", "latest", "-r", scene.forger.folder, "--target", scene.target, expect=None,
                     PIVORI_PASSWORD=PASSWORD)  # fmt: skip
    assert status.returncode in (0, INCOMPLETE), status.stderr
    scene.nothing_outside_changed()
    scene.good_came_back()
    for path in scene.target.iterdir():
        assert path.name == "good" or stat.S_ISBLK(path.lstat().st_mode) or stat.S_ISCHR(path.lstat().st_mode)


# ------------------------------------------------------------------------------------ wrong types everywhere

TREES = [
    b"", b"null", b"{}", b"[]", b'{"nodes":null}', b'{"nodes":{}}', b'{"nodes":[null]}', b'{"nodes":[[]]}',
    b'{"nodes":[{}]}', b'{"nodes":[1]}', b"[" * 100_000, b'{"nodes":' * 50_000, b"\xff\xfe", b'{"nodes":[',
    b'{"nodes":[]}' * 2,
    *(tree_json(node("x") | wrong) for wrong in (
        {"name": 5}, {"name": None}, {"type": "door"}, {"type": 3}, {"mode": -1}, {"mode": "x"}, {"mode": 2**40},
        {"mtime": 5}, {"mtime": "yesterday"}, {"mtime": "2024-02-30T00:00:00Z"}, {"uid": 1.5}, {"uid": 2**33},
        {"size": -1}, {"size": 2**64}, {"content": "ab"}, {"content": ["ab"]}, {"content": [None]},
        {"content": ["Z" * 64]}, {"content": [["ab" * 32]]}, {"content": None}, {"inode": 2**70}, {"links": -1},
        {"extended_attributes": {}}, {"extended_attributes": [{"name": "user.a", "value": "%"}]},
        {"type": "dir"}, {"type": "dir", "subtree": "../../x"}, {"type": "dir", "subtree": 5},
        {"type": "symlink", "linktarget": 5}, {"type": "symlink", "linktarget": "nul\0"}, {"device": "x"},
    )),
]  # fmt: skip


def test_trees_that_are_none(scene: Scene) -> None:
    """Each is a folder that is reported; the others come back."""
    folders = [scene.forger.folder_node(f"{number}", raw=raw) for number, raw in enumerate(TREES)]
    scene.forger.snapshot(*folders, scene.good())
    said = scene.restore("--json")
    told = {each.get("path") for each in map(json.loads, said.splitlines()) if each.get("name") == "file-not-restored"}
    assert {str(number) for number in range(len(TREES))} <= told
    scene.good_came_back()
    assert [path.name for path in scene.target.iterdir()] == ["good"]


VALUES = [b"", b"null", b"[]", b"{}", b"5", b'"x"', b"[" * 100_000, b"\xff", b"\x02", b"\x02garbage", b"\x03{}", b"{"]
SNAPSHOT = {"time": TIME, "tree": "ab" * 32, "paths": ["/src"]}
INDEX_ROW = {"id": "ab" * 32, "type": "data", "offset": 0, "length": 50}


def documents(sound: dict[str, Any], *changes: dict[str, Any]) -> list[bytes]:
    """The values that are no objects at all, and what is left of a sound one."""
    return VALUES + [json.dumps(sound | change).encode() for change in changes]


@pytest.mark.parametrize("kind", [Kind.SNAPSHOT, Kind.INDEX, Kind.LOCK])
def test_objects_that_are_none(scene: Scene, kind: Kind) -> None:
    """One at a time, then all together where that is the same; each time a clear refusal."""
    broken = {
        Kind.SNAPSHOT: documents(
            SNAPSHOT, {"time": 5}, {"time": "x"}, {"tree": "../x"}, {"tree": 5}, {"paths": 5}, {"paths": [5]},
            {"tags": {}}, {"uid": -1}, {"summary": 5}, {"summary": {"files_new": "x"}},
        ),
        Kind.INDEX: documents({}, {"packs": 5}, {"packs": [5]}, {"packs": [{"id": "../x", "blobs": []}]},
            *({"packs": [{"id": "ab" * 32, "blobs": [INDEX_ROW | row]}]} for row in (
                {"offset": -1}, {"offset": 2**40}, {"length": 0}, {"length": -5}, {"length": 2**64},
                {"uncompressed_length": -1}, {"uncompressed_length": "x"}, {"type": "door"}, {"type": None},
                {"id": "ab"}, {"id": 5}, {"id": "x" * 64},
            ))),
        Kind.LOCK: documents({}, {"time": TIME, "exclusive": "x"}, {"time": 5},
            {"time": TIME, "exclusive": True, "pid": []}),
    }[kind]  # fmt: skip
    scene.forger.snapshot(scene.good())
    command = ("backup", scene.outside) if kind is Kind.LOCK else ("restore", "latest", "--target", scene.target)
    expect = LOCKED if kind is Kind.LOCK else FAILURE
    if kind is Kind.SNAPSHOT:
        for snapshot in scene.forger.repository.snapshots():
            scene.forger.storage.delete(Kind.SNAPSHOT, snapshot.id)
    for plain in broken[::3]:
        name = scene.forger.sealed(kind, plain)
        scene.run(*command, expect=expect)
        scene.forger.storage.delete(kind, name)
    for plain in broken:
        scene.forger.sealed(kind, plain)
    scene.run(*command, expect=expect)
    scene.nothing_outside_changed()


CONFIG = {"version": 2, "id": "ab" * 32, "chunker_polynomial": "3da3358b4dc173"}


@pytest.mark.parametrize(
    "plain",
    documents(CONFIG, {"version": "2"}, {"version": 99}, {"version": -1}, {"chunker_polynomial": "0"},
              {"chunker_polynomial": "f" * 10_000}, {"chunker_polynomial": 5}, {"id": 5}, {"id": "../../x"})[::2],
)  # fmt: skip
def test_configs_that_are_none(scene: Scene, plain: bytes) -> None:
    scene.forger.config(plain)
    scene.restore(expect=FAILURE)


def test_keys_that_are_none(scene: Scene) -> None:
    """Beside the good key each is passed over; alone, nothing opens."""
    scene.forger.snapshot(scene.good())
    (good,) = (scene.forger.folder / "keys").iterdir()
    key = json.loads(good.read_bytes())
    broken = documents(key, {"kdf": "md5"}, {"N": 0}, {"N": 3}, {"N": 2**62}, {"r": 2**40}, {"p": -1}, {"salt": "%"},
                       {"salt": ""}, {"data": "x"}, {"data": ""}, {"N": "x"}, {"username": 5})  # fmt: skip
    for plain in broken:
        (good.parent / sha256(plain).hexdigest()).write_bytes(plain)
    scene.restore(expect=0)
    good.unlink()
    program = limited(scene.program)
    result = program("restore", "latest", "-r", scene.forger.folder, "--target", scene.target, expect=None,
                     PIVORI_PASSWORD=PASSWORD)  # fmt: skip
    assert result.returncode in (FAILURE, WRONG_PASSWORD), result.stderr
    assert "nternal error" not in result.stderr


# ------------------------------------------------------------------------------------ bombs


def frame_of_zeros(size: int, *, announced: int | None = None) -> bytes:
    """A zstd frame that decodes to ``size`` zeros and announces nothing, or whatever is wanted."""
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    block = bytes(16 << 20)
    frame = b"".join(compressor.compress(block) for _ in range(size // len(block))) + compressor.flush()
    if announced is None:
        return frame
    # The frame's first field says which others follow: eight bytes of length, and the window as it is.
    descriptor = frame[4] & 0b00011111 | 0b11000000
    return frame[:4] + bytes([descriptor]) + frame[5:6] + announced.to_bytes(8, "little") + frame[6:]


BOMBS = {
    "announces 8 GiB": (frame_of_zeros(64 << 20, announced=8 << 30), 64 << 20),
    "announces 8 GiB, as the index does nearly": (frame_of_zeros(64 << 20, announced=8 << 30), (1 << 32) - 1),
    "more than the index says": (frame_of_zeros(1 << 30), 100),
    "less than the index says": (frame_of_zeros(16 << 20), (1 << 32) - 1),
    "as much as it says": (frame_of_zeros(1 << 30), 1 << 30),
    "just below the bound": (frame_of_zeros(480 << 20), 480 << 20),
    "no frame": (b"garbage", 1000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_blobs_that_are_bombs(scene: Scene, bomb: str) -> None:
    """As the content of a file and as a tree: reported, in little memory, and the rest comes back."""
    frame, plain_length = BOMBS[bomb]
    for kind in BlobKind:
        blob = blob_id(b"bomb" + bytes([kind]))
        pack = scene.forger.pack(kind, blob, frame, plain_length)
        scene.forger.index(pack, id=blob.hex(), type=kind.word, offset=0, length=len(frame) + OVERHEAD,
                           uncompressed_length=plain_length)  # fmt: skip
    data, tree = (blob_id(b"bomb" + bytes([kind])).hex() for kind in (BlobKind.DATA, BlobKind.TREE))
    scene.forger.snapshot(node("file", content=[data], size=5), node("folder", "dir", subtree=tree), scene.good())
    scene.restore(limit=True)
    scene.good_came_back()


@pytest.mark.parametrize("kind", [Kind.SNAPSHOT, Kind.INDEX])
def test_objects_that_are_bombs(scene: Scene, kind: Kind) -> None:
    scene.forger.snapshot(scene.good())
    name = scene.forger.sealed(kind, b"\x02" + frame_of_zeros(1 << 30))
    said = scene.restore("--json", expect=FAILURE if kind is Kind.INDEX else 0, limit=True)
    assert name in said


def test_an_index_that_points_anywhere(scene: Scene) -> None:
    """Beyond the pack, before it, into another blob, at a pack that is not there."""
    forger = scene.forger
    sound = forger.pack(BlobKind.DATA, blob_id(b"x"), b"x" * 100, 0)
    places = [
        (sound, 0, (1 << 32) - 1), (sound, (1 << 32) - 1, (1 << 32) - 1), (sound, 10, 132), (sound, 0, OVERHEAD),
        (sound, 100_000, 132), (b"\xee" * 32, 0, 132), (sound, 0, 132),
    ]  # fmt: skip
    wrong = []
    for number, (pack, offset, length) in enumerate(places):
        for plain_length in (0, (1 << 32) - 1):
            blob = BlobId(sha256(f"{number} {plain_length}".encode()).digest())
            forger.index(
                pack, id=blob.hex(), type="data", offset=offset, length=length, uncompressed_length=plain_length
            )
            wrong.append(node(f"wrong {number} {plain_length}", content=[blob.hex()], size=100))
    wrong.append(node("several", content=[each["content"][0] for each in wrong], size=5))
    forger.snapshot(*wrong, scene.good())
    scene.restore(limit=True)
    scene.good_came_back()
    scene.restore("--verify", "--sparse", limit=True)  # now with something in the way
    scene.good_came_back()


def test_a_tree_of_a_hundred_thousand_levels(scene: Scene, tmp_path: Path) -> None:
    tree = scene.forger.tree(scene.good("bottom"))
    for _ in range(100_000):
        tree = scene.forger.tree(raw=b'{"nodes":[{"name":"d","type":"dir","subtree":"%b"}]}\n' % tree.encode())
    scene.forger.snapshot(node("deep", "dir", subtree=tree), scene.good())
    try:
        scene.restore("--dry-run", expect=0, limit=True)
        said = scene.restore(limit=True)
        assert "deeply" in said
        scene.good_came_back()
    finally:
        # Deeper than Python's own removal goes.
        subprocess.run(["rm", "-rf", scene.target], check=True)


def doubling(forger: Forger, levels: int, bottom: dict[str, Any]) -> str:
    """A tree of 2^levels directories in ``levels`` blobs."""
    tree = forger.tree(bottom)
    for _ in range(levels):
        tree = forger.tree(node("a", "dir", subtree=tree), node("b", "dir", subtree=tree))
    return tree


@pytest.mark.parametrize("what", ["folders", "links"])
def test_a_tree_that_doubles_at_every_level(scene: Scene, what: str) -> None:
    """Endless to list, in bounded memory: somebody will press Ctrl-C."""
    bottom = scene.good("x") | ({"links": 2, "inode": 3} if what == "links" else {})
    scene.forger.snapshot(tree=doubling(scene.forger, 60, bottom))
    program = limited(scene.program)
    options = ("-r", scene.forger.folder, "restore", "latest", "--target", scene.target, "--dry-run")
    process = program.start("restore", *options[:2], *options[3:], PIVORI_PASSWORD=PASSWORD)
    assert process.stdout is not None
    with process.stdout as lines:
        for _ in range(100_000):
            assert next(lines)
    process.kill()
    process.communicate()
    scene.nothing_outside_changed()


def test_restoring_such_a_tree_keeps_little_in_mind(scene: Scene) -> None:
    """Sixteen levels are 130,000 directories: they are finished as they come, not kept to the end."""
    tree = doubling(scene.forger, 14, node("f", "fifo"))
    scene.forger.snapshot(tree=tree)
    try:
        scene.restore(expect=0, limit=True)
        assert sum(1 for _ in scene.target.rglob("f")) == 2**14
    finally:
        shutil.rmtree(scene.target)
