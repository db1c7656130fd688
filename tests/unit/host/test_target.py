"""Making, replacing, looking and removing inside a target."""

import errno
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pivori.host import TargetReplaced, TargetTree, UnsafePath

NOW = 1_700_000_000_123_456_789


def write(tree: TargetTree, path: bytes, data: bytes = b"data", *, replace: bool = False) -> None:
    """A plain file of ours."""
    problems = tree.write_small_file(path, data, 0o644, os.geteuid(), os.getegid(), NOW, NOW, replace=replace)
    assert problems == []


def at(tree: TargetTree, path: bytes) -> bytes:
    """The absolute path of something in the tree."""
    return os.fsencode(tree.root) + b"/" + path


def content(tree: TargetTree, path: bytes) -> bytes:
    return Path(os.fsdecode(at(tree, path))).read_bytes()


BAD_PATHS = [
    b"/a",
    b"/etc/passwd",
    b"..",
    b"../x",
    b"a/../b",
    b"./a",
    b"a/.",
    b"a//b",
    b"a/",
    b"/",
    b"nul\0",
    b"a\0b/c",
    b"//a",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_is_not_plain_is_refused_everywhere(tree: TargetTree, path: bytes) -> None:
    tree.make_directory(b"a")
    tree.make_directory(b"b")
    operations = [
        lambda: tree.make_directory(path),
        lambda: tree.begin_file(path, 1),
        lambda: tree.complete_file(b"ok", path, mode=0, uid=0, gid=0, atime_ns=0, mtime_ns=0),
        lambda: tree.cut_file(path, 1),
        lambda: tree.open_for_reading(path),
        lambda: tree.open_for_update(path),
        lambda: tree.status(path),
        lambda: tree.list_directory(path),
        lambda: tree.read_link(path),
        lambda: tree.make_symlink(path, b"x"),
        lambda: tree.make_fifo(path),
        lambda: tree.make_hard_link(path, b"ok"),
        lambda: tree.make_hard_link(b"ok", path),
        lambda: tree.remove(path),
        lambda: tree.finish(path, mode=0, uid=0, gid=0, atime_ns=0, mtime_ns=0),
        lambda: write(tree, path),
    ]
    write(tree, b"ok")
    for operation in operations:
        with pytest.raises(UnsafePath):
            operation()
    assert tree.list_directory(b"") == [b"a", b"b", b"ok"]


@pytest.mark.parametrize("operation", ["remove", "open_for_update", "make_fifo"])
def test_the_root_itself_is_not_replaced(tree: TargetTree, operation: str) -> None:
    with pytest.raises(UnsafePath):
        getattr(tree, operation)(b"")


def test_an_unsafe_path_can_be_shown(tree: TargetTree) -> None:
    with pytest.raises(UnsafePath) as caught:
        tree.remove(b"\xff/..")
    assert str(caught.value).encode()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"new\nline", b'"quote\\', b"-rf", b"...", b" ", b"x" * 255])
def test_any_name_is_possible(tree: TargetTree, name: bytes) -> None:
    tree.make_directory(name)
    write(tree, name + b"/" + name)
    assert tree.list_directory(name) == [name]
    assert content(tree, name + b"/" + name) == b"data"


def test_a_name_too_long_is_the_systems_error(tree: TargetTree) -> None:
    with pytest.raises(OSError, match="too long"):
        write(tree, b"x" * 256)


def test_the_root_is_made_private_or_must_exist(tmp_path: Path) -> None:
    with TargetTree(tmp_path / "a" / "b") as tree:
        assert stat.S_IMODE(tree.root.stat().st_mode) == 0o700
    with pytest.raises(FileNotFoundError):
        TargetTree(tmp_path / "missing", create=False)


def test_a_root_given_as_a_link_is_resolved_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with TargetTree(tmp_path / "link") as tree:
        (tmp_path / "link").unlink()
        write(tree, b"f")
    assert (tmp_path / "real" / "f").read_bytes() == b"data"


def test_another_process_opens_the_same_directory(tree: TargetTree, tmp_path: Path) -> None:
    recipe = pickle.dumps(tree)
    with pickle.loads(recipe) as copy:
        write(copy, b"f")
    assert tree.list_directory(b"") == [b"f"]
    tree.root.rename(tmp_path / "moved")
    tree.root.mkdir()
    with pytest.raises(TargetReplaced):
        pickle.loads(recipe)


