"""Archives that somebody made to harm: each is refused with the member named, and nothing is written anywhere."""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.archives.container import MemberRefused
from pivori.archives.manifest import Manifest, encode
from pivori.archives.members import ArchiveBomb
from pivori.engine.archive.opening import open_archive
from pivori.engine.archive.verify import FindingKind, VerifyRequest, verify_archive
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from tests.archives import nobody_listens, restore

Make = Callable[[zipfile.ZipFile], None]


def put(file: zipfile.ZipFile, name: str, content: bytes = b"harm", mode: int = stat.S_IFREG | 0o644) -> None:
    """A member, made as on Unix."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    file.writestr(info, content)


def link(file: zipfile.ZipFile, name: str, target: str) -> None:
    put(file, name, target.encode(), stat.S_IFLNK | 0o777)


def manifest(file: zipfile.ZipFile, *entries: Entry) -> None:
    """A manifest of somebody's own."""
    content = encode(
        Manifest(
            id="0" * 32,
            program="x",
            created="2025-01-01T00:00:00+00:00",
            host="h",
            root="/srv",
            strategy="complete",
            entries=[Entry(path=b"", kind=EntryKind.DIRECTORY, mode=0o755, mtime_ns=0), *entries],
        )
    )
    put(file, ".pivori/manifest.json", content)


def entry(path: bytes, kind: EntryKind = EntryKind.FILE, **facts: object) -> Entry:
    return Entry(path=path, kind=kind, mode=0o644, mtime_ns=0, **facts)


def absolute(file: zipfile.ZipFile) -> None:
    put(file, "/tmp/pivori-outside")


def dots(file: zipfile.ZipFile) -> None:
    put(file, "a/../../outside")


def through_a_link(file: zipfile.ZipFile) -> None:
    link(file, "a", "/tmp")
    put(file, "a/pivori-outside")


def through_a_later_link(file: zipfile.ZipFile) -> None:
    put(file, "a/pivori-outside")
    link(file, "a", "/tmp")


def twice(file: zipfile.ZipFile) -> None:
    put(file, "a")
    with pytest.warns(UserWarning, match="Duplicate"):
        put(file, "a", b"other")


def capitals(file: zipfile.ZipFile) -> None:
    put(file, "config")
    put(file, "CONFIG")


def device(file: zipfile.ZipFile) -> None:
    put(file, "null", b"", stat.S_IFCHR | 0o666)


def socket(file: zipfile.ZipFile) -> None:
    put(file, "socket", b"", stat.S_IFSOCK | 0o666)


def file_and_directory(file: zipfile.ZipFile) -> None:
    put(file, "a")
    put(file, "a/b")


def manifest_leads_out(file: zipfile.ZipFile) -> None:
    put(file, "inside")
    manifest(file, entry(b"../outside", size=4))


def manifest_has_another_name(file: zipfile.ZipFile) -> None:
    put(file, "inside")
    manifest(file, entry(b"inside", size=4), entry(b"a", EntryKind.SYMLINK, target=b"/tmp"), entry(b"a/x", size=4))


def manifest_hard_link_out(file: zipfile.ZipFile) -> None:
    put(file, "inside")
    manifest(file, entry(b"inside", size=4, hard_link=b"../../etc/passwd"))


def manifest_calls_a_link_a_file(file: zipfile.ZipFile) -> None:
    link(file, "inside", "/etc/passwd")
    manifest(file, entry(b"inside", size=11))


def hidden_from_the_manifest(file: zipfile.ZipFile) -> None:
    put(file, "known")
    put(file, "hidden")
    manifest(file, entry(b"known", size=4))


