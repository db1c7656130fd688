"""Which packs a part of the data means."""

import random

import pytest

from pivori.engine.quantities import Part, Percent, Size
from pivori.engine.verify import chosen_packs
from pivori.repository import PackId

PACKS = {PackId(bytes((first,)) + bytes(31)): 100 for first in range(0, 250, 5)}


def test_everything() -> None:
    assert chosen_packs(PACKS, None, random.Random(1)) == list(PACKS)
    assert chosen_packs({}, Percent(10), random.Random(1)) == []


def test_parts_are_the_whole_together() -> None:
    parts = [chosen_packs(PACKS, Part(number, 7), random.Random(1)) for number in range(1, 8)]
    assert sorted(pack for part in parts for pack in part) == list(PACKS)
    assert parts[0] == [pack for pack in PACKS if pack[0] % 7 == 0]
    assert parts[0] == chosen_packs(PACKS, Part(1, 7), random.Random(2))


@pytest.mark.parametrize(
    ("subset", "count"),
    [(Percent(10), 5), (Percent(0.001), 1), (Percent(100), 50), (Size(1000), 10), (Size(1), 1), (Size(10**9), 50)],
)
def test_random_samples(subset: Percent | Size, count: int) -> None:
    chosen = chosen_packs(PACKS, subset, random.Random(1))
    assert len(chosen) == count
    assert chosen == [pack for pack in PACKS if pack in set(chosen)]


def test_samples_differ() -> None:
    samples = {tuple(chosen_packs(PACKS, Percent(20), random.Random(seed))) for seed in range(5)}
    assert len(samples) == 5
