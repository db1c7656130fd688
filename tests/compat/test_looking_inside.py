"""What is seen of a snapshot is what the real restic sees: ls, find, diff, dump; and tar unpacks what was backed up."""

import base64
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pivori
from tests.restic import Restic

NAMES = [
    b"plain.txt",
    b"two words",
    b"line\nbreak",
    b"esc\x1b[31m",
    b"not utf-8 \xff\xfe",
    "élan vital".encode(),
    b"-dash",
    b"back\\slash",
    b"x" * 200,
]
IS_ROOT = os.geteuid() == 0
LONG_AGO_NS = -1_500_000_000
FAR_AWAY_NS = 9_000_000_000_123_456_789


@dataclass(frozen=True)
class World:
    """A source, its repository made by restic with two snapshots, and their ids."""

    source: bytes
    repository: Path
    password: Path
    first: str
    second: str

    @property
    def path(self) -> str:
        return os.fsdecode(self.source)

    def ours(self, pivori: Pivori, *arguments: str | bytes, **options: Any) -> "subprocess.CompletedProcess[str]":
        return pivori("-r", str(self.repository), "--password-file", str(self.password), *arguments, **options)

    def bytes_of(self, pivori: Pivori, *arguments: str | bytes) -> bytes:
        command = [*pivori.command, "-r", str(self.repository), "--password-file", str(self.password), *arguments]
        return subprocess.run(command, env=pivori.environment, check=True, capture_output=True).stdout

    def restics(self, restic: Restic, *arguments: str) -> str:
        return restic.run(self.repository, self.password, *arguments).stdout


def fill(source: Path) -> None:
    """A tree with everything that is hard to carry."""
    (source / "deep/er/est").mkdir(parents=True)
    (source / "empty").mkdir()
    for number, name in enumerate(NAMES):
        (source / os.fsdecode(name)).write_bytes(name * number)
    (source / "large").write_bytes(os.urandom(9 << 20))
    with (source / "sparse").open("wb") as file:
        file.seek(5 << 20)
        file.write(b"end")
    (source / "deep/er/est/text").write_bytes(b"first\n")
    shutil.copy(source / "large", source / "deep/copy")
    os.link(source / "large", source / "deep/hard link")
    (source / "deep/link").symlink_to("../plain.txt")
    (source / "broken link").symlink_to(os.fsdecode(b"nowhere \xff" + b"y" * 150))
    os.link(source / "broken link", source / "deep/linked link", follow_symlinks=False)
    os.mkfifo(source / "fifo", 0o640)
    (source / "empty").chmod(0o1777)
    (source / "plain.txt").chmod(0o4755)
    os.setxattr(source / "two words", b"user.a=b%", b"\x00binary\xff")
    os.setxattr(source / "two words", b"user.empty", b"")
    if IS_ROOT:
        os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(source / "disk", stat.S_IFBLK | 0o660, os.makedev(7, 300))
        os.chown(source / "-dash", 3_000_000, 12345)
    os.utime(source / "empty", ns=(1, 1_600_000_000_000_000_001))
    os.utime(source / "deep/link", ns=(5, 7), follow_symlinks=False)
    os.utime(source / "back\\slash", ns=(LONG_AGO_NS, LONG_AGO_NS))
    os.utime(source / "large", ns=(FAR_AWAY_NS, FAR_AWAY_NS))


def change(source: Path) -> None:
    """What happens between the two snapshots."""
    (source / "deep/er/est/text").write_bytes(b"second\n")
    (source / "two words").unlink()
    (source / "large").rename(source / "renamed")
    (source / "new").mkdir()
    (source / "new/file").write_bytes(os.urandom(70_000))
    (source / "new/link").symlink_to("file")
    (source / "fifo").unlink()
    (source / "fifo").mkdir()
    (source / "sparse").chmod(0o600)


