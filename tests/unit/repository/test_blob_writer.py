"""Which pack a new blob goes to, which blobs are read back before they are stored, and how long chunks are."""

import itertools
import random

import pytest

from pivori.repository import BlobCheck
from pivori.repository.chunker import chunker_seed
from pivori.repository.ids import BlobKind, blob_id
from pivori.repository.keys import new_master_key
from pivori.repository.writer import BlobWriter, Cutter, WriterSettings
from pivori.storage import MemoryStorage

BLOBS = 3200


class Watched(BlobWriter):
    """Counts the blobs that are read back."""

    checked = 0

    def _check_blob(self, sealed: tuple[bytes, bytes, bytes], plain_length: int, content: bytes) -> None:
        self.checked += 1
        super()._check_blob(sealed, plain_length, content)


def packs_of(settings: WriterSettings) -> tuple[list[list[int]], int]:
    """The numbers of the blobs in each pack, and how many blobs were read back."""
    headers: list[bytes] = []
    storage = MemoryStorage()
    storage.create()
    writer = Watched(storage, settings, lambda _pack, header: headers.append(header))
    ids = []
    for number in range(BLOBS):
        content = b"%d" % number
        ids.append(blob_id(content))
        writer.add(BlobKind.DATA, ids[-1], content)
    writer.flush()
    return [[number for number, each in enumerate(ids) if each in header] for header in headers], writer.checked


def test_blobs_are_dealt_at_random_to_two_open_packs() -> None:
    packs, _ = packs_of(WriterSettings(master=new_master_key(), version=2))
    assert len(packs) == 2
    assert sorted(itertools.chain(*packs)) == list(range(BLOBS))
    first = set(packs[0])
    # Five standard deviations around a half, for the packs and for how often the pack changes from blob to blob.
    margin = 5 * (BLOBS**0.5) / 2
    assert abs(len(first) - BLOBS / 2) < margin
    assert abs(sum((number in first) != (number + 1 in first) for number in range(BLOBS - 1)) - BLOBS / 2) < margin


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [
        ({}, 120, 290),  # one in sixteen: 200, and six standard deviations
        ({"check": BlobCheck.ALL}, BLOBS, BLOBS),
        ({"check": BlobCheck.NONE}, 0, 0),
    ],
)
def test_a_sample_is_read_back_unless_all_or_none_are(settings: dict[str, BlobCheck], least: int, most: int) -> None:
    _, checked = packs_of(WriterSettings(master=new_master_key(), version=2, **settings))
    assert least <= checked <= most


def test_chunks_are_about_a_mebibyte_long() -> None:
    data = memoryview(random.Random(7).randbytes(96 << 20))
    position = 0

    def read_into(view: memoryview) -> int:
        nonlocal position
        count = min(len(view), len(data) - position)
        view[:count] = data[position : position + count]
        position += count
        return count

    lengths = [len(chunk) for chunk in Cutter(chunker_seed(new_master_key())).cut(read_into)]
    assert sum(lengths) == len(data)
    assert all(512 << 10 <= length <= 8 << 20 for length in lengths[:-1])
    assert 0.75 < sum(lengths) / len(lengths) / (1 << 20) < 1.5
