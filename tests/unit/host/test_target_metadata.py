"""Owner, extended attributes, mode and times of what was restored."""

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.host import TargetTree, read_attributes

NOW = 1_700_000_000_123_456_789
THEN = 1_600_000_000_987_654_321
ME, MINE = os.geteuid(), os.getegid()
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
KINDS = ["file", "directory", "link", "fifo", "socket", pytest.param("device", marks=pytest.mark.root)]


def make(tree: TargetTree, kind: str) -> None:
    """One thing named ``x``."""
    if kind == "file":
        assert tree.write_small_file(b"x", b"", 0o600, ME, MINE, NOW, NOW) == []
    elif kind == "directory":
        tree.make_directory(b"x")
    elif kind == "link":
        tree.make_symlink(b"x", b"nowhere")
    elif kind == "fifo":
        tree.make_fifo(b"x")
    elif kind == "socket":
        tree.make_socket(b"x")
    else:
        tree.make_device(b"x", stat.S_IFCHR, os.makedev(1, 3))


def found(tree: TargetTree, path: bytes = b"x") -> os.stat_result:
    status = tree.status(path)
    assert status is not None
    return status


@pytest.fixture(params=[0o000, 0o077, 0o777])
def _umask(request: pytest.FixtureRequest, tree: TargetTree) -> Iterator[None]:
    """Set once the target exists: its own mode is not what is asked about."""
    assert tree.list_directory(b"") == []
    previous = os.umask(request.param)
    yield
    os.umask(previous)


@pytest.mark.parametrize("kind", KINDS)
def test_mode_and_times(tree: TargetTree, kind: str) -> None:
    make(tree, kind)
    assert tree.finish(b"x", mode=0o1640, uid=ME, gid=MINE, atime_ns=NOW, mtime_ns=THEN) == []
    status = found(tree)
    assert (status.st_atime_ns, status.st_mtime_ns) == (NOW, THEN)
    if kind != "link":
        assert stat.S_IMODE(status.st_mode) == 0o1640


@pytest.mark.root
@pytest.mark.parametrize("kind", KINDS)
def test_owner_and_setuid(tree: TargetTree, kind: str) -> None:
    make(tree, kind)
    assert tree.finish(b"x", mode=0o6755, uid=12, gid=13, atime_ns=0, mtime_ns=0) == []
    status = found(tree)
    assert (status.st_uid, status.st_gid) == (12, 13)
    if kind != "link":
        assert stat.S_IMODE(status.st_mode) == 0o6755


@pytest.mark.root
@pytest.mark.parametrize("kind", KINDS)
def test_trusted_attributes_on_every_kind(tree: TargetTree, kind: str) -> None:
    make(tree, kind)
    attributes = [(b"trusted.a", b"1"), (b"trusted.b", b"\0" * 300)]
    assert tree.finish(b"x", mode=0o600, uid=12, gid=13, atime_ns=NOW, mtime_ns=THEN, attributes=attributes) == []
    assert read_attributes(os.fsencode(tree.root) + b"/x") == attributes
    assert found(tree).st_mtime_ns == THEN


@pytest.mark.usefixtures("_umask")
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o444, 0o644, 0o777, 0o1777, 0o4755, 0o2755, 0o6777])
def test_a_small_file_is_exact_whatever_the_umask(tree: TargetTree, mode: int) -> None:
    attributes = [(b"user.a", b"1")]
    assert tree.write_small_file(b"x", b"data", mode, ME, MINE, NOW, THEN, attributes) == []
    status = found(tree)
    assert stat.S_IMODE(status.st_mode) == mode
    assert (status.st_uid, status.st_gid, status.st_size) == (ME, MINE, 4)
    assert (status.st_atime_ns, status.st_mtime_ns) == (NOW, THEN)
    descriptor = tree.open_for_reading(b"x")
    assert os.read(descriptor, 10) == b"data"
    assert read_attributes(descriptor) == attributes
    os.close(descriptor)


@pytest.mark.parametrize("time", [-1, -(10**18), 0, 1, 4_000_000_000 * 10**9])
def test_times_far_away(tree: TargetTree, time: int) -> None:
    assert tree.write_small_file(b"x", b"", 0o600, ME, MINE, time, time) == []
    assert found(tree).st_mtime_ns == time


def test_an_impossible_time_is_reported(tree: TargetTree) -> None:
    for path, finish in ((b"x", True), (b"y", False)):
        if finish:
            tree.make_fifo(path)
            problems = tree.finish(path, mode=0o640, uid=ME, gid=MINE, atime_ns=1 << 100, mtime_ns=0)
        else:
            problems = tree.write_small_file(path, b"", 0o640, ME, MINE, 1 << 100, 0)
        assert [(problem.path, problem.what, problem.error.errno) for problem in problems] == [
            (path, "times", errno.EOVERFLOW)
        ]
        assert stat.S_IMODE(found(tree, path).st_mode) == 0o640