class TestDirectory:
    def test_new_and_kept(self, tree: TargetTree) -> None:
        assert tree.make_directory(b"d") is True
        write(tree, b"d/f")
        assert tree.make_directory(b"d", replace=True) is False
        assert tree.list_directory(b"d") == [b"f"]
        assert tree.make_directory(b"") is False

    def test_a_missing_parent_is_an_error(self, tree: TargetTree) -> None:
        with pytest.raises(FileNotFoundError):
            tree.make_directory(b"a/b")

    @pytest.mark.parametrize("kind", ["file", "link", "fifo"])
    def test_something_else_is_replaced_on_demand_only(self, tree: TargetTree, outside: Path, kind: str) -> None:
        if kind == "file":
            write(tree, b"d")
        elif kind == "link":
            tree.make_symlink(b"d", os.fsencode(outside))
        else:
            tree.make_fifo(b"d")
        with pytest.raises(FileExistsError):
            tree.make_directory(b"d")
        assert tree.make_directory(b"d", replace=True) is True
        write(tree, b"d/f")
        assert [entry.name for entry in outside.iterdir()] == ["precious"]

    def test_more_directories_than_are_kept_open(self, tree: TargetTree) -> None:
        paths = [b"d%d" % number for number in range(600)]
        for path in paths:
            tree.make_directory(path)
            write(tree, path + b"/f")
        assert len(list(Path("/proc/self/fd").iterdir())) < 400
        for path in paths:
            assert tree.list_directory(path) == [b"f"]

    def test_deep(self, tree: TargetTree) -> None:
        path = b"d"
        for _ in range(700):
            tree.make_directory(path)
            path += b"/d"
        write(tree, path)
        tree.make_hard_link(path, b"top")
        tree.make_hard_link(b"top", path[:-1] + b"e")
        status = tree.status(b"top")
        assert status is not None
        assert status.st_nlink == 3


class TestFile:
    def test_what_other_names_hold_does_not_change(self, tree: TargetTree, outside: Path) -> None:
        os.link(outside / "precious", at(tree, b"f"))
        assert tree.open_for_update(b"f") is None
        write(tree, b"f")
        assert content(tree, b"f") == b"data"
        assert (outside / "precious").read_bytes() == b"precious"

    def test_a_link_in_the_way_is_replaced_not_followed(self, tree: TargetTree, outside: Path) -> None:
        for target in (outside / "precious", outside / "new"):
            tree.make_symlink(b"f", os.fsencode(target))
            assert tree.open_for_update(b"f") is None
            with pytest.raises(FileNotFoundError):
                tree.open_for_reading(b"f")
            write(tree, b"f")
            assert content(tree, b"f") == b"data"
            tree.remove(b"f")
        assert [entry.name for entry in outside.iterdir()] == ["precious"]
        assert (outside / "precious").read_bytes() == b"precious"

    def test_a_fifo_in_the_way_blocks_nothing(self, tree: TargetTree) -> None:
        tree.make_fifo(b"f")
        assert tree.open_for_update(b"f") is None
        with pytest.raises(FileNotFoundError):
            tree.open_for_reading(b"f")
        write(tree, b"f")
        assert content(tree, b"f") == b"data"

    def test_a_directory_in_the_way(self, tree: TargetTree) -> None:
        tree.make_directory(b"f")
        write(tree, b"f/child")
        with pytest.raises(OSError, match="not empty") as caught:
            write(tree, b"f")
        assert caught.value.errno == errno.ENOTEMPTY
        write(tree, b"f", replace=True)
        tree.make_directory(b"empty")
        write(tree, b"empty")
        assert content(tree, b"f") == content(tree, b"empty") == b"data"

    def test_it_is_private_until_finished_whatever_the_umask(self, tree: TargetTree) -> None:
        previous = os.umask(0)
        try:
            partial = tree.begin_file(b"f", 1)
            tree.make_directory(b"d")
        finally:
            os.umask(previous)
        modes = [stat.S_IMODE(os.lstat(at(tree, path)).st_mode) for path in (partial, b"d")]
        assert modes == [0o600, 0o700]

    def test_its_length_is_known_at_once(self, tree: TargetTree) -> None:
        status = tree.status(tree.begin_file(b"f", 1 << 30))
        assert status is not None
        assert (status.st_size, status.st_blocks) == (1 << 30, 0)

    def test_an_impossible_length_is_an_error(self, tree: TargetTree) -> None:
        with pytest.raises(OSError, match=r"too large|Invalid"):
            tree.begin_file(b"f", (1 << 63) - 1)
        assert tree.list_directory(b"") == []

    def test_update_in_place(self, tree: TargetTree) -> None:
        assert tree.open_for_update(b"f") is None
        write(tree, b"f", b"0123456789")
        inode = os.lstat(at(tree, b"f")).st_ino
        descriptor = tree.open_for_update(b"f")
        assert descriptor is not None
        assert os.pread(descriptor, 4, 0) == b"0123"
        os.pwrite(descriptor, b"xx", 4)
        os.close(descriptor)
        assert content(tree, b"f") == b"0123xx6789"
        assert os.lstat(at(tree, b"f")).st_ino == inode

    def test_reading(self, tree: TargetTree) -> None:
        write(tree, b"f", b"0123")
        descriptor = tree.open_for_reading(b"f")
        assert os.read(descriptor, 10) == b"0123"
        os.close(descriptor)
        with pytest.raises(FileNotFoundError):
            tree.open_for_reading(b"missing")

    def test_nothing_stays_of_a_file_that_could_not_be_written(self, tree: TargetTree) -> None:
        code = (
            "import resource, signal, sys; from pathlib import Path; from pivori.host import TargetTree\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "try: TargetTree(Path(sys.argv[1])).write_small_file(b'f', bytes(5000), 0o644, 0, 0, 0, 0)\n"
            "except OSError as error: print(error.errno)"
        )
        path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code, tree.root], env=path, capture_output=True, check=True)
        assert int(done.stdout) == errno.EFBIG
        assert tree.list_directory(b"") == []


