import errno
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from pivori.host import TargetTree
from pivori.host.removal import _leave


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_tree_of_every_kind(tree: TargetTree) -> None:
    tree.make_directory(b"d")
    for number in range(5):
        tree.make_directory(b"d/%d" % number)
        for name in (b"f", b"\xff", b"new\nline"):
            tree.write_small_file(b"d/%d/%b" % (number, name), b"", 0o644, os.geteuid(), os.getegid(), 0, 0)
        tree.make_fifo(b"d/%d/fifo" % number)
        tree.make_directory(b"d/%d/sub" % number)
    tree.remove(b"d")
    assert tree.list_directory(b"") == []
    tree.make_directory(b"d")
    tree.write_small_file(b"d/f", b"", 0o644, os.geteuid(), os.getegid(), 0, 0)
    assert (tree.root / "d" / "f").exists()


def test_five_thousand_deep() -> None:
    """In memory where possible: disks are slow at removing so many directories."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        tree = TargetTree(Path(place))
        descriptor = os.open(place, os.O_RDONLY)
        for _ in range(5000):
            os.mkdir(b"d", dir_fd=descriptor)
            below = os.open(b"d", os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.close(os.open(b"bottom", os.O_CREAT, dir_fd=descriptor))
        os.close(descriptor)
        before = open_descriptors()
        tree.remove(b"d")
        assert tree.list_directory(b"") == []
        assert open_descriptors() == before
        tree.close()


def test_what_is_missing_is_an_error(tree: TargetTree) -> None:
    with pytest.raises(FileNotFoundError):
        tree.remove(b"missing")


def test_the_way_up_must_be_the_way_down(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    descriptor = os.open(tmp_path / "a" / "b", os.O_RDONLY)
    status = (tmp_path / "a").stat()
    try:
        os.close(_leave(descriptor, (status.st_dev, status.st_ino)))
        (tmp_path / "a" / "b").rename(tmp_path / "moved")
        with pytest.raises(OSError, match="Stale"):
            _leave(descriptor, (status.st_dev, status.st_ino))
    finally:
        os.close(descriptor)


@pytest.mark.root
def test_a_mount_point_is_not_entered(tree: TargetTree) -> None:
    tree.make_directory(b"d")
    tree.make_directory(b"d/mounted")
    place = tree.root / "d" / "mounted"
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        (place / "precious").touch()
        with pytest.raises(OSError, match="cross-device") as caught:
            tree.remove(b"d")
        assert caught.value.errno == errno.EXDEV
        assert (place / "precious").exists()
    finally:
        subprocess.run(["umount", place], check=True)
    tree.remove(b"d")
