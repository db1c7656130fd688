"""A source tree that holds everything a file system can hold, and the comparison of two trees in every respect."""

import os
import random
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = os.geteuid() == 0
SMALLEST_CHUNK = 512 << 10
"""Files below this size are one blob in both programs, so that both make the same tree of them."""

NAMES = [
    b"plain",
    b"two words.tar.gz",
    b"-leading-dash",
    b"--include",
    b".hidden",
    b"...",
    b"quote\"s and 'these' and `those`",
    b"back\\slash\\n\\x41\\u0041",
    b"line\nbreak",
    b"tab\tand\rreturn",
    b"\x01\x07\b\f\v\x1b[31m\x7f",
    b"not utf-8 \xff\xfe \xc3",
    b"\xed\xa0\x80 surrogate",
    "zero\u200bwidth\u202eoverride\ufeff".encode(),
    "lines\u2028and\u2029paragraphs".encode(),
    "replaced \ufffd".encode(),
    "composed é, decomposed e\u0301".encode(),
    "😀 👩\u200d👩\u200d👧 \U000e0041".encode(),
    b"<html>&amp;",
    b"*?[a-z]{1,2}!$HOME;`id`|#%s",
    b"CON", b"Plain", b"PLAIN",
    b"n" * 255,
    "長".encode() * 85,
]  # fmt: skip
LINKS = [
    b"plain",
    b"nowhere/at/all",
    b"/dangling \xff\xfe not utf-8 \xe2\x82",
    b'../<&> "quoted" \\ \n\t \xc3\xa9',
    "\u2028 \ufffd".encode(),
    b"x" * 4000,
    b"/etc/passwd",
    b".",
]
MODES = (0o000, 0o001, 0o200, 0o400, 0o644, 0o777, 0o1644, 0o2711, 0o4755, 0o7777)
TIMES = (
    0, 1, -1, -1_234_567_890_123_456_789, 1_700_000_000_100_000_000, 1_700_000_000_123_456_789,
    4_102_444_800_000_000_001, 9_000_000_000_120_000_000,
)  # fmt: skip
DEPTH = 60
_ACL_VERSION = struct.pack("<I", 2)


class Facts(NamedTuple):
    """All that is known of one entry of a tree. ``links`` are all its names inside the tree."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    rdev: int
    target: bytes
    links: tuple[bytes, ...]
    attributes: tuple[tuple[str, bytes], ...]
    content: bytes


def noise(seed: int, size: int) -> bytes:
    """Bytes that do not compress, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def child(directory: Path, name: bytes) -> Path:
    """The path of a raw name."""
    return directory / os.fsdecode(name)


def build(directory: Path, *, large: bool = True) -> Path:
    """Make the tree, and return it. Without ``large`` no file is over one blob."""
    directory.mkdir()
    _contents(directory / "contents", large)
    _names(directory / "names")
    _links(directory / "links")
    _modes(directory / "modes")
    _times(directory / "times")
    _attributes(directory / "attributes")
    _folders(directory / "folders")
    _special(directory / "special")
    for number, path in enumerate(sorted(directory.iterdir())):
        os.utime(path, ns=(number, 1_600_000_000_000_000_001 + number))
    os.utime(directory, ns=(1, 1_600_000_000_999_999_999))
    return directory


def _contents(directory: Path, large: bool) -> None:
    directory.mkdir()
    (directory / "empty").touch()
    (directory / "one byte").write_bytes(b"\0")
    (directory / "zeros").write_bytes(bytes(100_000))
    (directory / "just below a chunk").write_bytes(noise(1, SMALLEST_CHUNK - 1))
    (directory / "same").write_bytes(noise(1, SMALLEST_CHUNK - 1))
    # The content of a file may be the same bytes as a tree: the two are still different blobs.
    (directory / "like an empty tree").write_bytes(b'{"nodes":[]}\n')
    (directory / "like a tree").write_bytes(b'{"nodes":[{"name":"x","type":"dir","subtree":null,"content":null}]}\n')
    (directory / "like a compressed object").write_bytes(b"\x02\x28\xb5\x2f\xfd")
    for number in range(60):
        (directory / f"small {number:02}").write_bytes(noise(number, number * 37))
    if large:
        (directory / "one chunk").write_bytes(noise(2, SMALLEST_CHUNK))
        (directory / "several megabytes").write_bytes(noise(3, 3 << 20) + bytes(2 << 20) + noise(3, 3 << 20))
        with (directory / "sparse").open("wb") as file:
            file.write(b"begin")
            file.seek(6 << 20)
            file.write(noise(4, 4096))
            file.truncate(20 << 20)


def _names(directory: Path) -> None:
    directory.mkdir()
    for number, name in enumerate(NAMES):
        child(directory, name).write_bytes(b"x" * number)
    inside = directory / "as directories"
    inside.mkdir()
    for name in NAMES:
        child(inside, name).mkdir()
        child(child(inside, name), name).touch()


def _links(directory: Path) -> None:
    (directory / "elsewhere").mkdir(parents=True)
    (directory / "first").write_bytes(b"several names")
    os.link(directory / "first", directory / "second")
    os.link(directory / "first", directory / "elsewhere" / "third")
    (directory / "another first").write_bytes(b"several names")
    os.link(directory / "another first", directory / "elsewhere" / "another second")
    (directory / "empty first").touch()
    os.link(directory / "empty first", directory / "empty second")
    for number, target in enumerate(LINKS):
        child(directory, b"link %d" % number).symlink_to(os.fsdecode(target))
    os.link(directory / "link 0", directory / "link 0 again", follow_symlinks=False)
    for number, path in enumerate(sorted(directory.glob("link *"))):
        os.utime(path, ns=(5, 1_500_000_000_000_000_000 + number), follow_symlinks=False)
        if ROOT:
            os.lchown(path, 1000 + number, 2000 + number)


