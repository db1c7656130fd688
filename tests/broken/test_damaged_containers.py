"""Containers that are cut off, flipped, or made to do harm: refused with one sentence, or harmless."""

import io
import os
import random
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pivori.archives.container import ArchiveDamaged, ArchiveFormat, Effort, NotAnArchive, Piece
from pivori.archives.formats import open_container
from pivori.archives.zip_format import LIMIT, ZipMember, end_records, headers, place_header
from pivori.entries import EntryKind
from pivori.errors import PivoriError
from tests.boxes import contents, make

KINDS = [
    (ArchiveFormat.ZIP, Effort.NORMAL, None),
    (ArchiveFormat.ZIP, Effort.NORMAL, "secret"),
    (ArchiveFormat.TAR_ZST, Effort.NORMAL, None),
    (ArchiveFormat.TAR_ZST, Effort.SMALLEST, None),
]


def small_tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "d").mkdir(parents=True)
    (root / "d" / "text").write_bytes(b"some words that repeat, some words that repeat")
    (root / "noise").write_bytes(random.Random(3).randbytes(90))
    (root / "link").symlink_to("noise")
    os.link(root / "noise", root / "other")
    return root


def outcome(path: Path, password: str | None) -> object:
    """The contents and the names, or the kind of error; anything but our own errors fails the test."""
    try:
        with open_container(path, password=password) as archive:
            names = [(member.name, member.kind, member.hard_link, member.target) for member in archive.members]
        return contents(path, password), names
    except PivoriError as error:
        return type(error) if str(path) in str(error) else str(error)


@pytest.mark.parametrize(("format_", "effort", "password"), KINDS)
def test_cut_off_anywhere(tmp_path: Path, format_: ArchiveFormat, effort: Effort, password: str | None) -> None:
    made = make(format_, small_tree(tmp_path), tmp_path / "a", effort=effort, password=password)
    whole = made.path.read_bytes()
    right = contents(made.path, password)
    for length in range(0, len(whole), 1 if password is None else 3):
        made.path.write_bytes(whole[:length])
        found = outcome(made.path, password)
        # A tar.zst without its index and table is still whole for whoever reads it as a stream.
        assert found in (ArchiveDamaged, NotAnArchive) or (format_ is ArchiveFormat.TAR_ZST and found[0] == right), (
            length
        )
        if length < len(whole) * 6 // 10:
            assert found in (ArchiveDamaged, NotAnArchive)


@pytest.mark.parametrize(("format_", "effort", "password"), KINDS)
def test_any_flipped_byte(tmp_path: Path, format_: ArchiveFormat, effort: Effort, password: str | None) -> None:
    """Every flip is an error, or changes no content.

    A name or kind that changed is missed by whoever has the manifest.
    """
    made = make(format_, small_tree(tmp_path), tmp_path / "a", effort=effort, password=password)
    whole = made.path.read_bytes()
    right = {*contents(made.path, password).values(), b"noise"}  # the target of the link, shown as a file
    refused = 0
    for position in range(0, len(whole), 1 if password is None else 5):  # every key takes a thousand rounds to make
        for bits in (0x01, 0xFF):
            flipped = bytearray(whole)
            flipped[position] ^= bits
            made.path.write_bytes(flipped)
            found = outcome(made.path, password)
            if isinstance(found, type):
                refused += 1
            else:
                values = found[0].values()
                assert all(value in right for value in values), position
    assert refused > len(whole) // (2 if password is None else 10)


@pytest.mark.parametrize("format_", [ArchiveFormat.ZIP, ArchiveFormat.TAR_ZST])
def test_the_other_members_are_still_read(tmp_path: Path, format_: ArchiveFormat) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(40):
        (root / f"{number:02}").write_bytes(random.Random(number).randbytes(300_000))
    made = make(format_, root, tmp_path / "a")
    flipped = bytearray(made.path.read_bytes())
    flipped[6_050_000] ^= 1  # in the content of one file
    made.path.write_bytes(flipped)
    seen: set[int] = set()
    errors = 0
    with open_container(made.path) as archive:
        for job in archive.jobs():
            pieces = job.pieces()
            while True:
                try:
                    piece = next(pieces, None)
                except ArchiveDamaged:
                    errors += 1
                    continue
                if piece is None:
                    break
                if piece.is_last:
                    seen.add(piece.number)
    assert errors
    assert len(seen) == 40 if format_ is ArchiveFormat.ZIP else len(seen) >= 13  # a frame is lost as a whole


