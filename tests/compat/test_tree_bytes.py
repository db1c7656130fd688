"""Trees are those of the real restic, byte for byte, both read and built from the same files."""

import grp
import os
import pwd
import socket
import stat
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from pivori.repository.tree import (
    ExtendedAttribute,
    assemble_tree,
    decode_tree,
    encode_node,
    node_from_stat,
    raw_name,
    references,
)
from tests.restic import Restic

GO_OF_TODAY = (0, 18)  # earlier restics have other escapes, no raw link targets and an older Unicode
NAMES = [
    b"plain",
    b"two words.tar.gz",
    b"-dash",
    b"quote\"s'`",
    b"back\\slash\\n",
    b"line\nbreak\r\ttab",
    b"\x01\x07\b\f\v\x1f\x7f",
    b"not utf-8 \xff\xfe \xc3",
    b"\xed\xa0\x80 surrogate, \xf4\x90\x80\x80 too large",
    "accents éàü e\u0301".encode(),
    "zero\u200bwidth\u200e\ufeff".encode(),
    "no break\u00a0soft\u00adhyphen".encode(),
    "lines\u2028and\u2029paragraphs".encode(),
    "replaced \ufffd".encode(),
    "😀👩\u200d👩\u200d👧".encode(),
    "private \ue000 \U000f0000 tag \U000e0041".encode(),
    b"<html>&amp;",
    b"\\x41 \\u0041",
    b"%s {0} $HOME *?[a]",
    "長い名前".encode() * 21,
]
LINKS = [b"plain", b'../up/\xc3\xa9 <&> "quoted" \\ \n\t', "line\u2028 \ufffd".encode(), b"x" * 4000]
LINKS_OF_TODAY = [b"not utf-8 \xff\xe2\x82A", b"\b\f\x01\x7f"]


class Source:
    """A directory for restic, its repository, and the trees that restic makes of it."""

    def __init__(self, restic: Restic, folder: Path) -> None:
        self.restic = restic
        self.directory = folder / "source"
        self.directory.mkdir()
        self.repository = folder / "repository"
        self.password = folder / "password"
        self.password.write_text("password\n")

    def back_up(self) -> str:
        """Back the directory up; the id of the root tree."""
        self.restic.run(self.repository, self.password, "init")
        self.restic.run(self.repository, self.password, "backup", self.directory.name, cwd=self.directory.parent)
        (snapshot,) = self.restic.json(self.repository, self.password, "snapshots")
        return str(snapshot["tree"])

    def blob(self, name: str) -> bytes:
        """A blob's content, as restic gives it."""
        output = self.restic.run(self.repository, self.password, "cat", "blob", name).stdout
        content = output.encode("utf-8", "surrogateescape")
        assert sha256(content).hexdigest() == name
        return content

    def trees(self, root: str) -> Iterator[bytes]:
        """All trees, the root first."""
        blob = self.blob(root)
        yield blob
        for subtree in references(blob)[0]:
            yield from self.trees(subtree)


@pytest.fixture
def source(restic: Restic, tmp_path: Path) -> Source:
    """A place for files."""
    return Source(restic, tmp_path)


def child(directory: Path, name: bytes) -> Path:
    """The path of a raw name."""
    return directory / os.fsdecode(name)


def make_files(directory: Path) -> None:
    """Files of hostile names, modes, times, attributes, and hard links."""
    for number, name in enumerate(NAMES):
        child(directory, name).write_bytes(b"x" * number)
    for mode in (0o000, 0o400, 0o777, 0o4755, 0o2711, 0o1644, 0o7777):
        path = directory / f"mode {mode:o}"
        path.write_text("mode")
        path.chmod(mode)
    os.link(directory / "plain", directory / "hard link")
    for ns in (0, 1, -1, -1_234_567_890_123_456_789, 1_700_000_000_100_000_000, 9_000_000_000_120_000_000):
        path = directory / f"time {ns}"
        path.touch()
        os.utime(path, ns=(ns, ns))
    if sys.platform == "linux":
        os.setxattr(directory / "plain", "user.value", b"\0\xff binary")
        os.setxattr(directory / "plain", "user.<empty>&é", b"")
        os.setxattr(directory, "user.directory", b"d")


