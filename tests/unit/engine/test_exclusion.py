"""Directories that carry a marker file are left out, but for the marker."""

import os
from pathlib import Path

import pytest

from pivori.engine.exclusion import CACHE_DIRECTORY_TAG, BadMarker, Exclusion, Marker, kept, read_beginning

SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"


def marked(folder: Path, *markers: Marker) -> bool:
    """Whether the content of the folder is left out."""
    return Exclusion(markers=markers).leaves_out_content(os.fsencode(folder), list(os.scandir(os.fsencode(folder))))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (SIGNATURE, True),
        (SIGNATURE + b"\n# made by a test\n", True),
        (SIGNATURE[:-1], False),
        (b"x" + SIGNATURE, False),
        (b"", False),
    ],
)
def test_a_cache_directory_is_known_by_the_first_43_bytes(tmp_path: Path, content: bytes, expected: bool) -> None:
    (tmp_path / "CACHEDIR.TAG").write_bytes(content)
    assert marked(tmp_path, CACHE_DIRECTORY_TAG) is expected


def test_an_unmarked_directory_is_kept(tmp_path: Path) -> None:
    assert not marked(tmp_path, CACHE_DIRECTORY_TAG, Marker.parse(".nobackup"))


def test_any_file_of_the_name_marks_unless_a_header_is_asked(tmp_path: Path) -> None:
    (tmp_path / ".nobackup").write_bytes(b"off: yes")
    assert marked(tmp_path, Marker.parse(".nobackup"))
    assert marked(tmp_path, Marker.parse(".nobackup:off: y"))
    assert not marked(tmp_path, Marker.parse(".nobackup:on"))
    assert (
        Exclusion(markers=[Marker.parse(".nobackup")]).marker_in(os.fsencode(tmp_path), {b".nobackup"}) == b".nobackup"
    )


def test_a_directory_of_the_name_is_a_marker_only_without_header(tmp_path: Path) -> None:
    (tmp_path / ".nobackup").mkdir()
    assert marked(tmp_path, Marker.parse(".nobackup"))
    assert not marked(tmp_path, Marker.parse(".nobackup:x"))


def test_a_fifo_or_a_link_of_the_name_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "CACHEDIR.TAG")
    assert not marked(tmp_path, CACHE_DIRECTORY_TAG)
    assert read_beginning(os.fsencode(tmp_path / "CACHEDIR.TAG"), 43) == b""
    (tmp_path / "real").write_bytes(SIGNATURE)
    (tmp_path / "CACHEDIR.TAG").unlink()
    (tmp_path / "CACHEDIR.TAG").symlink_to("real")
    assert not marked(tmp_path, CACHE_DIRECTORY_TAG)


def test_a_marker_that_cannot_be_read_does_not_count() -> None:
    def refuse(path: bytes, length: int) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    assert Exclusion(markers=[CACHE_DIRECTORY_TAG], read=refuse).marker_in(b"/x", {b"CACHEDIR.TAG"}) is None


@pytest.mark.parametrize("text", ["", ":header", "a/b", "..", "a\0b"])
def test_what_cannot_be_a_file_name_is_refused(text: str) -> None:
    with pytest.raises(BadMarker):
        Marker.parse(text)


def entries_of(folder: Path) -> list["os.DirEntry[bytes]"]:
    with os.scandir(os.fsencode(folder)) as listing:
        return sorted(listing, key=lambda entry: entry.name)


def test_what_is_kept_of_a_directory(tmp_path: Path) -> None:
    """The one rule that backups, their estimate, plans and archives go by."""
    for name in ("a.log", "b.txt", ".nobackup"):
        (tmp_path / name).touch()
    (tmp_path / "build").mkdir()

    def names(exclusion: Exclusion | None) -> list[bytes]:
        return [entry.name for entry in kept(os.fsencode(tmp_path), entries_of(tmp_path), exclusion)]

    roots = [os.fsencode(tmp_path)]
    assert names(None) == [b".nobackup", b"a.log", b"b.txt", b"build"]
    assert names(Exclusion(["*.log", "build/", "b.txt/"], roots=roots)) == [b".nobackup", b"b.txt"]
    assert names(Exclusion(["*.log"], markers=[Marker.parse(".nobackup")], roots=roots)) == [b".nobackup"]
