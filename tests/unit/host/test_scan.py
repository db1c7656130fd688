import os
from pathlib import Path

import pytest

from pivori.host import find_entries, read_directory, same_device

NAMES = [b"B", b"a", b"\xff\xfe", "é".encode(), b"new\nline", b"z" * 255, b"-rf", b" "]


@pytest.fixture
def directory(tmp_path: Path) -> bytes:
    place = os.fsencode(tmp_path)
    for name in NAMES:
        os.mknod(place + b"/" + name, 0o100600)
    return place


def test_entries_are_sorted_by_raw_bytes(directory: bytes) -> None:
    assert [entry.name for entry in read_directory(directory)] == sorted(NAMES)


def test_a_descriptor_gives_the_same(directory: bytes) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        entries = read_directory(descriptor)
        assert [entry.name for entry in entries] == sorted(NAMES)
        assert all(entry.stat(follow_symlinks=False).st_mode == 0o100600 for entry in entries)
    finally:
        os.close(descriptor)


def test_the_kind_is_known_without_following(directory: bytes) -> None:
    Path(os.fsdecode(directory), "link").symlink_to("/")
    (link,) = [entry for entry in read_directory(directory) if entry.name == b"link"]
    assert link.is_symlink()
    assert not link.is_dir(follow_symlinks=False)


def test_a_missing_directory_is_an_error(directory: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        read_directory(directory + b"/missing")


def test_a_mount_point_is_another_device() -> None:
    device = Path("/").stat().st_dev
    entries = {entry.name: entry for entry in read_directory(b"/")}
    assert not same_device(entries[b"proc"], device)
    assert same_device(entries[b"usr"], device)


def test_entries_found_by_name_are_as_those_of_a_listing(directory: bytes) -> None:
    Path(os.fsdecode(directory), "link").symlink_to("/")
    Path(os.fsdecode(directory), "folder").mkdir()
    listed = read_directory(directory)
    found = find_entries(directory, [b"missing", *(entry.name for entry in reversed(listed))])
    for one, other in zip(found, listed, strict=True):
        assert (one.name, one.path) == (other.name, other.path)
        assert one.is_file(follow_symlinks=False) == other.is_file(follow_symlinks=False)
        assert one.is_dir(follow_symlinks=False) == other.is_dir(follow_symlinks=False)
        assert one.stat(follow_symlinks=False) == other.stat(follow_symlinks=False)
