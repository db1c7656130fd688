"""What an ordinary user's restore does, run as a program: as root it gives its rights up first.

The arguments are the name of a scenario and a directory that everybody may use. A failed assertion ends it.
"""

import os
import stat
import sys
from pathlib import Path

from pivori.host import Problem, TargetTree, is_alive, read_attributes

NOW = 1_700_000_000_123_456_789


def owner_cannot_be_restored(tree: TargetTree) -> None:
    """Not reported, but the bits that lend rights are gone and everything else is done."""
    me, mine = os.geteuid(), os.getegid()
    for path, uid, gid in ((b"a", 0, 0), (b"b", me, 0), (b"c", 0, mine), (b"d", -1, mine)):
        assert tree.write_small_file(path, b"x", 0o7755, uid, gid, NOW, NOW, [(b"user.a", b"1")]) == []
        tree.make_directory(path + b"-directory")
        assert tree.finish(path + b"-directory", mode=0o7755, uid=uid, gid=gid, atime_ns=NOW, mtime_ns=NOW) == []
        tree.make_fifo(path + b"-fifo")
        assert tree.finish(path + b"-fifo", mode=0o6755, uid=uid, gid=gid, atime_ns=NOW, mtime_ns=NOW) == []
        for name, mode in ((path, 0o1755), (path + b"-directory", 0o1755), (path + b"-fifo", 0o755)):
            status = tree.status(name)
            assert status is not None
            assert stat.S_IMODE(status.st_mode) == mode, (name, oct(status.st_mode))
            assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (me, mine, NOW)
        assert read_attributes(os.fsencode(tree.root) + b"/" + path) == [(b"user.a", b"1")]


def own_setuid_stays(tree: TargetTree) -> None:
    assert tree.write_small_file(b"a", b"x", 0o6755, os.geteuid(), os.getegid(), NOW, NOW) == []
    status = tree.status(b"a")
    assert status is not None
    assert stat.S_IMODE(status.st_mode) == 0o6755


def read_only_modes_come_last(tree: TargetTree) -> None:
    attributes = [(b"user.a", b"1")]
    for mode in (0o000, 0o444):
        path = b"f%o" % mode
        assert tree.write_small_file(path, b"x", mode, os.geteuid(), os.getegid(), NOW, NOW, attributes) == []
        tree.make_directory(b"d" + path)
        tree.write_small_file(b"d%b/f" % path, b"x", mode, os.geteuid(), os.getegid(), NOW, NOW)
        finished = tree.finish(
            b"d" + path,
            mode=mode,
            uid=os.geteuid(),
            gid=os.getegid(),
            atime_ns=NOW,
            mtime_ns=NOW,
            attributes=attributes,
        )
        assert finished == []


def a_read_only_file_gets_its_attributes_again(tree: TargetTree) -> None:
    attributes = [(b"user.a", b"1")]
    for path, uid in ((b"mine", os.geteuid()), (b"foreign", 0)):
        tree.write_small_file(path, b"x", 0o444, os.geteuid(), os.getegid(), NOW, NOW)
        finished = tree.finish(
            path, mode=0o444, uid=uid, gid=os.getegid(), atime_ns=NOW, mtime_ns=NOW, attributes=attributes
        )
        assert finished == [], finished
        assert read_attributes(os.fsencode(tree.root) + b"/" + path) == attributes
        status = tree.status(path)
        assert status is not None
        assert stat.S_IMODE(status.st_mode) == 0o444


def a_closed_tree_is_restored_again_and_removed(tree: TargetTree) -> None:
    """Directories and files whose owner has no rights are opened up again."""
    read_only_modes_come_last(tree)
    for mode in (b"0", b"444"):
        with TargetTree(tree.root) as again:
            assert again.make_directory(b"df" + mode) is False
            assert again.list_directory(b"df" + mode) == [b"f"]
            descriptor = again.open_for_update(b"df%b/f" % mode)
            assert descriptor is not None
            os.pwrite(descriptor, b"y", 0)
            os.close(descriptor)
            descriptor = again.open_for_reading(b"f" + mode)
            assert os.read(descriptor, 5) == b"x"
            os.close(descriptor)
            (tree.root / f"f{mode.decode()}").chmod(0)
            finished = again.finish(
                b"f" + mode, mode=0o400, uid=os.geteuid(), gid=os.getegid(), atime_ns=NOW, mtime_ns=NOW
            )
            assert finished == []
            (tree.root / f"df{mode.decode()}").chmod(0 if mode == b"0" else 0o500)
            again.remove(b"df" + mode)
            again.remove(b"f" + mode)
    assert tree.list_directory(b"") == []


def privileged_things_are_refused(tree: TargetTree) -> None:
    problems = tree.write_small_file(b"a", b"", 0o644, os.geteuid(), os.getegid(), NOW, NOW, [(b"trusted.a", b"1")])
    assert [(problem.path, problem.what) for problem in problems] == [(b"a", "trusted.a")], problems
    assert isinstance(problems[0], Problem)
    try:
        tree.make_device(b"d", stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        assert tree.status(b"d") is None
    else:
        raise AssertionError("a device was made")


def unreadable_attributes_are_left_out(tree: TargetTree) -> None:
    closed = tree.root.parent / "closed"
    assert read_attributes(os.fsencode(closed)) == []


def foreign_processes_are_alive(_tree: TargetTree) -> None:
    assert is_alive(1)


def main() -> None:
    """Give up root's rights, then run one scenario."""
    scenario, place = sys.argv[1:]
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    with TargetTree(Path(place) / "target") as tree:
        globals()[scenario](tree)


if __name__ == "__main__":
    main()
