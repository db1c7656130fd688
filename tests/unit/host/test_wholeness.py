"""Files that get their name when they are whole, and copying what another file has of their content."""

import errno
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.host import TargetTree, copy_range
from pivori.host.partial import PartialNames, is_partial

ME: dict[str, int] = {"uid": os.geteuid(), "gid": os.getegid(), "atime_ns": 5, "mtime_ns": 6}


def write(tree: TargetTree, path: bytes, data: bytes, *, replace: bool = False) -> None:
    """A plain file of ours."""
    assert tree.write_small_file(path, data, 0o644, ME["uid"], ME["gid"], 5, 6, replace=replace) == []


def begin(tree: TargetTree, path: bytes, data: bytes) -> bytes:
    """Begin a file and write all of it."""
    partial = tree.begin_file(path, len(data))
    descriptor = tree.open_for_update(partial)
    assert descriptor is not None
    os.pwrite(descriptor, data, 0)
    os.close(descriptor)
    return partial


class TestNames:
    def test_none_is_given_twice(self) -> None:
        names = PartialNames()
        others = PartialNames(names.run)
        given = [names.passing, others.passing, *(each.next() for each in (names, others) for _ in range(20))]
        assert len(set(given)) == len(given)
        assert all(map(is_partial, given))
        assert all(map(names.is_of_this_run, given))
        assert not PartialNames().is_of_this_run(names.passing)

    def test_processes_of_a_run_know_each_others(self, tree: TargetTree) -> None:
        with pickle.loads(pickle.dumps(tree)) as worker:
            worker.begin_file(b"f", 3)
        with TargetTree(tree.root) as other:
            other.begin_file(b"f", 3)
            tree.remove_unfinished(b"")
            (left,) = tree.list_directory(b"")
            assert tree.leftovers(b"", ()) == [left]
            other.remove_unfinished(b"")
        assert tree.list_directory(b"") == []


class TestPieces:
    def test_the_name_comes_last(self, tree: TargetTree) -> None:
        tree.make_directory(b"d")
        write(tree, b"d/f", b"before")
        partial = begin(tree, b"d/f", b"after that")
        assert Path(os.fsdecode(tree.root), "d", "f").read_bytes() == b"before"
        assert tree.complete_file(partial, b"d/f", mode=0o640, **ME) == []
        status = tree.status(b"d/f")
        assert status is not None
        assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_size) == (0o640, 6, 10)
        assert tree.list_directory(b"d") == [b"f"]

    @pytest.mark.parametrize("full", [False, True])
    def test_a_folder_in_the_way(self, tree: TargetTree, full: bool) -> None:
        tree.make_directory(b"f")
        if full:
            write(tree, b"f/inside", b"x")
            with pytest.raises(OSError, match="not empty"):
                tree.complete_file(begin(tree, b"f", b"data"), b"f", mode=0o640, **ME)
            assert tree.list_directory(b"") == [b"f"]
            assert tree.list_directory(b"f") == [b"inside"]
        assert tree.complete_file(begin(tree, b"f", b"data"), b"f", mode=0o640, replace=full, **ME) == []
        assert (tree.root / "f").read_bytes() == b"data"

    def test_given_up(self, tree: TargetTree) -> None:
        partial = tree.begin_file(b"f", 1)
        for _ in range(2):
            tree.discard_file(partial)
            assert tree.list_directory(b"") == []
        with pytest.raises(FileNotFoundError):
            tree.complete_file(partial, b"f", mode=0o640, **ME)

    def test_something_else_in_place_of_it_is_not_taken_for_it(self, tree: TargetTree, outside: Path) -> None:
        partial = tree.begin_file(b"f", 1)
        (tree.root / os.fsdecode(partial)).unlink()
        (tree.root / os.fsdecode(partial)).symlink_to(outside / "precious")
        with pytest.raises(FileNotFoundError):
            tree.complete_file(partial, b"f", mode=0o640, **ME)
        assert tree.status(b"f") is None

    def test_cutting(self, tree: TargetTree, outside: Path) -> None:
        write(tree, b"f", b"0123456789")
        for size, left in ((20, 10), (4, 4)):
            tree.cut_file(b"f", size)
            assert (tree.root / "f").stat().st_size == left
        os.link(outside / "precious", tree.root / "linked")
        for path in (b"linked", b"missing"):
            with pytest.raises(FileNotFoundError):
                tree.cut_file(path, 1)
        assert (outside / "precious").read_bytes() == b"precious"


