"""What goes into a container comes out of it, whichever format, however many workers."""

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pivori.archives.container import (
    ArchiveDamaged,
    ArchiveFormat,
    Effort,
    NotAnArchive,
    PasswordNeeded,
    WrongArchivePassword,
)
from pivori.archives.formats import open_container
from pivori.archives.manifest import MANIFEST_NAME
from pivori.entries import EntryKind
from tests.boxes import FORMATS, MANIFEST, Pipe, check, contents, digests, look, make, members
from tests.conftest import missing

SECRET = "corréct horse"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("effort", Effort)
@pytest.mark.parametrize("format_", FORMATS)
def test_round_trip(tree: Path, tmp_path: Path, format_: ArchiveFormat, effort: Effort, workers: int) -> None:
    (tree / "large").write_bytes(os.urandom(5 << 20) + bytes(1 << 20))  # enough for processes
    made = make(format_, tree, tmp_path / "archive", workers=workers, effort=effort)
    assert len(made.captured.entries) == len(look(tree))
    assert not made.captured.changed
    assert not made.captured.vanished
    assert not made.captured.not_captured
    entries = made.by_path()
    assert entries[b"large"].sha256 == hashlib.sha256((tree / "large").read_bytes()).hexdigest()
    assert entries[b"script.sh"].mtime_ns == 1_234_567_890_123_456_789
    assert entries[b"z hard link"].hard_link == b"a/text.txt"
    assert entries[b"z hard link"].sha256 == entries[b"a/text.txt"].sha256
    assert made.reports[-1][:2] == (8 if format_ is ArchiveFormat.ZIP else 7, made.reports[-1][1])
    check(made, workers=workers)


def test_tar_keeps_nanoseconds_and_hard_links(tree: Path, tmp_path: Path) -> None:
    for effort in Effort:
        made = make(ArchiveFormat.TAR_ZST, tree, tmp_path / "t", effort=effort)
        found = members(made.path)
        for entry in made.captured.entries:
            assert found[entry.path].mtime_ns == entry.mtime_ns
            assert (found[entry.path].user, found[entry.path].group) == ("somebody", "people")
        assert found[b"z hard link"].hard_link == b"a/text.txt"
        assert found[b"z hard link"].size == 0