CASES = {
    absolute: b"/tmp/pivori-outside",
    dots: b"a/../../outside",
    through_a_link: b"a/pivori-outside",
    through_a_later_link: b"a/pivori-outside",
    twice: b"a",
    capitals: b"CONFIG",
    device: b"null",
    socket: b"socket",
    file_and_directory: b"a/b",
    manifest_leads_out: b"../outside",
    manifest_has_another_name: b"a/x",
    manifest_hard_link_out: b"inside",
    manifest_calls_a_link_a_file: b"inside",
    hidden_from_the_manifest: b"hidden",
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_refused_with_the_member_named(tmp_path: Path, make: Make) -> None:
    path, target = tmp_path / "hostile.zip", tmp_path / "in" / "target"
    with zipfile.ZipFile(path, "w") as file:
        make(file)
        if ".pivori/manifest.json" not in file.namelist():
            put(file, "good")
    target.parent.mkdir()
    outside = Path("/tmp/pivori-outside")
    with pytest.raises(MemberRefused) as caught:
        restore(path, target)
    assert caught.value.details["member"] == CASES[make]
    assert str(path) in str(caught.value)
    assert list(target.parent.iterdir()) == []
    assert sorted(os.listdir(tmp_path)) == ["hostile.zip", "in"]
    assert not outside.exists()


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_restore_that_replaces_changes_nothing(tmp_path: Path, make: Make) -> None:
    path, target = tmp_path / "hostile.zip", tmp_path / "in" / "target"
    target.mkdir(parents=True)
    (target / "mine").write_text("mine")
    with zipfile.ZipFile(path, "w") as file:
        make(file)
    with pytest.raises(MemberRefused):
        restore(path, target, replace=True)
    assert os.listdir(target.parent) == ["target"]
    assert (target / "mine").read_text() == "mine"


@pytest.mark.parametrize("make", [make for make in CASES if make is not capitals], ids=lambda make: make.__name__)
def test_verify_finds_it(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as file:
        make(file)
    outcome = verify_archive(VerifyRequest(path=path), nobody_listens)
    assert not outcome.is_whole
    assert FindingKind.MEMBER in {finding.kind for finding in outcome.findings}


def test_links_are_made_and_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        link(file, "up", "../outside")
        link(file, "root", "/")
        put(file, "upper/file")
    restore(tmp_path / "a.zip", tmp_path / "back")
    assert os.readlink(tmp_path / "back" / "up") == "../outside"
    assert os.listdir(outside) == []


def test_a_bomb_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        put(file, "small")
        for number in range(4):
            file.writestr(f"zeros {number}", bytes(64 << 20))
    # Many members over the same bytes: what zip bombs do. Here the announced sizes are raised instead.
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = content.find(signature)
        while at >= 0:
            if struct.unpack_from("<I", content, at + offset)[0] == 64 << 20:
                struct.pack_into("<I", content, at + offset, 0xF0000000)
            at = content.find(signature, at + 4)
    path.write_bytes(content)
    with pytest.raises(ArchiveBomb) as caught:
        restore(path, tmp_path / "back")
    assert caught.value.details["member"].startswith(b"zeros")
    assert not (tmp_path / "back").exists()


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = packed.compress(bytes(200 << 20)) + packed.flush()
    path = tmp_path / "liar.zip"
    path.write_bytes(one_member(b"liar", stream, 10))
    with pytest.raises(PivoriError, match="liar"):
        restore(path, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert not verify_archive(VerifyRequest(path=path), nobody_listens).is_whole


def one_member(name: bytes, stream: bytes, size: int) -> bytes:
    """A zip of one deflated member that claims a size."""
    fields = (20, 0, 8, 0, 0, 0, len(stream), size, len(name), 0)
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, *fields) + name + stream
    central = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 0x031E, *fields, 0, 0, 0, 0o100644 << 16, 0) + name
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def test_a_manifest_cannot_be_a_flood(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        put(file, ".pivori/manifest.json", b'{"format": 1, "id": "' + b"x" * (1 << 20))
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(PivoriError) as caught, open_archive(tmp_path / "a.zip"):
        pass
    assert caught.value.code == "manifest-damaged"