MAKERS: dict[str, Callable[[TargetTree], None]] = {
    "symlink": lambda tree: tree.make_symlink(b"x", b"nowhere"),
    "fifo": lambda tree: tree.make_fifo(b"x"),
    "socket": lambda tree: tree.make_socket(b"x"),
    "hard link": lambda tree: tree.make_hard_link(b"source", b"x"),
    "file": lambda tree: write(tree, b"x", b"after"),
}


class TestReplacing:
    @pytest.mark.parametrize("kind", MAKERS)
    def test_what_was_there_stays_when_it_fails(
        self, tree: TargetTree, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tree, b"source", b"source")
        write(tree, b"x", b"before")

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EIO, "refused")

        monkeypatch.setattr(os, "rename", refuse)
        with pytest.raises(OSError, match="refused"):
            MAKERS[kind](tree)
        assert (tree.root / "x").read_bytes() == b"before"
        assert tree.list_directory(b"") == [b"source", b"x"]

    def test_a_name_that_is_right_already(self, tree: TargetTree) -> None:
        write(tree, b"source", b"source")
        for _ in range(2):
            tree.make_hard_link(b"source", b"x")
        assert tree.list_directory(b"") == [b"source", b"x"]


def without_copying(*_: object) -> int:
    """A file system that cannot copy."""
    raise OSError(errno.EXDEV, "cannot")


def saying_nothing(*_: object) -> int:
    """A file system that copies nothing and calls it success."""
    return 0


def without_holes(*_: object) -> int:
    """A file system that knows no holes."""
    raise OSError(errno.EINVAL, "cannot")


class TestCopying:
    @pytest.mark.parametrize("copying", [None, without_copying, saying_nothing])
    @pytest.mark.parametrize("seeking", [None, without_holes])
    def test_parts(
        self,
        tmp_path: Path,
        copying: Callable[..., int] | None,
        seeking: Callable[..., int] | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        content = os.urandom(100_000) + bytes(1 << 20) + os.urandom(100_000)
        (tmp_path / "source").write_bytes(content)
        with (tmp_path / "source").open("r+b") as file:
            file.truncate(100_000)
            file.truncate((1 << 20) + 100_000)
            file.seek(0, 2)
            file.write(content[-100_000:])
            file.truncate(3 << 20)
        content = content.ljust(3 << 20, b"\0")
        if copying is not None:
            monkeypatch.setattr(os, "copy_file_range", copying)
        if seeking is not None:
            monkeypatch.setattr(os, "lseek", seeking)
        with (tmp_path / "source").open("rb") as source, (tmp_path / "new").open("w+b") as new:
            new.truncate(3 << 20)
            for offset, length in ((50_000, 1 << 20), (1_150_000, 60_000), (2 << 20, 1 << 20)):
                copy_range(source.fileno(), new.fileno(), offset, length)
        expected = bytearray(3 << 20)
        for offset, length in ((50_000, 1 << 20), (1_150_000, 60_000)):
            expected[offset : offset + length] = content[offset : offset + length]
        assert (tmp_path / "new").read_bytes() == expected
        if seeking is None:
            assert (tmp_path / "new").stat().st_blocks * 512 < 1 << 20

    def test_a_source_that_has_shrunk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "source").write_bytes(b"short")
        with (tmp_path / "source").open("rb") as source, (tmp_path / "new").open("w+b") as new:
            with pytest.raises(OSError, match="changed during the restore"):
                copy_range(source.fileno(), new.fileno(), 0, 6)
            # It shrinks after its length was looked at.
            monkeypatch.setattr(os, "copy_file_range", saying_nothing)
            monkeypatch.setattr(os, "pread", lambda *_: b"")
            with pytest.raises(OSError, match="changed during the restore"):
                copy_range(source.fileno(), new.fileno(), 0, 5)

    def test_another_failure_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "source").write_bytes(b"short")
        full = os.open("/dev/full", os.O_WRONLY)
        with (tmp_path / "source").open("rb") as source, pytest.raises(OSError, match="No space"):
            copy_range(source.fileno(), full, 0, 5)
        os.close(full)
