"""Whatever lies, or is put, in the way: nothing outside the target changes."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from pivori.host import TargetTree

OPERATIONS = [
    lambda tree: tree.write_small_file(b"d/f", b"x", 0o777, 1, 1, 0, 0),
    lambda tree: tree.begin_file(b"d/f", 1),
    lambda tree: tree.complete_file(b"d/precious", b"d/f", mode=0o777, uid=1, gid=1, atime_ns=0, mtime_ns=0),
    lambda tree: tree.discard_file(b"d/precious") or tree.status(b"d/precious") or tree.list_directory(b"d"),
    lambda tree: tree.cut_file(b"d/precious", 0),
    lambda tree: tree.remove_leftovers(b"d", ()),
    lambda tree: tree.remove_unfinished(b"d"),
    lambda tree: tree.write_small_file(b"d/precious", b"x", 0o777, 1, 1, 0, 0),
    lambda tree: tree.make_directory(b"d/new"),
    lambda tree: tree.make_directory(b"d/precious", replace=True),
    lambda tree: tree.make_symlink(b"d/precious", b"x"),
    lambda tree: tree.make_fifo(b"d/precious"),
    lambda tree: tree.make_hard_link(b"d/precious", b"stolen"),
    lambda tree: tree.make_hard_link(b"ours", b"d/precious"),
    lambda tree: tree.open_for_reading(b"d/precious"),
    lambda tree: tree.list_directory(b"d"),
    lambda tree: tree.remove(b"d/precious"),
    lambda tree: tree.finish(b"d/precious", mode=0o777, uid=1, gid=1, atime_ns=0, mtime_ns=0),
]


def facts(directory: Path) -> tuple[list[str], bytes, int, int, int, int]:
    """Everything an attack could change."""
    status = (directory / "precious").lstat()
    return (
        sorted(entry.name for entry in directory.iterdir()),
        (directory / "precious").read_bytes(),
        status.st_mode,
        status.st_uid,
        status.st_nlink,
        status.st_mtime_ns,
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_link_among_the_directories_is_not_followed(tree: TargetTree, outside: Path, operation: object) -> None:
    (tree.root / "ours").touch()
    (tree.root / "d").symlink_to(outside)
    before = facts(outside)
    with pytest.raises(OSError, match="Not a directory"):
        operation(tree)
    assert facts(outside) == before
    assert tree.open_for_update(b"ours") is not None
    with pytest.raises(OSError, match="Not a directory"):
        tree.open_for_update(b"d/precious")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_directory_swapped_for_a_link_while_in_use(tree: TargetTree, outside: Path, operation: object) -> None:
    """The tree has the directory open: the work goes on in the true one, which was moved, or fails."""
    (tree.root / "ours").touch()
    tree.make_directory(b"d")
    tree.write_small_file(b"d/precious", b"of the target", 0o644, os.geteuid(), os.getegid(), 0, 0)
    (tree.root / "d").rename(tree.root / "moved")
    (tree.root / "d").symlink_to(outside)
    before = facts(outside)
    with suppress(OSError):
        operation(tree)
    assert facts(outside) == before


def test_finishing_a_link_leaves_what_it_points_to(tree: TargetTree, outside: Path) -> None:
    (tree.root / "l").symlink_to(outside / "precious")
    (tree.root / "m").symlink_to(outside)
    before, times = facts(outside), outside.stat().st_mtime_ns
    for path in (b"l", b"m"):
        tree.finish(path, mode=0o777, uid=os.geteuid(), gid=os.getegid(), atime_ns=5, mtime_ns=5)
    assert facts(outside) == before
    assert outside.stat().st_mtime_ns == times
    assert os.lstat(tree.root / "l").st_mtime_ns == 5


@pytest.mark.root
def test_finishing_a_link_gives_away_the_link_only(tree: TargetTree, outside: Path) -> None:
    (tree.root / "l").symlink_to(outside / "precious")
    assert tree.finish(b"l", mode=0o777, uid=12, gid=13, atime_ns=5, mtime_ns=5) == []
    assert (os.lstat(tree.root / "l").st_uid, os.lstat(tree.root / "l").st_gid) == (12, 13)
    assert (outside / "precious").stat().st_uid == 0


def test_removal_takes_links_and_not_what_they_point_to(tree: TargetTree, outside: Path) -> None:
    tree.make_directory(b"d")
    tree.make_directory(b"d/e")
    (tree.root / "d/e/l").symlink_to(outside)
    (tree.root / "d/m").symlink_to(outside / "precious")
    before = facts(outside)
    tree.remove(b"d")
    assert tree.list_directory(b"") == []
    assert facts(outside) == before


def test_directories_that_become_links_all_the_time(tree: TargetTree, outside: Path) -> None:
    """A thread swaps directory and link as fast as it can while files are written, finished and removed."""
    before = facts(outside)
    place = tree.root / "d"
    place.mkdir()
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with suppress(OSError):
                place.rename(tree.root / "kept")
                place.symlink_to(outside)
                place.unlink()
                (tree.root / "kept").rename(place)

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        for number in range(1500):
            tree._directories.forget(b"d")
            path = b"d/precious" if number % 2 else b"d/f"
            with suppress(OSError):
                tree.write_small_file(path, b"overwritten", 0o777, os.geteuid(), os.getegid(), 0, 0)
            with suppress(OSError):
                tree.finish(b"d", mode=0o777, uid=os.geteuid(), gid=os.getegid(), atime_ns=0, mtime_ns=0)
            with suppress(OSError):
                tree.remove(path)
    finally:
        stop.set()
        attacker.join()
    assert facts(outside) == before