def _modes(directory: Path) -> None:
    directory.mkdir()
    for mode in MODES:
        path = directory / f"file {mode:o}"
        path.write_text("mode")
        if ROOT:
            os.chown(path, 12_345 + mode, 4_000_000_000)
        path.chmod(mode)
    closed = (0o000, 0o500, 0o1777, 0o2755, 0o3770) if ROOT else (0o500, 0o1777, 0o2755, 0o3770)
    for mode in closed:
        path = directory / f"folder {mode:o}"
        path.mkdir()
        (path / "inside").write_text("mode")
        path.chmod(mode)


def _times(directory: Path) -> None:
    directory.mkdir()
    for ns in TIMES:
        for path in (directory / f"file {ns}", directory / f"folder {ns}"):
            path.touch() if path.name.startswith("file") else path.mkdir()
            os.utime(path, ns=(ns + 1, ns))


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX access list as the kernel keeps it: (tag, rights, id) each."""
    return _ACL_VERSION + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def _attributes(directory: Path) -> None:
    directory.mkdir()
    if sys.platform != "linux":
        return
    file, folder = directory / "file", directory / "folder"
    file.write_text("attributes")
    folder.mkdir()
    for path in (file, folder):
        # Not in the order of their names, which is the order in which the system lists them.
        os.setxattr(path, "user.zebra", b"\0\xff binary")
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "user.<name>&é \u2028", b"value")
        os.setxattr(path, "user.large", noise(5, 1500))
    nobody = 0xFFFFFFFF
    named = [
        (0x01, 7, nobody),
        (0x02, 6, 1234),
        (0x04, 5, nobody),
        (0x08, 4, 4321),
        (0x10, 7, nobody),
        (0x20, 0, nobody),
    ]
    listed = directory / "listed"
    listed.write_text("access list")
    os.setxattr(listed, "system.posix_acl_access", access_list(*named))
    inherited = directory / "inherited"
    inherited.mkdir()
    (inherited / "without a list").write_text("made before")
    os.setxattr(inherited, "system.posix_acl_access", access_list(*named))
    os.setxattr(inherited, "system.posix_acl_default", access_list(*named))
    (inherited / "with a list").write_text("made after")
    if ROOT:
        able = directory / "able"
        able.write_text("capabilities")
        # cap_net_bind_service=ep, as setcap writes it (revision 2)
        os.setxattr(able, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
        os.setxattr(able, "trusted.note", b"trusted")


def _folders(directory: Path) -> None:
    (directory / "empty").mkdir(parents=True)
    (directory / "empty too").mkdir()
    deep = directory
    for level in range(DEPTH):
        deep = deep / f"level {level}"
        deep.mkdir()
    (deep / "bottom").write_text("deep")
    many = directory / "many"
    many.mkdir()
    for number in range(700):
        (many / f"{number}").write_bytes(b"%d" % number)


def _special(directory: Path) -> None:
    directory.mkdir()
    os.mkfifo(directory / "fifo", 0o640)
    if ROOT:
        os.mknod(directory / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(directory / "block", stat.S_IFBLK | 0o604, os.makedev(259, 70_000))
        os.chown(directory / "block", 3, 4_000_000_000)
    for path in directory.iterdir():
        os.utime(path, ns=(7, 1_234_567_890_000_000_007))


def walk(directory: bytes) -> Iterator[bytes]:
    """Every path below a directory, relative to it, the directory itself (``b""``) first."""
    waiting = [b""]
    while waiting:
        path = waiting.pop()
        yield path
        with os.scandir(os.path.join(directory, path) if path else directory) as entries:
            for entry in entries:
                inner = os.path.join(path, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(inner)
                else:
                    yield inner


def facts(directory: Path) -> dict[bytes, Facts]:
    """All there is to know of a tree, by path."""
    top = os.fsencode(directory)
    paths = sorted(walk(top))
    names: dict[tuple[int, int], list[bytes]] = {}
    for path in paths:
        status = os.lstat(os.path.join(top, path))
        names.setdefault((status.st_dev, status.st_ino), []).append(path)
    return {path: _facts(os.path.join(top, path) if path else top, names) for path in paths}


def _facts(path: bytes, names: dict[tuple[int, int], list[bytes]]) -> Facts:
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    attributes: tuple[tuple[str, bytes], ...] = ()
    if sys.platform == "linux":
        listed = sorted(os.listxattr(path, follow_symlinks=False))
        attributes = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in listed)
    return Facts(
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        status.st_size if kind == stat.S_IFREG else 0,
        status.st_rdev if kind in (stat.S_IFBLK, stat.S_IFCHR) else 0,
        os.readlink(path) if kind == stat.S_IFLNK else b"",
        tuple(names[status.st_dev, status.st_ino]),
        attributes,
        Path(os.fsdecode(path)).read_bytes() if kind == stat.S_IFREG else b"",
    )


def differences(expected: Path, found: Path) -> list[str]:
    """What distinguishes two trees, in words; nothing when they are the same in every respect."""
    return compare(facts(expected), facts(found))


def compare(expected: dict[bytes, Facts], found: dict[bytes, Facts]) -> list[str]:
    """The same, for what :func:`facts` gave."""
    told = [f"{path!r} is missing" for path in sorted(expected.keys() - found.keys())]
    told += [f"{path!r} is too much" for path in sorted(found.keys() - expected.keys())]
    for path in sorted(expected.keys() & found.keys()):
        for field, wanted, there in zip(Facts._fields, expected[path], found[path], strict=True):
            if wanted != there:
                told.append(f"{path!r}: {field} is {_shown(there)}, not {_shown(wanted)}")
    return told


def _shown(value: object) -> str:
    return repr(value)[:80]
