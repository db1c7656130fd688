"""Cutting streams: the same chunks whatever the reads look like, and the cuts that are kept for good."""

import hashlib
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pivori.repository.chunker import LARGEST_CHUNK, SMALLEST_CHUNK, Chunker, chunker_seed
from pivori.repository.crypto import MasterKey
from pivori.repository.writer import Cutter

SEED = 0x123456789ABCDEF
KIB, MIB = 1 << 10, 1 << 20


def content(size: int, seed: int = 1) -> bytes:
    """Bytes in which cuts are found: random ones, with a stretch of zeros that has none."""
    chance = random.Random(seed)
    data = bytearray(chance.randbytes(size))
    if size > 14 * MIB:
        data[4 * MIB : 4 * MIB + 9 * MIB] = bytes(9 * MIB)
    return bytes(data)


def reads(data: bytes, sizes: Iterator[int]) -> Callable[[memoryview], int]:
    """A source that gives as many bytes at a time as ``sizes`` says."""
    rest = memoryview(data)

    def read_into(view: memoryview) -> int:
        nonlocal rest
        count = min(len(view), len(rest), next(sizes))
        view[:count] = rest[:count]
        rest = rest[count:]
        return count

    return read_into


def whole() -> Iterator[int]:
    """As much as fits."""
    while True:
        yield 1 << 40


GOLDEN_SEED = 8220540944621280893
GOLDEN_CUTS = [1513232, 1266545, 1167143, 1377826, 974039, 1118392, 971431]

LARGE = content(40 * MIB)
LARGE_CUTS = list(Chunker(SEED).lengths(memoryview(LARGE)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), largest=st.sampled_from([5000, 300 * KIB, 3 * MIB, 20 * MIB]))
def test_short_reads_change_nothing(seed: int, largest: int) -> None:
    chance = random.Random(seed)
    size = chance.choice([0, 1, SMALLEST_CHUNK, 2 * MIB, 8 * MIB, 12 * MIB, 12 * MIB + 1, 30 * MIB])
    data = LARGE[:size]
    chunks = list(Cutter(SEED).cut(reads(data, iter(lambda: chance.randint(max(1, largest // 50), largest), None))))
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks] == list(Chunker(SEED).lengths(memoryview(data)))


def test_no_chunk_is_too_long_or_too_short() -> None:
    assert max(LARGE_CUTS) == LARGEST_CHUNK, "the zeros are not cut"
    assert min(LARGE_CUTS[:-1]) >= SMALLEST_CHUNK


def test_one_cutter_serves_one_stream_after_another() -> None:
    cutter = Cutter(SEED)
    for size in (20 * MIB, 3 * MIB, 0, 20 * MIB):
        assert b"".join(cutter.cut(reads(LARGE[:size], whole()))) == LARGE[:size]


def test_two_streams_at_once_do_not_mix() -> None:
    cutter = Cutter(SEED)
    first, second = LARGE[: 20 * MIB], LARGE[20 * MIB :]
    streams = [cutter.cut(reads(data, whole())) for data in (first, second)]
    parts: list[list[bytes]] = [[], []]
    for _ in range(100):
        for number, stream in enumerate(streams):
            if (chunk := next(stream, None)) is not None:
                parts[number].append(chunk)
    assert [b"".join(part) for part in parts] == [first, second]


def test_a_stream_that_is_left_half_way_disturbs_no_later_one() -> None:
    cutter = Cutter(SEED)
    for _chunk in cutter.cut(reads(LARGE, whole())):
        break
    assert b"".join(cutter.cut(reads(LARGE[:MIB], whole()))) == LARGE[:MIB]


def test_a_failing_read_is_the_callers() -> None:
    def fail(_view: memoryview) -> int:
        raise OSError(5, "broken")

    cutter = Cutter(SEED)
    with pytest.raises(OSError, match="broken"):
        list(cutter.cut(fail))
    assert b"".join(cutter.cut(reads(LARGE[:MIB], whole()))) == LARGE[:MIB]


def test_the_cuts_are_those_of_all_earlier_versions() -> None:
    # Other cuts would lose nothing, but store every large file once more.
    key = MasterKey(bytes(range(32)), bytes(range(16)), bytes(range(16, 32)))
    data = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(8 * MIB // 32))
    assert chunker_seed(key) == GOLDEN_SEED
    assert list(Chunker(chunker_seed(key)).lengths(memoryview(data))) == GOLDEN_CUTS
