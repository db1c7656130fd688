"""A folder with something in it, where the snapshot has something else, stays unless ``--delete`` is given."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pivori.engine.restore import IN_THE_WAY, Action, plan_restore
from tests.compat.hostile_tree import compare, facts, noise
from tests.conftest import missing
from tests.unit.engine.test_restore import ROOT, Laboratory, inside

TWO_BLOBS = noise(21, 1_500_000)


def hard_linked(path: Path) -> None:
    """A file with a further name, which is met first."""
    path.write_bytes(b"linked")
    os.link(path, path.with_name("a name before"))


MAKERS: dict[str, Callable[[Path], object]] = {
    "empty file": Path.touch,
    "small file": lambda path: path.write_bytes(b"small"),
    "file of several blobs": lambda path: path.write_bytes(TWO_BLOBS),
    "symlink": lambda path: path.symlink_to("nowhere"),
    "fifo": os.mkfifo,
    "device": lambda path: os.mknod(path, 0o20600, os.makedev(1, 3)),
    "hard link": hard_linked,
}


@pytest.fixture(params=MAKERS)
def laboratory(request: pytest.FixtureRequest, tmp_path: Path) -> Laboratory:
    """Each kind of thing, and a file beside it; the target has a folder in the place of the thing."""
    if request.param == "device" and not ROOT:
        missing("the right to make devices (root)")
    laboratory = Laboratory(tmp_path)
    (laboratory.source / "d").mkdir(parents=True)
    MAKERS[request.param](laboratory.source / "d" / "thing")
    (laboratory.source / "other").write_bytes(b"other")
    (laboratory.target / "d" / "thing").mkdir(parents=True)
    return laboratory


def actions(laboratory: Laboratory, request: object) -> dict[bytes, Action]:
    """What the plan says of each path."""
    steps = plan_restore(laboratory.repository, request)
    return {step.path: step.action for step in steps}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_folder_stays(laboratory: Laboratory, workers: int) -> None:
    request = laboratory.request(laboratory.back_up(), workers=workers, verify=True)
    (laboratory.target / "d" / "thing" / "deep").mkdir()
    (laboratory.target / "d" / "thing" / "deep" / "new").write_bytes(b"precious")
    before = facts(laboratory.target / "d" / "thing")
    assert actions(laboratory, request)[b"d/thing"] is Action.OBSTRUCTED
    assert laboratory.failures(request) == {b"d/thing": IN_THE_WAY}
    assert facts(laboratory.target / "d" / "thing") == before
    assert (laboratory.target / "other").read_bytes() == b"other"


def test_a_full_folder_is_replaced_with_delete(laboratory: Laboratory) -> None:
    request = laboratory.request(laboratory.back_up(), verify=True, delete=True)
    (laboratory.target / "d" / "thing" / "deep").mkdir()
    (laboratory.target / "d" / "thing" / "deep" / "new").write_bytes(b"rubbish")
    assert actions(laboratory, request)[b"d/thing"] is Action.REPLACE
    laboratory.restore(request)
    assert compare(inside(facts(laboratory.source)), inside(facts(laboratory.target))) == []


@pytest.mark.parametrize("delete", [False, True])
def test_an_empty_folder_is_replaced(laboratory: Laboratory, delete: bool) -> None:
    request = replace(laboratory.request(laboratory.back_up(), verify=True), delete=delete)
    assert actions(laboratory, request)[b"d/thing"] is Action.REPLACE
    laboratory.restore(request)
    assert compare(inside(facts(laboratory.source)), inside(facts(laboratory.target))) == []


def test_a_folder_that_is_filled_meanwhile_stays(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was empty when the restore looked: the system says that it is not any more."""
    request = laboratory.request(laboratory.back_up())
    monkeypatch.setattr("pivori.engine.restore.run.is_obstructed", lambda *_: False)
    (laboratory.target / "d" / "thing" / "new").write_bytes(b"precious")
    assert set(laboratory.failures(request)) == {b"d/thing"}
    assert (laboratory.target / "d" / "thing" / "new").read_bytes() == b"precious"
    assert [path.name for path in (laboratory.target / "d").iterdir() if path.name.startswith(".")] == []
