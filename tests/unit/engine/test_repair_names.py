"""The names of mended files."""

import pytest

from pivori.engine.repair_trees import _free_name


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        (b"a", set(), b"a.repaired"),
        (b"a", {b"a.repaired"}, b"a.repaired-2"),
        (b"a", {b"a.repaired", b"a.repaired-2"}, b"a.repaired-3"),
        (b"n" * 255, set(), b"n" * 246 + b".repaired"),
        (b"n" * 255, {b"n" * 246 + b".repaired"}, b"n" * 244 + b".repaired-2"),
    ],
)
def test_free_name(name: bytes, taken: set[bytes], expected: bytes) -> None:
    assert _free_name(name, taken) == expected
