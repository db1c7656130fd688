import errno
import os
import subprocess
from pathlib import Path

import pytest

from pivori.host import read_attributes, write_attributes

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw+ep, as setcap writes it."""


@pytest.fixture
def file(tmp_path: Path) -> bytes:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return os.fsencode(path)


def test_none_are_read_from_a_plain_file(file: bytes) -> None:
    assert read_attributes(file) == []


def test_they_come_back_as_listed_by_path_and_by_descriptor(file: bytes) -> None:
    attributes = [(b"user.b", b"\0\xff" * 700), (b"user.\xff", b""), (b"user.a", b"1")]
    assert write_attributes(file, attributes) == []
    listed = [(name, dict(attributes)[name]) for name in map(os.fsencode, os.listxattr(file))]
    assert sorted(listed) == sorted(attributes)
    assert read_attributes(file) == listed
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert read_attributes(descriptor) == listed
    finally:
        os.close(descriptor)


def test_a_link_is_read_itself_unless_followed(file: bytes) -> None:
    os.setxattr(file, "user.a", b"1")
    Path(os.fsdecode(file) + ".link").symlink_to(os.fsdecode(file))
    assert read_attributes(file + b".link") == []
    assert read_attributes(file + b".link", follow=True) == [(b"user.a", b"1")]


def test_a_missing_file_is_an_error(file: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        read_attributes(file + b".missing")


def test_a_file_system_without_attributes_has_none() -> None:
    assert read_attributes(b"/proc/self/fdinfo") == []
    assert write_attributes(b"/proc/self/fdinfo", []) == []


def test_others_are_removed_or_kept(file: bytes) -> None:
    os.setxattr(file, "user.old", b"1")
    assert write_attributes(file, [(b"user.new", b"2")], remove_others=False) == []
    assert {name for name, _ in read_attributes(file)} == {b"user.new", b"user.old"}
    assert write_attributes(file, [(b"user.new", b"3")]) == []
    assert read_attributes(file) == [(b"user.new", b"3")]


@pytest.mark.parametrize("name", [b"", b"no-namespace", b"user.nul\0", b"user." + b"x" * 300])
def test_an_impossible_name_is_reported_and_the_rest_is_written(file: bytes, name: bytes) -> None:
    problems = write_attributes(file, [(name, b"v"), (b"user.good", b"v")], path=b"where")
    assert [(problem.path, problem.what) for problem in problems] == [(b"where", os.fsdecode(name))]
    assert isinstance(problems[0].error, OSError)
    assert read_attributes(file) == [(b"user.good", b"v")]


def test_a_value_too_large_is_reported(file: bytes) -> None:
    (problem,) = write_attributes(file, [(b"user.huge", bytes(1 << 20))])
    assert problem.error.errno in (errno.E2BIG, errno.ENOSPC, errno.ERANGE)


def test_an_access_list_travels(file: bytes, tmp_path: Path) -> None:
    subprocess.run(["setfacl", "-m", "u:12345:rw", file], check=True)
    attributes = read_attributes(file)
    assert [name for name, _ in attributes] == [b"system.posix_acl_access"]
    other = os.fsencode(tmp_path / "other")
    Path(os.fsdecode(other)).touch()
    assert write_attributes(other, attributes) == []
    shown = subprocess.run(["getfacl", "-cn", other], check=True, capture_output=True, text=True).stdout
    assert "user:12345:rw-" in shown.splitlines()


@pytest.mark.root
def test_a_capability_travels_and_is_removed(file: bytes) -> None:
    assert write_attributes(file, [(b"security.capability", CAPABILITY)]) == []
    assert read_attributes(file) == [(b"security.capability", CAPABILITY)]
    shown = subprocess.run(["/usr/sbin/getcap", file], check=True, capture_output=True, text=True).stdout
    assert "cap_net_raw" in shown
    assert write_attributes(file, []) == []
    assert read_attributes(file) == []


@pytest.mark.root
def test_the_labels_of_the_machine_are_left_alone(file: bytes) -> None:
    os.setxattr(file, "security.selinux", b"label")
    os.setxattr(file, "trusted.mine", b"1")
    assert write_attributes(file, []) == []
    assert read_attributes(file) == [(b"security.selinux", b"label")]
