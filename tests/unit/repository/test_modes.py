"""Modes are turned into Go's and back."""

import stat

import pytest

from pivori.repository.modes import IrregularFile, go_mode, node_type, unix_mode


@pytest.mark.parametrize(
    ("st_mode", "kind", "mode"),
    [
        (stat.S_IFREG | 0o644, "file", 420),
        (stat.S_IFREG, "file", 0),
        (stat.S_IFREG | 0o4755, "file", 8389101),
        (stat.S_IFREG | 0o2755, "file", (1 << 22) | 0o755),
        (stat.S_IFDIR | 0o755, "dir", 2147484141),
        (stat.S_IFDIR | 0o1777, "dir", (1 << 31) | (1 << 20) | 0o777),
        (stat.S_IFLNK | 0o777, "symlink", 134218239),
        (stat.S_IFBLK | 0o644, "dev", 67109284),
        (stat.S_IFCHR | 0o644, "chardev", 69206436),
        (stat.S_IFIFO | 0o644, "fifo", 33554852),
        (stat.S_IFSOCK | 0o755, "socket", (1 << 24) | 0o755),
    ],
)
def test_modes_are_those_of_go(st_mode: int, kind: str, mode: int) -> None:
    assert node_type(st_mode) == kind
    assert go_mode(st_mode) == mode
    assert unix_mode(mode) == stat.S_IMODE(st_mode)


def test_a_file_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(IrregularFile) as caught:
        go_mode(0o160000)
    assert caught.value.code == "irregular-file"
    assert "0o160000" in str(caught.value)
