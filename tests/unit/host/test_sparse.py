import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pivori.host import write_sparse

KIB = 1 << 10


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "sparse", os.O_CREAT | os.O_RDWR)
    yield opened
    os.close(opened)


def content_after(descriptor: int, data: bytes, offset: int) -> tuple[bytes, int]:
    """Write into an empty file of the right length; what it then holds, and how much was written."""
    os.ftruncate(descriptor, 0)
    os.ftruncate(descriptor, offset + len(data))
    written = write_sparse(descriptor, memoryview(data), offset)
    return os.pread(descriptor, len(data) + 1, offset), written


def largest_aligned_zeros(data: bytes, offset: int) -> int:
    """Bytes in whole 4 KiB blocks of the file, in runs of at least eight blocks of zeros: the slow, obvious way."""
    start = -offset % (4 * KIB)
    blocks = "".join(
        "0" if not any(data[at : at + 4 * KIB]) else "1" for at in range(start, len(data) - 4 * KIB + 1, 4 * KIB)
    )
    return sum(len(run) for run in re.findall("0{8,}", blocks)) * 4 * KIB


PIECES = st.lists(
    st.tuples(st.sampled_from([b"\0", b"\0", b"x"]), st.integers(0, 24).map(lambda n: n * 4 * KIB), st.integers(-2, 2)),
    max_size=12,
)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(PIECES, st.integers(0, 80 * KIB))
def test_the_content_is_right_and_every_long_stretch_is_left_out(
    descriptor: int, pieces: list[tuple[bytes, int, int]], offset: int
) -> None:
    data = b"".join(byte * max(0, size + slack) for byte, size, slack in pieces)
    content, written = content_after(descriptor, data, offset)
    assert content == data
    assert written == len(data) - largest_aligned_zeros(data, offset)


def test_holes_take_no_room(descriptor: int) -> None:
    data = b"x" * 4096 + bytes(8 << 20) + b"y" * 4096
    content, written = content_after(descriptor, data, 0)
    assert content == data
    assert written == 8192
    assert os.fstat(descriptor).st_blocks * 512 < 1 << 20


def test_zeros_only_write_nothing(descriptor: int) -> None:
    assert content_after(descriptor, bytes(1 << 20), 4096) == (bytes(1 << 20), 0)


def test_a_shorter_stretch_is_written(descriptor: int) -> None:
    data = b"x" * 4096 + bytes(28 * KIB) + b"y" * 4096
    assert content_after(descriptor, data, 0) == (data, len(data))


def test_a_failed_write_is_an_error(descriptor: int) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full, pytest.raises(OSError, match="No space"):
        write_sparse(full.fileno(), b"x", 0)