class TestOtherKinds:
    @pytest.mark.parametrize("target", [b"/etc/passwd", b"../../x", b"\xff\xfe", b"x" * 4000])
    def test_a_link_points_anywhere_and_replaces(self, tree: TargetTree, target: bytes) -> None:
        write(tree, b"l")
        tree.make_symlink(b"l", target)
        assert tree.read_link(b"l") == target

    def test_fifo_and_socket(self, tree: TargetTree) -> None:
        for make, test in ((tree.make_fifo, stat.S_ISFIFO), (tree.make_socket, stat.S_ISSOCK)):
            write(tree, b"n")
            make(b"n")
            assert test(os.lstat(at(tree, b"n")).st_mode)

    @pytest.mark.root
    def test_devices(self, tree: TargetTree) -> None:
        tree.make_device(b"c", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        tree.make_device(b"b", stat.S_IFBLK, os.makedev(7, 300))
        character, block = os.lstat(at(tree, b"c")), os.lstat(at(tree, b"b"))
        assert stat.S_ISCHR(character.st_mode)
        assert character.st_rdev == os.makedev(1, 3)
        assert stat.S_ISBLK(block.st_mode)
        assert block.st_rdev == os.makedev(7, 300)
        assert stat.S_IMODE(character.st_mode) == 0o600
        assert tree.open_for_update(b"c") is None

    def test_hard_links(self, tree: TargetTree, outside: Path) -> None:
        write(tree, b"f")
        tree.make_directory(b"d")
        tree.make_hard_link(b"f", b"d/g")
        inode = os.lstat(at(tree, b"f")).st_ino
        tree.make_hard_link(b"f", b"d/g")
        tree.make_symlink(b"l", os.fsencode(outside / "precious"))
        tree.make_hard_link(b"f", b"l")
        assert {os.lstat(at(tree, path)).st_ino for path in (b"f", b"d/g", b"l")} == {inode}

    def test_a_hard_link_to_a_link_is_of_the_link(self, tree: TargetTree, outside: Path) -> None:
        tree.make_symlink(b"l", os.fsencode(outside / "precious"))
        tree.make_hard_link(b"l", b"m")
        assert stat.S_ISLNK(os.lstat(at(tree, b"m")).st_mode)
        assert (outside / "precious").stat().st_nlink == 1


class TestLooking:
    def test_status(self, tree: TargetTree, outside: Path) -> None:
        assert tree.status(b"f") is None
        write(tree, b"f")
        tree.make_symlink(b"l", os.fsencode(outside))
        status, link, root = tree.status(b"f"), tree.status(b"l"), tree.status(b"")
        assert status is not None
        assert status.st_size == 4
        assert link is not None
        assert stat.S_ISLNK(link.st_mode)
        assert root is not None
        assert os.path.samestat(root, tree.root.stat())
        assert tree.status(b"l/precious") is None
        assert tree.status(b"f/below") is None

    def test_names_are_sorted(self, tree: TargetTree) -> None:
        for name in (b"b", b"\xff", b"a"):
            write(tree, name)
        assert tree.list_directory(b"") == [b"a", b"b", b"\xff"]