@pytest.mark.root
@pytest.mark.parametrize(("uid", "gid"), [(0xFFFFFFFF, 0), (0, 0xFFFFFFFF), (-1, 0), (1 << 40, 0)])
def test_an_impossible_owner_is_reported_and_lends_no_rights(tree: TargetTree, uid: int, gid: int) -> None:
    (problem,) = tree.write_small_file(b"x", b"", 0o6755, uid, gid, 0, 0)
    assert (problem.path, problem.what, problem.error.errno) == (b"x", "owner", errno.EINVAL)
    assert stat.S_IMODE(found(tree).st_mode) == 0o755


def test_an_attribute_that_fails_is_reported_and_the_rest_is_done(tree: TargetTree) -> None:
    attributes = [(b"nonsense", b""), (b"user.a", b"1")]
    (problem,) = tree.write_small_file(b"x", b"", 0o640, ME, MINE, NOW, THEN, attributes)
    assert (problem.path, problem.what) == (b"x", "nonsense")
    assert stat.S_IMODE(found(tree).st_mode) == 0o640
    assert found(tree).st_mtime_ns == THEN


@pytest.mark.root
def test_a_capability_survives_the_change_of_owner(tree: TargetTree) -> None:
    attributes = [(b"security.capability", CAPABILITY)]
    assert tree.write_small_file(b"x", b"#!", 0o755, 12, 13, NOW, THEN, attributes) == []
    assert read_attributes(os.fsencode(tree.root) + b"/x") == attributes


def test_an_access_list_and_the_mode_agree(tree: TargetTree, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    subprocess.run(["setfacl", "-m", "u:12345:rwx,g::r,m::rx,d:u:12345:rx", source], check=True)
    source.chmod(0o3751)
    attributes = read_attributes(os.fsencode(source))
    assert [name for name, _ in attributes] == [b"system.posix_acl_access", b"system.posix_acl_default"]
    tree.make_directory(b"x")
    problems = tree.finish(
        b"x", mode=0o3751, uid=ME, gid=source.stat().st_gid, atime_ns=NOW, mtime_ns=THEN, attributes=attributes
    )
    assert problems == []
    lists = [
        subprocess.run(["getfacl", "-cnE", place], check=True, capture_output=True).stdout
        for place in (source, tree.root / "x")
    ]
    assert lists[0] == lists[1]
    assert found(tree).st_mode == source.stat().st_mode
    assert found(tree).st_mtime_ns == THEN


def test_an_inherited_access_list_does_not_stay(tree: TargetTree) -> None:
    subprocess.run(["setfacl", "-m", "d:u:12345:rwx", tree.root], check=True)
    assert tree.write_small_file(b"x", b"", 0o640, ME, MINE, NOW, THEN) == []
    assert read_attributes(os.fsencode(tree.root) + b"/x") == []
    assert stat.S_IMODE(found(tree).st_mode) == 0o640


@pytest.mark.root
def test_the_group_of_a_setgid_directory_is_not_inherited(tree: TargetTree) -> None:
    os.chown(tree.root, 0, 77)
    tree.root.chmod(0o2755)
    assert tree.write_small_file(b"x", b"", 0o644, 0, 0, NOW, THEN) == []
    tree.make_directory(b"d")
    assert tree.finish(b"d", mode=0o755, uid=0, gid=0, atime_ns=NOW, mtime_ns=THEN) == []
    assert found(tree).st_gid == found(tree, b"d").st_gid == 0
    assert stat.S_IMODE(found(tree, b"d").st_mode) == 0o755


def test_a_file_in_pieces_and_the_root(tree: TargetTree) -> None:
    partial = tree.begin_file(b"x", 10)
    assert tree.complete_file(partial, b"x", mode=0o444, uid=ME, gid=MINE, atime_ns=NOW, mtime_ns=THEN) == []
    assert stat.S_IMODE(found(tree).st_mode) == 0o444
    assert tree.finish(b"", mode=0o750, uid=ME, gid=MINE, atime_ns=NOW, mtime_ns=THEN) == []
    assert stat.S_IMODE(tree.root.stat().st_mode) == 0o750
    assert tree.root.stat().st_mtime_ns == THEN


def test_what_is_missing_is_an_error(tree: TargetTree) -> None:
    with pytest.raises(FileNotFoundError):
        tree.finish(b"missing", mode=0, uid=ME, gid=MINE, atime_ns=0, mtime_ns=0)


@pytest.mark.root
def test_names_of_owners_count_only_when_asked(tmp_path: Path) -> None:
    for by_name, expected in ((False, (4321, 4322)), (True, (65534, 65534))):
        with TargetTree(tmp_path / str(by_name), owners_by_name=by_name) as tree:
            assert tree.write_small_file(b"x", b"", 0o644, 4321, 4322, 0, 0, (), "nobody", "nogroup") == []
            tree.make_fifo(b"y")
            finished = tree.finish(
                b"y", mode=0o600, uid=4321, gid=4322, atime_ns=0, mtime_ns=0, user="nobody", group="nogroup"
            )
            assert finished == []
            assert tree.write_small_file(b"z", b"", 0o644, 4321, 4322, 0, 0, (), "nobody here", "nor here") == []
            for path, owner in ((b"x", expected), (b"y", expected), (b"z", (4321, 4322))):
                assert (found(tree, path).st_uid, found(tree, path).st_gid) == owner
