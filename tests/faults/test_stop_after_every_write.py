"""Whatever writes is stopped at every single write in turn: nothing stored before is lost and the next run works."""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pivori.storage.wrap import FaultPlan
from pivori.storage.wrap.faults import Failure, Moment
from tests.faults.deeds import (
    DEEDS,
    Deed,
    find_password,
    remove_own_locks,
    require_as_sound_as_before,
    second_repository,
)
from tests.faults.laboratory import Laboratory
from tests.restic import Restic

KILLED = -9


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """Three snapshots, and a source that has changed since."""
    return Laboratory.with_history(tmp_path_factory.mktemp("laboratory"), 3)


@pytest.fixture(scope="module", params=DEEDS, ids=str)
def deed(request: pytest.FixtureRequest) -> Deed:
    """Every deed in turn."""
    found: Deed = request.param
    return found


@pytest.fixture(scope="module")
def prepared(history: Laboratory, deed: Deed, tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """The repository just before the deed."""
    laboratory = history.copy(tmp_path_factory.mktemp("prepared") / "laboratory")
    deed.prepare(laboratory)
    return laboratory


def cases(prepared: Laboratory, folder: Path, plan: FaultPlan) -> Iterator[tuple[Laboratory, FaultPlan]]:
    """A fresh copy with a plan for every write in turn; whoever takes them stops when a plan was not met any more."""
    for number in itertools.count(1):
        yield prepared.copy(folder / str(number)), replace(plan, state=folder / f"state{number}", at_write=number)
        shutil.rmtree(folder / str(number))


def examine(laboratory: Laboratory, deed: Deed, restic: Restic, seen: set[frozenset[str]]) -> None:
    """Everything is there, the next backup works, and the deed can be done.

    What was ``seen``, the same objects, need not be looked at twice.
    """
    find_password(laboratory)
    if is_new(laboratory, seen):
        require_as_sound_as_before(laboratory, deed, restic)
    if deed.second and is_new(second_repository(laboratory), seen):
        second_repository(laboratory).require_sound(restic)
    laboratory.require_next_backup()
    if deed.arguments(laboratory)[0] != "backup" and not deed.is_done(laboratory):
        assert laboratory.run(*deed.arguments(laboratory)) == 0
        find_password(laboratory)
        assert laboratory.run("verify", "--read-data") == 0
    if deed.second:
        second = second_repository(laboratory)
        assert second.run("verify", "--read-data") == 0
        second.require_next_backup()


def is_new(laboratory: Laboratory, seen: set[frozenset[str]]) -> bool:
    """Whether these objects were not seen together before; they are from now on."""
    objects = frozenset(laboratory.objects())
    is_known = objects in seen
    seen.add(objects)
    return not is_known


def require_good_end(laboratory: Laboratory, deed: Deed, plan: FaultPlan, status: int, restic: Restic) -> None:
    """What is true when nothing failed: there were as many writes as the deed takes, and all is well."""
    assert (status, plan.at_write > deed.fewest_writes) == (0, True)
    find_password(laboratory)
    laboratory.require_sound(restic)


@pytest.mark.parametrize("moment", list(Moment))
def test_a_failing_write_loses_nothing(
    prepared: Laboratory, deed: Deed, moment: Moment, newest_restic: Restic, tmp_path: Path
) -> None:
    seen: set[frozenset[str]] = set()
    for laboratory, plan in cases(prepared, tmp_path, FaultPlan(tmp_path, moment=moment)):
        status = laboratory.run(*deed.arguments(laboratory), plan=plan, workers=deed.workers)
        if not plan.happened():
            require_good_end(laboratory, deed, plan, status, newest_restic)
            break
        # A lock that cannot be removed at the end is told, but what was asked for is done.
        assert status in (0, 1)
        remove_own_locks(laboratory, deed)
        examine(laboratory, deed, newest_restic, seen)


def test_a_process_killed_after_a_write_loses_nothing(
    prepared: Laboratory, deed: Deed, newest_restic: Restic, tmp_path: Path
) -> None:
    # What is stored when it dies before a write is what was stored after the one before.
    seen: set[frozenset[str]] = set()
    plans = FaultPlan(tmp_path, failure=Failure.KILL, moment=Moment.AFTER)
    for laboratory, plan in cases(prepared, tmp_path, plans):
        status = laboratory.run_apart(*deed.arguments(laboratory), plan=plan, workers=deed.workers)
        if not plan.happened():
            require_good_end(laboratory, deed, plan, status, newest_restic)
            break
        # Where a worker is what was killed, the program says so and ends with 1.
        assert status == KILLED or (status == 1 and deed.workers > 1)
        examine(laboratory, deed, newest_restic, seen)


def test_a_medium_that_is_full_from_a_write_on_loses_nothing(
    prepared: Laboratory, deed: Deed, newest_restic: Restic, tmp_path: Path
) -> None:
    seen: set[frozenset[str]] = set()
    plans = FaultPlan(tmp_path, failure=Failure.FULL, lasting=True)
    for laboratory, plan in cases(prepared, tmp_path, plans):
        status = laboratory.run(*deed.arguments(laboratory), plan=plan, workers=deed.workers)
        if not plan.happened():
            require_good_end(laboratory, deed, plan, status, newest_restic)
            break
        assert status in (0, 1)
        remove_own_locks(laboratory, deed)
        examine(laboratory, deed, newest_restic, seen)