@pytest.fixture(scope="module")
def world(newest_restic: Restic, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("looking inside")
    source, password, repository = folder / "source", folder / "password", folder / "repository"
    password.write_text("x\n")
    password.chmod(0o600)
    newest_restic.run(repository, password, "init")
    fill(source)
    newest_restic.run(repository, password, "backup", source, "--tag", "one,two")
    change(source)
    newest_restic.run(repository, password, "backup", source, "--host", "elsewhere")
    first, second = (each["id"] for each in newest_restic.json(repository, password, "snapshots"))
    return World(os.fsencode(source), repository, password, first, second)


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_snapshots(world: World, restic: Restic, pivori: Pivori) -> None:
    ours = json.loads(world.ours(pivori, "snapshots", "--json").stdout)
    theirs = json.loads(world.restics(restic, "snapshots", "--json"))
    for mine, reference in zip(ours, theirs, strict=True):
        assert {name: mine.get(name) for name in reference} == reference


@pytest.mark.parametrize("group", ["host", "tags", "host,paths,tags"])
def test_groups_of_snapshots(world: World, newest_restic: Restic, pivori: Pivori, group: str) -> None:
    ours = json.loads(world.ours(pivori, "snapshots", "--json", "--group-by", group).stdout)
    theirs = json.loads(world.restics(newest_restic, "snapshots", "--json", "--group-by", group))

    def shape(groups: Any) -> list[Any]:
        members = [(each["group_key"], [one["id"] for one in each["snapshots"]]) for each in groups]
        return sorted(json.dumps([{name: value or None for name, value in key.items()}, ids]) for key, ids in members)

    assert shape(ours) == shape(theirs)


def test_ls(world: World, restic: Restic, pivori: Pivori) -> None:
    compare_listings(world, restic, pivori)


@pytest.mark.parametrize("arguments", [("deep",), ("--recursive", "deep")])
def test_ls_of_a_directory(world: World, newest_restic: Restic, pivori: Pivori, arguments: tuple[str, ...]) -> None:
    compare_listings(world, newest_restic, pivori, *arguments)


def compare_listings(world: World, restic: Restic, pivori: Pivori, *arguments: str) -> None:
    inside = [f"{world.path}/{word}" if word == "deep" else word for word in arguments]
    ours = lines(world.ours(pivori, "ls", "--json", world.first, *inside).stdout)
    theirs = lines(world.restics(restic, "ls", "--json", world.first, *inside))
    assert ours[0]["id"] == theirs[0]["id"] == world.first
    assert len(ours) == len(theirs) > 3
    for mine, reference in zip(ours[1:], theirs[1:], strict=True):
        if "name_base64" in mine:  # what is not UTF-8 is lost in restic's JSON
            for name in ("name", "path"):
                exact = base64.b64decode(mine[f"{name}_base64"])
                assert exact.decode("utf-8", "replace") == reference.pop(name)
        elif not mine["name"].isprintable() or "\\" in mine["name"]:
            assert mine["name"] == reference["name"]
        assert {name: mine.get(name) for name in reference} == reference


def test_ls_shows_no_control_characters(world: World, pivori: Pivori) -> None:
    for arguments in (("ls",), ("ls", "-l"), ("find", "*"), ("diff", world.first)):
        text = world.ours(pivori, *arguments, world.second if arguments[0] != "find" else "-l").stdout
        assert all(line.isprintable() for line in text.splitlines())
    assert "esc\\x1b[31m" in world.ours(pivori, "ls", world.first).stdout


@pytest.mark.parametrize("pattern", ["*.txt", "/**/est/text"])
def test_find(world: World, restic: Restic, pivori: Pivori, pattern: str) -> None:
    ours = json.loads(world.ours(pivori, "find", "--json", pattern).stdout)
    theirs = json.loads(world.restics(restic, "find", "--json", pattern))
    theirs.sort(key=lambda each: [world.second, world.first].index(each["snapshot"]))
    assert [(each["snapshot"], each["hits"]) for each in ours] == [(world.second, 1), (world.first, 1)]
    for mine, reference in zip(ours, theirs, strict=True):
        for match, expected in zip(mine.pop("matches"), reference.pop("matches"), strict=True):
            assert {name: match.get(name) for name in expected} == expected
        assert mine == reference


def test_find_what_uses_a_blob(world: World, newest_restic: Restic, pivori: Pivori) -> None:
    nodes = lines(world.restics(newest_restic, "ls", "--json", world.first))
    assert any(node.get("path", "").endswith("/large") for node in nodes)
    tree = json.loads(world.restics(newest_restic, "cat", "tree", f"{world.first}:{world.path}"))
    content = next(node["content"] for node in tree["nodes"] if node["name"] == "large")
    ours = json.loads(world.ours(pivori, "find", "--json", "--blob", content[0]).stdout)
    theirs = json.loads(world.restics(newest_restic, "find", "--json", "--blob", content[0]))
    uses = {(each["snapshot"], each["path"]) for each in ours}
    assert {(each["snapshot"], each["path"]) for each in theirs} <= uses
    paths = {path.removeprefix(world.path) for _, path in uses}
    assert paths == {"/large", "/renamed", "/deep/copy", "/deep/hard link"}
    for mine in ours:
        for reference in theirs:
            if (mine["snapshot"], mine["path"]) == (reference["snapshot"], reference["path"]):
                assert mine == reference


def compare_diffs(world: World, restic: Restic, pivori: Pivori, *arguments: str) -> None:
    ours = lines(world.ours(pivori, "diff", "--json", *arguments).stdout)
    theirs = lines(world.restics(restic, "diff", "--json", *arguments))
    mine, reference = ours.pop(), theirs.pop()
    for side in (mine, reference):
        side.pop("source_snapshot")
        side.pop("target_snapshot")
    assert mine == reference
    changes = sorted((each["path"], each["modifier"]) for each in ours)
    assert changes == sorted((each["path"], each["modifier"]) for each in theirs)
    assert len(changes) > 1


def test_diff(world: World, restic: Restic, pivori: Pivori) -> None:
    compare_diffs(world, restic, pivori, "--metadata", world.first, world.second)


def test_diff_of_content_only(world: World, newest_restic: Restic, pivori: Pivori) -> None:
    compare_diffs(world, newest_restic, pivori, world.second, world.first)


@pytest.mark.parametrize("below", ["", "/deep"])
def test_diff_of_directories(world: World, newest_restic: Restic, pivori: Pivori, below: str) -> None:
    names = (f"{name}:{world.path}{below}" for name in (world.first, world.second))
    compare_diffs(world, newest_restic, pivori, "--metadata", *names)


@pytest.mark.parametrize("name", ["large", "sparse", "deep/er/est/text"])
def test_dump_of_a_file(world: World, newest_restic: Restic, pivori: Pivori, name: str) -> None:
    path = f"{world.path}/{name}"
    command = [newest_restic.path, "--no-cache", "-r", world.repository, "-p", world.password]
    theirs = subprocess.run([*command, "dump", world.first, path], check=True, capture_output=True, env={}).stdout
    assert world.bytes_of(pivori, "dump", world.first, path) == theirs != b""


def test_dump_of_a_name_that_is_not_utf8(world: World, pivori: Pivori) -> None:
    assert world.bytes_of(pivori, "dump", world.first, world.source + b"/" + NAMES[4]) == NAMES[4] * 4


def facts(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder, as the system sees it; the last fact is the first name of the same file."""
    found: dict[str, tuple[Any, ...]] = {}
    first_names: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content: object = None
        if path.is_symlink():
            content = path.readlink()
        elif path.is_file():
            content = path.read_bytes()
        attributes = {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
        relative = str(path.relative_to(root))
        # Links of links are none of restic's business: it restores them one by one.
        first = relative if path.is_dir() or path.is_symlink() else first_names.setdefault(status.st_ino, relative)
        owner = status.st_uid, status.st_gid
        found[relative] = (status.st_mode, owner, status.st_rdev, status.st_mtime_ns, content, attributes, first)
    return found


@pytest.fixture(scope="module")
def carried(world: World, newest_restic: Restic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first snapshot, as restic restores it."""
    target = tmp_path_factory.mktemp("restored")
    newest_restic.run(world.repository, world.password, "restore", world.first, "--target", target)
    return target / world.path.lstrip("/")


def test_tar_unpacks_what_was_backed_up(
    world: World, carried: Path, pivori: Pivori, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    archive = world.bytes_of(pivori, "dump", f"{world.first}:{world.path}")
    assert archive == world.bytes_of(pivori, "dump", f"{world.first}:{world.path}")
    assert len(archive) % 10240 == 0
    target = tmp_path / "unpacked"
    target.mkdir()
    command = [program("tar"), "--extract", "--preserve-permissions", "--xattrs", "--xattrs-include=*", "--acls"]
    subprocess.run([*command, "--numeric-owner", "--directory", target], input=archive, check=True)
    ours = facts(target)
    assert ours == facts(carried)
    assert ours["deep/hard link"][-1] == ours["large"][-1] == "deep/hard link"
    assert (target / "broken link").lstat().st_ino == (target / "deep/linked link").lstat().st_ino
    assert ours["two words"][-2] == {"user.a=b%": b"\x00binary\xff", "user.empty": b""}


def test_python_reads_the_archive(world: World, pivori: Pivori) -> None:
    """A second reader, stricter about the records."""
    archive = world.bytes_of(pivori, "dump", world.first, world.source + b"/deep")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()
        prefix = world.path.lstrip("/")
        assert names[0] == f"{prefix}/deep"
        assert {name.removeprefix(f"{prefix}/deep") for name in names} == {
            "", "/copy", "/er", "/er/est", "/er/est/text", "/hard link", "/link", "/linked link",
        }  # fmt: skip
        assert tar.getmember(f"{prefix}/deep/link").linkname == "../plain.txt"


def test_python_reads_names_that_are_not_utf8(world: World, pivori: Pivori) -> None:
    archive = world.bytes_of(pivori, "dump", f"{world.first}:{world.path}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        content = tar.extractfile(os.fsdecode(NAMES[4]))
        assert content is not None
        assert content.read() == NAMES[4] * 4
        assert tar.getmember("large").linkname == "deep/hard link"
        assert tar.getmember("two words").pax_headers["SCHILY.xattr.user.a%3Db%25"] == "\x00binary\udcff"


def test_tar_brings_acls_back(
    newest_restic: Restic, pivori: Pivori, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    source, password, repository = tmp_path / "s", tmp_path / "password", tmp_path / "r"
    source.mkdir()
    password.write_text("x\n")
    password.chmod(0o600)
    subprocess.run([program("setfacl"), "-m", "u:1234:rw,d:g:99:r", source], check=True)
    newest_restic.run(repository, password, "init")
    newest_restic.run(repository, password, "backup", source)
    archive = pivori("-r", repository, "--password-file", password, "dump", f"latest:{tmp_path}", "s").stdout
    target = tmp_path / "unpacked"
    target.mkdir()
    subprocess.run([program("tar"), "-x", "--acls", "-C", target], input=archive.encode(), check=True)
    command = [program("getfacl"), "-n", "s"]
    shown = subprocess.run(command, cwd=target, check=True, capture_output=True, text=True).stdout
    assert "user:1234:rw-" in shown
    assert "default:group:99:r--" in shown