@pytest.mark.parametrize("format_", FORMATS)
def test_to_a_pipe(tree: Path, tmp_path: Path, format_: ArchiveFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pivori.archives.pipeline.LARGE", 100_000)
    monkeypatch.setattr("pivori.archives.source_files.LARGE", 100_000)
    (tree / "large").write_bytes(b"many words, many words" * 20_000)
    made = make(format_, tree, Pipe(tmp_path / "archive"))
    made.path = tmp_path / "archive"
    check(made)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("workers", [1, 2])
def test_large_files_and_documents(tmp_path: Path, format_: ArchiveFormat, workers: int) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    words = b"".join(b"%d is a number, " % number for number in range(2_800_000))  # over 32 MiB, and not a whole block
    assert len(words) > 32 << 20
    (root / "words").write_bytes(words)
    (root / "noise").write_bytes(os.urandom(33 << 20))
    manifest = words[: 9 << 20]
    made = make(
        format_,
        root,
        tmp_path / "archive",
        workers=workers,
        documents={b".pivori/notes": b"short"},
        manifest=lambda captured: manifest,
    )
    with open_container(made.path) as archive:
        seen = digests(archive, workers)
        assert seen[b"words"] == (len(words), hashlib.sha256(words).hexdigest())
        assert seen[MANIFEST_NAME] == (len(manifest), hashlib.sha256(manifest).hexdigest())
        assert [member.name for member in archive.members][-2:] == [b".pivori/notes", MANIFEST_NAME]
        assert archive.read(archive.members[-1], 9 << 20) == manifest
        with pytest.raises(ArchiveDamaged):
            archive.read(archive.members[-1], (9 << 20) - 1)
    assert {path: entry.size for path, entry in made.by_path().items()} == {b"words": len(words), b"noise": 33 << 20}
    assert made.path.stat().st_size < (33 << 20) + (16 << 20)


@pytest.mark.parametrize("format_", FORMATS)
def test_nothing_at_all(tmp_path: Path, format_: ArchiveFormat) -> None:
    (tmp_path / "tree").mkdir()
    check(make(format_, tmp_path / "tree", tmp_path / "archive"))


@pytest.mark.parametrize("format_", FORMATS)
def test_only_what_is_wanted(tree: Path, tmp_path: Path, format_: ArchiveFormat) -> None:
    made = make(format_, tree, tmp_path / "archive")
    with open_container(made.path) as archive:
        wanted = {m.number: m.name for m in archive.members if m.name in (b"script.sh", b"a/noise", b"a/empty")}
        seen = {piece.number for job in archive.jobs(set(wanted)) for piece in job.pieces()}
        assert seen == set(wanted)
        assert list(archive.jobs([])) == []


@pytest.mark.parametrize("format_", FORMATS)
def test_names_given_by_the_caller(tmp_path: Path, format_: ArchiveFormat) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    path = os.path.join(os.fsencode(root), b"caf\xe9")
    with open(path, "wb") as file:
        file.write(b"Latin-1")
    os.link(path, path + b"2")
    made = make(format_, root, tmp_path / "archive", names={b"caf\xe9": rb"caf\xe9", b"caf\xe92": rb"caf\xe92"})
    assert set(made.by_path()) == {b"caf\xe9", b"caf\xe92"}
    found = members(made.path)
    assert rb"caf\xe9" in found
    assert found[rb"caf\xe92"].hard_link in (None, rb"caf\xe9")


def test_tar_keeps_any_name_and_attributes(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    path = os.path.join(os.fsencode(root), b"caf\xe9")
    with open(path, "wb") as file:
        file.write(b"x")
    try:
        os.setxattr(path, b"user.no%te=", b"\xff\n=value")
    except OSError:
        missing("a file system with extended attributes")
    for effort in Effort:
        made = make(ArchiveFormat.TAR_ZST, root, tmp_path / "archive", effort=effort)
        found = members(made.path)[b"caf\xe9"]
        assert found.attributes == ((b"user.no%te=", b"\xff\n=value"),) == made.captured.entries[0].attributes


def test_sparse_files(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    with (root / "holes").open("wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"something")
    for format_ in FORMATS:
        made = make(format_, root, tmp_path / "archive")
        assert made.captured.entries[0].is_sparse
        check(made)


# Passwords


@pytest.mark.parametrize("workers", [1, 2])
def test_encrypted_zip(tree: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "large").write_bytes(b"many secret words, " * (1 << 20) + os.urandom(14 << 20))  # over 32 MiB
    made = make(ArchiveFormat.ZIP, tree, tmp_path / "a.zip", password=SECRET, workers=workers)
    check(made, workers=workers, password=SECRET)
    assert b"many secret words" not in made.path.read_bytes()
    with pytest.raises(WrongArchivePassword):
        open_container(made.path, password="Corréct horse")
    with open_container(made.path) as archive, pytest.raises(PasswordNeeded):
        archive.read(archive.members[-1], 1000)


def test_encrypted_to_a_pipe(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pivori.archives.pipeline.LARGE", 100_000)
    monkeypatch.setattr("pivori.archives.source_files.LARGE", 100_000)
    monkeypatch.setattr("pivori.archives.zip_job.WHOLE", 100_000)
    made = make(ArchiveFormat.ZIP, tree, Pipe(tmp_path / "a.zip"), password=SECRET)
    made.path = tmp_path / "a.zip"
    check(made, password=SECRET)


# Anything


name_parts = st.binary(min_size=1, max_size=40).filter(
    lambda name: not set(name) & set(b"/\0") and name not in (b".", b"..")
)
file_facts = st.tuples(
    st.binary(max_size=3000), st.integers(0, 0o7777), st.integers(-(10**18), 4 * 10**18), st.booleans()
)


@settings(max_examples=40)
@given(st.dictionaries(name_parts, file_facts, max_size=6), st.sampled_from(FORMATS))
def test_any_names_modes_and_times(files: dict[bytes, tuple[bytes, int, int, bool]], format_: ArchiveFormat) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        root.mkdir()
        for name, (content, mode, mtime, is_directory) in files.items():
            path = os.path.join(os.fsencode(root), name)
            if is_directory:
                os.mkdir(path)
            else:
                with open(path, "wb") as file:
                    file.write(content)
            os.chmod(path, mode | 0o600)
            os.utime(path, ns=(0, mtime))
        made = make(format_, root, Path(folder) / "archive")
        check(made)
        assert {entry.path for entry in made.captured.entries} == set(files)
        for name, content in contents(made.path).items():
            if name != MANIFEST_NAME:
                assert content == files[name][0]


# What is no archive


@pytest.mark.parametrize("content", [b"", b"x", b"text\n" * 1000, bytes(2000)])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(NotAnArchive) as error:
        open_container(tmp_path / "file")
    assert str(tmp_path / "file") in str(error.value)


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"PK\x05\x06" + bytes(10), b"7z\xbc\xaf\x27\x1c"])
def test_the_beginning_of_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ArchiveDamaged) as error:
        open_container(tmp_path / "file")
    assert str(tmp_path / "file") in str(error.value)


def test_the_name_does_not_matter(tree: Path, tmp_path: Path) -> None:
    made = make(ArchiveFormat.TAR_ZST, tree, tmp_path / "archive.zip")
    with open_container(made.path) as archive:
        assert archive.format is ArchiveFormat.TAR_ZST
        assert sum(member.kind is EntryKind.FIFO for member in archive.members) == 1
    assert contents(made.path)[MANIFEST_NAME] == MANIFEST
