"""7z archives, by the 7-Zip program and by the library that stands in for it, each reading what the other wrote."""

import errno
import hashlib
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from pivori.archives import seven_zip_program as program_module
from pivori.archives import seven_zip_reading, seven_zip_writing
from pivori.archives.container import (
    ArchiveDamaged,
    Captured,
    Effort,
    NotAnArchive,
    PasswordNeeded,
    WrongArchivePassword,
)
from pivori.archives.formats import open_container
from pivori.archives.manifest import MANIFEST_NAME
from pivori.archives.seven_zip_writing import write_seven_zip
from pivori.entries import EntryKind
from pivori.host import group_name, user_name
from tests.contract.archive_trees import (
    CONTENTS,
    EXPECTED,
    NAMES,
    contents,
    entry_of,
    make_tree,
    request_for,
    require_same,
)

PROGRAM = program_module.seven_zip_program()
MAKERS = ["program", "library"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("seven") / "tree")


def use(maker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work with the program, or as on a machine without it."""
    found = PROGRAM if maker == "program" else None
    assert maker != "program" or found is not None, "7-Zip is installed by the tests"
    for module in (seven_zip_reading, seven_zip_writing):
        monkeypatch.setattr(module, "seven_zip_program", lambda: found)


def write(tree: Path, path: Path, **settings: object) -> Captured:
    asked: list[Captured] = []
    with path.open("wb") as out:
        captured = write_seven_zip(request_for(tree, asked, **settings), out, progress=lambda *_facts: None)
    assert asked == [captured]
    return captured


@pytest.mark.parametrize("reader", MAKERS)
@pytest.mark.parametrize("writer", MAKERS)
@pytest.mark.parametrize("password", [None, "corréct horse"])
def test_what_was_written_is_read(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, reader: str, password: str | None
) -> None:
    use(writer, monkeypatch)
    path = tmp_path / "a.7z"
    require_same(write(tree, path, password=password))
    use(reader, monkeypatch)
    with open_container(path, password=password) as archive:
        assert contents(archive) == EXPECTED
        by_name = {member.name: member for member in archive.members}
        assert by_name[b"empty folder"].kind is EntryKind.DIRECTORY
        assert by_name[b"d/link"].kind is EntryKind.SYMLINK
        assert by_name[b"large"].mode == 0o600
        assert abs(by_name[b"large"].mtime_ns - 1_700_000_000_123_456_789) < 1000
        assert archive.read(by_name[MANIFEST_NAME], 1000) == b'{"manifest": true}'
        with pytest.raises(ArchiveDamaged):
            archive.read(by_name[MANIFEST_NAME], 3)


def test_nothing_is_left_in_the_workspace(tree: Path, tmp_path: Path) -> None:
    write(tree, tmp_path / "a.7z", workspace=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.7z"]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("names", [['"q"'], ['"q"', "q"], ['"', '""', '"begins', 'ends"', " spaces "]])
def test_quotation_marks_around_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], maker: str
) -> None:
    use(maker, monkeypatch)
    (tmp_path / "tree").mkdir()
    for name in names:
        (tmp_path / "tree" / name).write_text(f"in {name}")
    captured = write(tmp_path / "tree", tmp_path / "a.7z")
    assert captured.not_captured == []
    with open_container(tmp_path / "a.7z") as archive:
        found = contents(archive)
    assert {name: found.get(name.encode()) for name in names} == {name: f"in {name}".encode() for name in names}


@pytest.mark.parametrize("maker", MAKERS)
def test_the_ordinary_program_tests_and_unpacks_it(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    use(maker, monkeypatch)
    path = tmp_path / "a.7z"
    write(tree, path, effort=Effort.SMALLEST)
    assert PROGRAM is not None
    subprocess.run([PROGRAM, "t", path], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([PROGRAM, "x", "-bso0", f"-o{tmp_path / 'out'}", path], check=True)
    for name, content in CONTENTS.items():
        member = NAMES.get(name, name)
        assert Path(os.fsdecode(os.fsencode(tmp_path / "out") + b"/" + member)).read_bytes() == content
    assert (tmp_path / "out" / "d" / "link").readlink() == Path("sub/deep")


@pytest.mark.parametrize("maker", MAKERS)
def test_links_of_foreign_archives_have_their_targets(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    assert PROGRAM is not None
    subprocess.run([PROGRAM, "a", "-snl", "-bso0", "-bsp0", tmp_path / "a.7z", "."], cwd=tree, check=True)
    use(maker, monkeypatch)
    with open_container(tmp_path / "a.7z") as archive:
        targets = {member.name: member.target for member in archive.members if member.kind is EntryKind.SYMLINK}
    assert targets == {b"d/link": b"sub/deep", b"dangling": "nowhere/é".encode()}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_part_is_read(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    write(tree, tmp_path / "a.7z")
    use(maker, monkeypatch)
    with open_container(tmp_path / "a.7z") as archive:
        wanted = [member.number for member in archive.members if member.name in (b"@at", b"large")]
        pieces = [piece for job in archive.jobs(wanted) for piece in job.pieces()]
        assert {piece.number for piece in pieces} == set(wanted)
        assert sorted(len(CONTENTS[name]) for name in (b"@at", b"large")) == sorted(
            sum(len(piece.content) for piece in pieces if piece.number == number) for number in wanted
        )


@pytest.mark.parametrize("maker", MAKERS)
def test_wrong_and_missing_passwords(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    write(tree, tmp_path / "a.7z", password="right")
    use(maker, monkeypatch)
    with pytest.raises(PasswordNeeded):
        open_container(tmp_path / "a.7z")
    with pytest.raises(WrongArchivePassword):
        open_container(tmp_path / "a.7z", password="wrong")


@pytest.mark.parametrize("maker", MAKERS)
def test_encrypted_content_with_open_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    assert PROGRAM is not None
    (tmp_path / "file").write_bytes(b"content " * 1000)
    subprocess.run(
        [PROGRAM, "a", "-pright", "-mhe=off", "-bso0", "-bsp0", tmp_path / "a.7z", "file"], cwd=tmp_path, check=True
    )
    use(maker, monkeypatch)
    with open_container(tmp_path / "a.7z") as archive:
        assert [member.is_encrypted for member in archive.members] == [True]
    with open_container(tmp_path / "a.7z", password="right") as archive:
        assert contents(archive) == {b"file": b"content " * 1000}
    with open_container(tmp_path / "a.7z", password="wrong") as archive, pytest.raises(WrongArchivePassword):
        contents(archive)


@pytest.mark.parametrize("maker", MAKERS)
def test_damage_is_named(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    write(tree, tmp_path / "a.7z")
    whole = (tmp_path / "a.7z").read_bytes()
    use(maker, monkeypatch)
    damaged = tmp_path / "b.7z"
    for length in (3, 20, 31, 32, 40, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:length])
        with pytest.raises((ArchiveDamaged, NotAnArchive)), open_container(damaged) as archive:
            contents(archive)
    for position in (8, 14, 25, 33, 5000, len(whole) // 2, len(whole) - 30, len(whole) - 2):
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with pytest.raises((ArchiveDamaged, NotAnArchive)), open_container(damaged) as archive:
            contents(archive)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_last_piece_comes_only_of_what_fits_its_checksum(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    path = tmp_path / "a.7z"
    write(tree, path)
    whole = bytearray(path.read_bytes())
    whole[whole.index(CONTENTS[b"noise"][:64])] ^= 1  # it is stored as it is
    path.write_bytes(whole)
    use(maker, monkeypatch)
    ended: list[bytes] = []
    with open_container(path) as archive:
        (job,) = archive.jobs()
        with pytest.raises(ArchiveDamaged, match="noise"):
            ended.extend(archive.members[piece.number].name for piece in job.pieces() if piece.is_last)
    assert b"noise" not in ended


@pytest.mark.parametrize("maker", MAKERS)
def test_files_that_change_vanish_or_stay_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    use(maker, monkeypatch)
    tree = make_tree(tmp_path / "tree")
    asked: list[Captured] = []
    request = request_for(tree, asked, workspace=tmp_path)
    (tree / "d" / "plain.txt").unlink()
    changes = iter([lambda: (tree / "large").write_bytes(b"changed " * 5000)])

    def change(*_facts: object) -> None:
        next(changes, lambda: None)()

    # As soon as the first file was hashed, another one changes; who reads it first is a matter of luck.
    with (tmp_path / "a.7z").open("wb") as out:
        captured = write_seven_zip(request, out, progress=change)
    assert captured.vanished == [b"d/plain.txt"]
    entries = {entry.path: entry for entry in captured.entries if entry.kind is EntryKind.FILE}
    assert b"d/plain.txt" not in entries
    with open_container(tmp_path / "a.7z") as archive:
        stored = contents(archive)
    for path, entry in entries.items():
        assert hashlib.sha256(stored[path]).hexdigest() == entry.sha256, path
        assert len(stored[path]) == entry.size


@pytest.mark.parametrize("maker", MAKERS)
def test_a_file_whose_folder_became_a_file_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    use(maker, monkeypatch)
    tree = make_tree(tmp_path / "tree")
    asked: list[Captured] = []
    request = request_for(tree, asked, workspace=tmp_path)
    shutil.rmtree(tree / "d" / "sub")
    (tree / "d" / "sub").write_text("a file now")
    with (tmp_path / "a.7z").open("wb") as out:
        captured = write_seven_zip(request, out, progress=lambda *_facts: None)
    assert captured.vanished == [b"d/sub/deep"]
    assert captured.not_captured == []


def test_an_owner_that_changed_has_the_names_of_now(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    request = request_for(tree, [], workspace=tmp_path)
    earlier = [
        structs.replace(entry, uid=12345, gid=23456, user="earlier", group="others") for entry in request.entries
    ]
    with (tmp_path / "a.7z").open("wb") as out:
        captured = write_seven_zip(replace(request, entries=earlier), out, progress=lambda *_facts: None)
    owners = {
        (entry.uid, entry.gid, entry.user, entry.group) for entry in captured.entries if entry.kind is EntryKind.FILE
    }
    mine = os.getuid(), os.getgid()
    assert owners == {(*mine, user_name(mine[0]), group_name(mine[1]))}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    use(maker, monkeypatch)
    memory = entry_of(b"/proc/self/mem", b"mem")  # nothing is at its beginning: reading there is EIO
    request = replace(
        request_for(tmp_path, []), root=Path("/proc/self"), entries=[memory], names={b"mem": b"another name"}
    )
    with (tmp_path / "a.7z").open("wb") as out:
        captured = write_seven_zip(request, out, progress=lambda *_facts: None)
    assert [(each.path, each.reason) for each in captured.not_captured] == [("mem", os.strerror(errno.EIO))]
    assert captured.entries == []
    with open_container(tmp_path / "a.7z") as archive:
        assert {member.name for member in archive.members} == {b".pivori/note", MANIFEST_NAME}


def test_the_password_is_in_no_list_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = tmp_path / "7zz"
    spy.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/arguments\nenv >> {tmp_path}/arguments\nexec {PROGRAM} "$@"\n')
    spy.chmod(0o755)
    for module in (seven_zip_reading, seven_zip_writing):
        monkeypatch.setattr(module, "seven_zip_program", lambda: str(spy))
    tree = make_tree(tmp_path / "tree")
    write(tree, tmp_path / "a.7z", password="canary-7391")
    with open_container(tmp_path / "a.7z", password="canary-7391") as archive:
        assert contents(archive) == EXPECTED
    said = (tmp_path / "arguments").read_text()
    assert "-mhe=on" in said
    assert "canary-7391" not in said


def test_a_machine_without_the_program_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    program_module.seven_zip_program.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert program_module.seven_zip_program() is None
    program_module.seven_zip_program.cache_clear()
