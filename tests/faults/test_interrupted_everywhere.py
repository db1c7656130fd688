"""Whatever writes is interrupted at any place: it ends, gives its locks back and leaves everything sound.

Signals at random moments hardly ever find the few instructions at which an interruption does harm; here the program
tells which places it passes, and is interrupted at each of a sample of them.
"""

import random
import shutil
from pathlib import Path

import pytest

from tests.faults.deeds import DEEDS, Deed, find_password, require_as_sound_as_before, second_repository
from tests.faults.laboratory import Laboratory
from tests.faults.places import Place, recorded
from tests.restic import Restic

INTERRUPTED = 130
PLACES = 6
OF_LOCKS = ("/threading.py:__enter__:", "/threading.py:__exit__:")
"""Where locks are taken and given back, an interruption does most harm."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """Three snapshots, and a source that has changed since."""
    return Laboratory.with_history(tmp_path_factory.mktemp("laboratory"), 3)


def run(laboratory: Laboratory, deed: Deed, place: Place) -> int:
    """Do the deed, disturbed; the exit status."""
    return laboratory.run_apart(*deed.arguments(laboratory), place=place, workers=deed.workers)


def chosen_places(prepared: Laboratory, deed: Deed, folder: Path) -> list[Place]:
    """Some of the places that the deed passes, and some of those where it may wait for others."""
    laboratory = prepared.copy(folder / "recorded")
    assert run(laboratory, deed, Place(record=str(folder / "places"))) == 0, laboratory.said()
    places = recorded(folder / "places")
    of_locks = [place for place in places if any(name in place.name for name in OF_LOCKS)]
    assert len(of_locks) > PLACES
    chance = random.Random(str(deed))
    return [*chance.sample(of_locks, min(2 * PLACES, len(of_locks))), *chance.sample(places, PLACES)]


@pytest.mark.parametrize("deed", DEEDS, ids=str)
def test_an_interruption_anywhere_loses_nothing(
    history: Laboratory, deed: Deed, newest_restic: Restic, tmp_path: Path
) -> None:
    prepared = history.copy(tmp_path / "prepared")
    deed.prepare(prepared)
    statuses = set()
    for number, place in enumerate(chosen_places(prepared, deed, tmp_path)):
        laboratory = prepared.copy(tmp_path / str(number))
        status = run(laboratory, deed, place)
        assert status in (0, INTERRUPTED), (place, laboratory.said())
        assert "Traceback" not in laboratory.said(), place
        assert laboratory.locks() == [], place
        find_password(laboratory)
        laboratory.require_whole_objects()
        if deed.second:
            assert second_repository(laboratory).locks() == [], place
            second_repository(laboratory).require_whole_objects()
        if number % PLACES == 0:
            require_as_sound_as_before(laboratory, deed, newest_restic)
        statuses.add(status)
        shutil.rmtree(laboratory.folder)
    assert INTERRUPTED in statuses