@pytest.mark.parametrize("format_", [ArchiveFormat.ZIP, ArchiveFormat.TAR_ZST])
def test_replaced_while_it_is_read(tmp_path: Path, format_: ArchiveFormat) -> None:
    made = make(format_, small_tree(tmp_path), tmp_path / "a")
    with open_container(made.path) as archive:
        jobs = list(archive.jobs())
        os.rename(make(format_, tmp_path / "tree", tmp_path / "b").path, made.path)
        with pytest.raises(ArchiveDamaged, match="replaced"):
            list(jobs[0].pieces())


# Made to do harm


def zip_of(*members: tuple[ZipMember, bytes], offsets: list[int] | None = None) -> bytes:
    """A zip of these members; with ``offsets``, its directory tells lies about where they are."""
    content, directory = bytearray(), bytearray()
    for number, (member, stored) in enumerate(members):
        local, central = headers(member)
        directory += place_header(central, len(content) if offsets is None else offsets[number])
        content += local + stored
    return bytes(content + directory) + end_records(len(members), len(directory), len(content))


def member(name: bytes, content: bytes, **changes: int) -> tuple[ZipMember, bytes]:
    stored = zlib.compress(content, 9, -15)
    found = ZipMember(name, EntryKind.FILE, 0o644, 0, 0, 0, len(content), len(stored), zlib.crc32(content), 8)
    for field, value in changes.items():
        setattr(found, field, value)
    return found, stored


def test_overlapping_members(tmp_path: Path) -> None:
    first, second = member(b"first", b"x" * 1000), member(b"other", b"x" * 1000)
    (tmp_path / "a").write_bytes(zip_of(first, second))
    assert set(contents(tmp_path / "a")) == {b"first", b"other"}
    for offsets in ([0, 0], [0, 20]):
        (tmp_path / "a").write_bytes(zip_of(first, second, offsets=offsets))
        with pytest.raises(ArchiveDamaged, match="overlap"):
            open_container(tmp_path / "a")


def test_local_header_that_reaches_into_the_next_member(tmp_path: Path) -> None:
    whole = bytearray(zip_of(member(b"first", b"x" * 1000), member(b"other", b"x" * 1000)))
    struct.pack_into("<H", whole, 28, 60_000)  # the length of its extra field
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(ArchiveDamaged, match="the header of first"):
        contents(tmp_path / "a")


@pytest.mark.parametrize("size", [10, 20 << 20])
def test_more_comes_out_than_is_declared(tmp_path: Path, size: int) -> None:
    """A bomb that lies about its size gives no more than that."""
    bomb = member(b"bomb", bytes(60 << 20), size=size)
    (tmp_path / "a").write_bytes(zip_of(bomb))
    given: list[int] = []
    with open_container(tmp_path / "a") as archive:
        (job,) = archive.jobs()
        with pytest.raises(ArchiveDamaged, match="bomb"):
            given.extend(len(piece.content) for piece in job.pieces())
    assert sum(given) <= size


def test_less_comes_out_than_is_declared(tmp_path: Path) -> None:
    for size in (2000, 20 << 20, 5 << 30):
        (tmp_path / "a").write_bytes(zip_of(member(b"lie", b"x" * 1000, size=size)))
        with pytest.raises(ArchiveDamaged, match="lie"):
            contents(tmp_path / "a")


def test_devices_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        info = zipfile.ZipInfo("null")
        info.create_system = 3
        info.external_attr = 0o020666 << 16
        archive.writestr(info, b"")
    with open_container(tmp_path / "a") as opened:
        assert opened.members[0].kind is None
        assert list(opened.jobs()) == []