def make_special(directory: Path, links: list[bytes]) -> None:
    """Every other type of node; a socket is there to be left out, as restic does it."""
    for number, target in enumerate(links):
        (directory / f"link {number}").symlink_to(os.fsdecode(target))
    os.mkfifo(directory / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        working_directory = Path.cwd()
        os.chdir(directory)  # a socket's path is limited to 107 bytes
        server.bind("socket")
        os.chdir(working_directory)
    (directory / "folder" / "empty").mkdir(parents=True)
    (directory / "folder").chmod(0o3770)
    if os.geteuid() == 0:
        os.mknod(directory / "chardev", stat.S_IFCHR | 0o640, os.makedev(1, 3))
        os.mknod(directory / "dev", stat.S_IFBLK | 0o604, os.makedev(259, 70_000))
        os.chown(directory / "folder", 4_000_000_000, 3_999_999_999)


def names_of(status: os.stat_result) -> dict[str, str]:
    """The names of a file's user and group, empty where there is none."""
    try:
        user = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        user = ""
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = ""
    return {"user": user, "group": group}


def attributes_of(path: Path) -> list[ExtendedAttribute]:
    if sys.platform != "linux":
        return []
    return [
        ExtendedAttribute(name, os.getxattr(path, name, follow_symlinks=False))
        for name in os.listxattr(path, follow_symlinks=False)
    ]


def encoded(path: Path) -> bytes:
    """The node of a file as this program builds it; small files are one blob."""
    status = path.lstat()
    content, subtree, target = None, None, None
    if stat.S_ISREG(status.st_mode):
        data = path.read_bytes()
        content = [sha256(data).hexdigest()] if data else []
    elif stat.S_ISDIR(status.st_mode):
        subtree = sha256(tree_of_directory(path)).hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        target = os.readlink(os.fsencode(path))
    node = node_from_stat(
        os.fsencode(path.name),
        status,
        **names_of(status),
        content=content,
        subtree=subtree,
        linktarget=target,
        extended_attributes=attributes_of(path),
    )
    return encode_node(node)


def tree_of_directory(path: Path) -> bytes:
    """The tree of a directory as this program builds it."""
    paths = sorted(path.iterdir(), key=lambda each: os.fsencode(each.name))
    return assemble_tree([encoded(each) for each in paths if not stat.S_ISSOCK(each.lstat().st_mode)])


def make_lossy(directory: Path) -> None:
    """What restic stores with a loss: an attribute's name that is not UTF-8."""
    directory.mkdir()
    path = directory / "file"
    path.touch()
    if sys.platform == "linux":
        os.setxattr(path, b"user.not utf-8 \xff", b"value")


def test_trees_are_the_same_bytes_built_from_the_same_files_and_read(source: Source) -> None:
    make_files(source.directory)
    make_special(source.directory, LINKS + (LINKS_OF_TODAY if source.restic.version >= GO_OF_TODAY else []))
    make_lossy(source.directory / "lossy")
    root, *trees = source.trees(source.back_up())
    assert set(NAMES) <= {raw_name(node) for node in decode_tree(trees[0])}
    assert tree_of_directory(source.directory / "lossy") == trees[-1]
    assert tree_of_directory(source.directory) == trees[0]
    assert assemble_tree([encoded(source.directory)]) == root
    for blob in (root, *trees[:-1]):
        assert assemble_tree([encode_node(node) for node in decode_tree(blob)]) == blob


def test_every_character_is_quoted_as_restic_quotes_it(source: Source) -> None:
    """One file for every fifty characters of the planes in use, the surrogates' bytes included."""
    if source.restic.version < GO_OF_TODAY:
        code_points = list(range(1, 0x530))  # where no character was added since its Unicode
    else:
        code_points = [*range(1, 0x20000), *range(0x2A600, 0x2A800), *range(0x2EBD0, 0x2EE80), *range(0xE0000, 0xE0200)]
    text = "".join(map(chr, code_points)).replace("/", "")
    for start in range(0, len(text), 50):
        name = text[start : start + 50].encode("utf-8", "surrogatepass")
        child(source.directory, name).touch()
    _, inner = source.trees(source.back_up())
    assert tree_of_directory(source.directory) == inner
    assert assemble_tree([encode_node(node) for node in decode_tree(inner)]) == inner
