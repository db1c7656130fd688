"""The tools that people have open what is written here, and what they write is read here."""

import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.archives.container import ArchiveDamaged, ArchiveFormat, Effort, PasswordNeeded, WrongArchivePassword
from pivori.archives.formats import open_container
from pivori.entries import EntryKind
from tests.boxes import Pipe, contents, make, members

Program = Callable[[str], Path]
SECRET = "correct horse"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd)
    assert done.returncode == 0, done.stdout
    return done.stdout.decode(errors="replace")


def same_trees(first: Path, second: Path, *, fifo: bool = True) -> None:
    """Names, kinds, modes, times in seconds, targets and contents are the same."""
    left, right = (
        {path.relative_to(root) for path in root.rglob("*") if fifo or not path.is_fifo()} for root in (first, second)
    )
    assert left == right
    for name in left:
        one, other = (first / name).lstat(), (second / name).lstat()
        assert one.st_mode == other.st_mode or (first / name).is_symlink(), name
        assert int(one.st_mtime) == int(other.st_mtime) or (first / name).is_symlink(), name
        if (first / name).is_symlink():
            assert os.readlink(first / name) == os.readlink(second / name)
        elif (first / name).is_file():
            assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.fixture
def small_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files begin at 100 kB."""
    monkeypatch.setattr("pivori.archives.pipeline.LARGE", 100_000)
    monkeypatch.setattr("pivori.archives.source_files.LARGE", 100_000)
    monkeypatch.setattr("pivori.archives.zip_writing.ZipPacker.part_bytes", 70_000)
    monkeypatch.setattr("pivori.archives.tar_writing.TarPacker.part_bytes", 70_000)
    monkeypatch.setattr("pivori.archives.zip_job.WHOLE", 100_000)


@pytest.fixture
def words(tree: Path) -> Path:
    """The tree with two large files, of which one gets smaller."""
    (tree / "words").write_bytes(b"".join(b"%d words, " % number for number in range(30_001)))
    os.utime(tree / "empty directory", (1, 1_000_000_000))
    os.utime(tree / "a" / "empty", (1, 1_000_000_000))
    return tree


@pytest.mark.parametrize("is_pipe", [False, True])
@pytest.mark.usefixtures("small_large")
def test_unzip(words: Path, tmp_path: Path, program: Program, is_pipe: bool) -> None:
    path = tmp_path / "archive.zip"
    make(ArchiveFormat.ZIP, words, Pipe(path) if is_pipe else path)
    assert "No errors detected" in run(program("unzip"), "-tq", path)
    run(program("unzip"), "-q", "-K", path, "-x", "fifo", "-d", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / ".pivori")
    same_trees(words, tmp_path / "out", fifo=False)
    assert run(program("zip"), "-qT", path) == ""
    assert zipfile.ZipFile(path).testzip() is None


@pytest.mark.parametrize("is_pipe", [False, True])
@pytest.mark.parametrize("password", [None, SECRET])
@pytest.mark.usefixtures("small_large")
def test_seven_zip(words: Path, tmp_path: Path, program: Program, is_pipe: bool, password: str | None) -> None:
    path = tmp_path / "archive.zip"
    make(ArchiveFormat.ZIP, words, Pipe(path) if is_pipe else path, password=password)
    said = run(program("7zz"), "t", f"-p{password or ''}", path)
    assert "Everything is Ok" in said
    assert "Warning" not in said


@pytest.mark.parametrize("effort", Effort)
@pytest.mark.usefixtures("small_large")
def test_tar(words: Path, tmp_path: Path, program: Program, effort: Effort) -> None:
    path = tmp_path / "archive.tar.zst"
    make(ArchiveFormat.TAR_ZST, words, path, effort=effort)
    run(program("zstd"), "-tq", path)
    assert "z hard link link to a/text.txt" in run(program("tar"), "--zstd", "-tvf", path)
    (tmp_path / "out").mkdir()
    run(program("tar"), "--zstd", "-xpf", path, "-C", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / ".pivori")
    same_trees(words, tmp_path / "out")
    assert (tmp_path / "out" / "z hard link").samefile(tmp_path / "out" / "a" / "text.txt")
    run(program("7zz"), "t", path)


def check_foreign(tree: Path, path: Path, password: str | None = None) -> None:
    """All files of the tree are in the archive with what they hold."""
    found = contents(path, password)
    with open_container(path, password=password) as archive:
        stored = {member.name: member for member in archive.members}
    for file in (path for path in tree.rglob("*") if not path.is_fifo()):
        name = os.fsencode(file.relative_to(tree))
        if file.is_symlink():
            assert stored[name].target == os.fsencode(os.readlink(file))
        elif file.is_file() and stored[name].hard_link is None:
            assert found[name] == file.read_bytes()
            assert stored[name].mode == file.stat().st_mode & 0o7777
            assert stored[name].mtime_ns // 10**9 == int(file.stat().st_mtime)
        elif file.is_dir():
            assert stored[name].kind is EntryKind.DIRECTORY


@pytest.mark.parametrize("options", [[], ["-0"], ["-Z", "bzip2"], ["-fz"]])
def test_what_zip_wrote(words: Path, tmp_path: Path, program: Program, options: list[str]) -> None:
    run(program("zip"), "-qry", *options, tmp_path / "a.zip", ".", "-x", "fifo", cwd=words)
    check_foreign(words, tmp_path / "a.zip")


@pytest.mark.parametrize("method", ["Deflate", "BZip2", "LZMA", "Copy"])
@pytest.mark.parametrize("encryption", [None, "ZipCrypto", "AES128", "AES256"])
def test_what_seven_zip_wrote(
    words: Path, tmp_path: Path, program: Program, method: str, encryption: str | None
) -> None:
    path = tmp_path / "a.zip"
    options = ["-p" + SECRET, "-mem=" + encryption] if encryption else []
    run(program("7zz"), "a", "-snl", f"-mm={method}", *options, path, "a", "script.sh", "words", cwd=words)
    with open_container(path, password=SECRET if encryption else None) as archive:
        members = archive.members
    for name, content in contents(path, SECRET if encryption else None).items():
        assert content == (words / os.fsdecode(name)).read_bytes()
    assert len([member for member in members if member.kind is EntryKind.FILE]) == 7
    if encryption:
        with open_container(path) as archive, pytest.raises(PasswordNeeded):
            list(archive.jobs())
        with pytest.raises((WrongArchivePassword, ArchiveDamaged)):
            contents(path, "wrong")


def test_a_way_of_packing_that_is_not_known(words: Path, tmp_path: Path, program: Program) -> None:
    run(program("7zz"), "a", "-mm=Deflate64", tmp_path / "a.zip", "words", cwd=words)
    with pytest.raises(ArchiveDamaged, match="words is packed in a way that is not known here"):
        contents(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "options", [["--zstd"], ["-z"], ["-J"], ["-j"], [], ["--format=ustar"], ["--format=gnu"], ["-S"]]
)
def test_what_tar_wrote(words: Path, tmp_path: Path, program: Program, options: list[str]) -> None:
    if "-S" in options:
        with (words / "sparse").open("wb") as file:
            file.truncate(2 << 20)
            file.seek(1 << 20)
            file.write(b"something")
    if options == ["-j"]:
        program("bzip2")
    exclude = ["--exclude=long*", "--exclude=dangling"] if options == ["--format=ustar"] else []
    names = [path.name for path in words.iterdir()]
    run(program("tar"), *exclude, *options, "-cf", tmp_path / "a.tar", "--", *names, cwd=words)
    if not exclude:
        check_foreign(words, tmp_path / "a.tar")
    found = members(tmp_path / "a.tar")
    assert {found[b"a/text.txt"].hard_link, found[b"z hard link"].hard_link} & {b"a/text.txt", b"z hard link"}


def test_what_tarfile_wrote_with_devices(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in ((b"null", tarfile.CHRTYPE), (b"disk", tarfile.BLKTYPE)):
            info = tarfile.TarInfo(name.decode())
            info.type = kind
            tar.addfile(info)
    assert [member.kind for member in members(tmp_path / "a.tar").values()] == [None, None]


def test_a_program_before_the_zip(words: Path, tmp_path: Path) -> None:
    make(ArchiveFormat.ZIP, words, tmp_path / "a.zip")
    whole = contents(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(b"#!/bin/sh\n" + (tmp_path / "a.zip").read_bytes())
    assert contents(tmp_path / "b.zip") == whole
