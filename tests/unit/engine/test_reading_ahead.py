"""A stream that is read ahead is the stream, whatever pieces it comes in and is asked for in."""

import hashlib
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.engine.backup import reading_ahead
from pivori.engine.backup.reading_ahead import AheadReader

SMALL = 64
"""Bytes of a buffer in these tests."""


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "_BUFFER", SMALL)


def reading(content: bytes, pieces: list[int], error: Exception | None = None) -> Callable[[memoryview], int]:
    """Gives a content in pieces of these lengths, over and over; then an error, when there is one."""
    place = turn = 0

    def read(buffer: memoryview) -> int:
        nonlocal place, turn
        count = min(len(buffer), pieces[turn % len(pieces)], len(content) - place)
        turn += 1
        if not count and error is not None:
            raise error
        buffer[:count] = content[place : place + count]
        place += count
        return count

    return read


def pull(stack: ExitStack, read: Callable[[memoryview], int], found: bytearray) -> None:
    """Read until something is raised."""
    reader = stack.enter_context(AheadReader(read))
    buffer = memoryview(bytearray(10))
    while count := reader.readinto(buffer):
        found += buffer[:count]


def read_all(reader: AheadReader, asked: int) -> bytes:
    found = bytearray()
    buffer = memoryview(bytearray(asked))
    while count := reader.readinto(buffer):
        found += buffer[:count]
    return bytes(found)


@given(
    st.binary(max_size=20 * SMALL),
    st.lists(st.integers(1, 3 * SMALL), min_size=1, max_size=5),
    st.integers(1, 3 * SMALL),
)
def test_it_is_the_same_stream(content: bytes, pieces: list[int], asked: int) -> None:
    with AheadReader(reading(content, pieces)) as reader:
        assert read_all(reader, asked) == content
        assert reader.digest.digest() == hashlib.sha256(content).digest()
        assert reader.readinto(memoryview(bytearray(1))) == 0


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, 30 * SMALL + 7])
def test_an_error_comes_when_what_was_before_it_has_been_read(size: int) -> None:
    content = bytes(range(256)) * 8
    found = bytearray()
    with ExitStack() as stack, pytest.raises(ConnectionError):
        pull(stack, reading(content[:size], [SMALL], ConnectionError()), found)
    assert content[:size].startswith(found)
    assert len(found) == size - size % SMALL


def test_a_short_stream_takes_no_thread() -> None:
    before = threading.active_count()
    with AheadReader(reading(b"x" * (SMALL - 1), [1])) as reader:
        assert threading.active_count() == before
        assert read_all(reader, 10) == b"x" * (SMALL - 1)


def test_a_stream_that_nobody_reads_to_its_end_leaves_no_thread() -> None:
    with AheadReader(reading(b"x" * 1000 * SMALL, [SMALL])) as reader:
        thread = reader._thread
        assert thread is not None
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()