def packed(tar: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(tar)


def test_bzip2_that_is_damaged_far_from_its_beginning(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:bz2") as tar:
        info = tarfile.TarInfo("noise")
        info.size = 3_000_000
        tar.addfile(info, io.BytesIO(random.Random(5).randbytes(info.size)))
    damaged = bytearray(made.getvalue())
    damaged[2_000_000] ^= 1
    (tmp_path / "a.tar.bz2").write_bytes(damaged)
    with pytest.raises(ArchiveDamaged):
        contents(tmp_path / "a.tar.bz2")


def test_tar_that_declares_a_record_of_gigabytes(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 6 << 30
    (tmp_path / "a").write_bytes(packed(info.tobuf() + bytes(20 << 20)))
    with pytest.raises((ArchiveDamaged, NotAnArchive)):
        open_container(tmp_path / "a")


def test_tar_with_more_members_than_its_length_can_hold(tmp_path: Path) -> None:
    block = tarfile.TarInfo("same").tobuf()
    (tmp_path / "a").write_bytes(packed(block * 200_000 + bytes(1024)))
    with pytest.raises(ArchiveDamaged, match="more members"):
        open_container(tmp_path / "a")


def test_tar_with_a_bad_header_in_the_middle(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in ("one", "two", "three"):
            tar.addfile(tarfile.TarInfo(name))
    for change in (made.getvalue()[:512] + b"\xff" * 512 + made.getvalue()[1024:], made.getvalue()[:1536]):
        (tmp_path / "a").write_bytes(packed(change))
        with pytest.raises(ArchiveDamaged):
            open_container(tmp_path / "a")


def test_window_that_takes_too_much_memory(tmp_path: Path, program: Callable[[str], Path]) -> None:
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.add(tmp_path / "zeros", "zeros")
    command = [program("zstd"), "-q", "--ultra", "-1", "--long=31", "--no-content-size"]
    with (tmp_path / "tar").open("rb") as tar_file, (tmp_path / "a").open("wb") as out:
        subprocess.run(command, stdin=tar_file, stdout=out, check=True)
    with pytest.raises(ArchiveDamaged):
        open_container(tmp_path / "a")


# Sizes beyond 4 GiB


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, 5 << 30])
@pytest.mark.parametrize("offset", [0, LIMIT - 1, LIMIT, 7 << 30])
@pytest.mark.parametrize("has_descriptor", [False, True])
def test_wide_numbers(size: int, offset: int, has_descriptor: bool) -> None:
    """The standard library reads the directory entries of members beyond 4 GiB as they are meant."""
    made = ZipMember(b"large", EntryKind.FILE, 0o644, 0, 0, 0, size, 6 << 30, 1, 8, has_descriptor=has_descriptor)
    local, central = headers(made)
    directory = place_header(central, offset)
    # zipfile takes what is missing in front for a program before the zip.
    (found,) = zipfile.ZipFile(io.BytesIO(directory + end_records(1, len(directory), 0))).infolist()
    assert (found.file_size, found.compress_size, found.header_offset) == (size, 6 << 30, offset)
    assert local.startswith(b"PK\x03\x04")


def test_more_members_than_the_old_format_counts(tmp_path: Path) -> None:
    whole = zip_of(*(member(b"%d" % number, b"") for number in range(66_000)))
    (tmp_path / "a").write_bytes(whole)
    assert len(zipfile.ZipFile(tmp_path / "a").infolist()) == 66_000
    assert len(contents(tmp_path / "a")) == 66_000


def test_pieces_say_where_a_member_ends(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(zip_of(member(b"one", bytes(9 << 20)), member(b"empty", b"")))
    with open_container(tmp_path / "a") as archive:
        pieces: list[Piece] = [piece for job in archive.jobs() for piece in job.pieces()]
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 2) + [True, True]
    assert max(len(piece.content) for piece in pieces) <= 1 << 20
