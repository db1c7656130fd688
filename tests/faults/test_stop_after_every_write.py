"""Whatever writes is stopped at every single write in turn: nothing stored before is lost and the next run works."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pivori.storage.wrap import FaultPlan
from pivori.storage.wrap.faults import Failure, Moment
from tests.faults.laboratory import Laboratory, change_source, picture_of
from tests.restic import Restic

KILLED = -9
WRONG_PASSWORD = 12
NEW_PASSWORD = "battery staple"


@dataclass(frozen=True)
class Deed:
    """A command that writes, and what the repository is made to look like before.

    ``is_done`` says that it cannot be done a second time. With ``damaged`` only the history is sound before it is done.
    ``second`` is the folder of a second repository it writes to. With a ``kill_step`` it is not killed after each.
    """

    name: str
    arguments: Callable[[Laboratory], list[str | Path]]
    prepare: Callable[[Laboratory], None] = lambda laboratory: None
    is_done: Callable[[Laboratory], bool] = lambda laboratory: False
    workers: int = 1
    fewest_writes: int = 3
    kill_step: int = 1
    damaged: bool = False
    second: str = ""

    def __str__(self) -> str:
        return self.name


def forget_by_hand(laboratory: Laboratory) -> None:
    """Leave the newest snapshot only, so that there is much to prune and to repack."""
    newest = list(laboratory.history)[-1]
    for name in laboratory.snapshots():
        if name != newest:
            (laboratory.repository / "snapshots" / name).unlink()


def lose_an_index(laboratory: Laboratory) -> None:
    """As an end just before the index is written leaves it: packs that no index lists."""
    before = laboratory.objects()
    laboratory.backup()
    for folder in ("index", "snapshots"):
        for path in (laboratory.repository / folder).iterdir():
            if path.name not in before:
                path.unlink()


def lose_a_pack(laboratory: Laboratory) -> None:
    """A snapshot that lacks a file, but no other, and an index that says so."""
    laboratory.backup()
    expected = picture_of(laboratory.source)
    before = laboratory.objects()
    extra = laboratory.source / "extra"
    extra.write_bytes(os.urandom(400_000))
    del laboratory.history[laboratory.backup()]
    extra.unlink()
    packs = [path for path in (laboratory.repository / "data").rglob("*/*") if path.name not in before]
    max(packs, key=lambda path: path.stat().st_size).unlink()
    assert laboratory.run("repair", "index") == 0
    laboratory.history["once repaired"] = expected


def a_pack(laboratory: Laboratory) -> str:
    """The pack that is to be taken apart: the same one in every copy."""
    return (laboratory.folder / "chosen").read_text()


def choose_a_pack(laboratory: Laboratory) -> None:
    """Choose one with many blobs."""
    first = min((laboratory.repository / "data").rglob("*/*"), key=lambda path: path.name)
    (laboratory.folder / "chosen").write_text(first.name)


def new_password(laboratory: Laboratory) -> Path:
    """The file with the password that is to be."""
    return laboratory.folder / "new-password"


def think_of_a_password(laboratory: Laboratory) -> None:
    """Write one down."""
    new_password(laboratory).write_text(NEW_PASSWORD)
    new_password(laboratory).chmod(0o600)


def add_a_key(laboratory: Laboratory) -> None:
    """Add a second key, which is then to be removed."""
    think_of_a_password(laboratory)
    before = laboratory.objects()
    assert laboratory.run("key", "add", "--new-password-file", new_password(laboratory)) == 0
    (name,) = laboratory.objects() - before
    (laboratory.folder / "chosen").write_text(name)


def second_repository(laboratory: Laboratory) -> Laboratory:
    """Where ``copy`` copies to."""
    return replace(laboratory, folder=laboratory.folder / "second", history=dict(laboratory.history))


def make_second_repository(laboratory: Laboratory) -> None:
    """One with a snapshot of its own."""
    second = second_repository(laboratory)
    second.folder.mkdir()
    second.password_file.write_text(NEW_PASSWORD)
    second.password_file.chmod(0o600)
    assert second.run("init") == 0
    second.backup()


DEEDS = [
    Deed("backup", lambda laboratory: ["backup", laboratory.source], fewest_writes=6),
    Deed("backup by workers", lambda laboratory: ["backup", laboratory.source], workers=2, fewest_writes=6),
    Deed("forget", lambda _: ["forget", "--keep-last", "1"], fewest_writes=4, kill_step=2),
    Deed("forget and prune", lambda _: ["forget", "--keep-last", "1", "--prune", "--max-unused", "0"], fewest_writes=8),
    Deed("prune", lambda _: ["prune", "--max-unused", "0"], forget_by_hand, fewest_writes=8),
    Deed("repair index", lambda _: ["repair", "index"], lose_an_index, kill_step=2),
    Deed(
        "repair packs",
        lambda laboratory: ["repair", "packs", a_pack(laboratory)],
        choose_a_pack,
        is_done=lambda laboratory: a_pack(laboratory) not in laboratory.objects(),
        fewest_writes=4,
        kill_step=3,
    ),
    Deed(
        "repair snapshots",
        lambda _: ["repair", "snapshots", "--forget"],
        lose_a_pack,
        damaged=True,
        fewest_writes=5,
        kill_step=3,
    ),
    Deed(
        "key add",
        lambda laboratory: ["key", "add", "--new-password-file", new_password(laboratory)],
        think_of_a_password,
    ),
    Deed(
        "key passwd",
        lambda laboratory: ["key", "passwd", "--new-password-file", new_password(laboratory)],
        think_of_a_password,
        fewest_writes=4,
    ),
    Deed(
        "key remove",
        lambda laboratory: ["key", "remove", a_pack(laboratory)],
        add_a_key,
        is_done=lambda laboratory: a_pack(laboratory) not in laboratory.objects(),
    ),
    Deed(
        "copy",
        lambda laboratory: [
            *("copy", "--to", laboratory.folder / "second" / "repository"),
            *("--to-password-file", laboratory.folder / "second" / "password"),
        ],
        make_second_repository,
        second="second",
        fewest_writes=9,
        kill_step=3,
    ),
]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """Three snapshots, and a source that has changed since."""
    laboratory = Laboratory.make(tmp_path_factory.mktemp("laboratory"))
    for seed in range(3):
        laboratory.backup()
        change_source(laboratory.source, seed=seed)
    return laboratory


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


def cases(prepared: Laboratory, folder: Path, plan: FaultPlan, step: int = 1) -> Iterator[tuple[Laboratory, FaultPlan]]:
    """A fresh copy with a plan for every write in turn; whoever takes them stops when a plan was not met any more."""
    for number in itertools.count(1, step):
        yield prepared.copy(folder / str(number)), replace(plan, state=folder / f"state{number}", at_write=number)
        shutil.rmtree(folder / str(number))


def examine(laboratory: Laboratory, deed: Deed, restic: Restic, seen: set[frozenset[str]]) -> None:
    """Everything is there, the next backup works, and the deed can be done.

    What was ``seen``, the same objects, need not be looked at twice.
    """
    find_password(laboratory)
    objects = frozenset(laboratory.objects())
    if deed.damaged:
        laboratory.require_restorable(set(laboratory.history) & set(laboratory.snapshots()))
    elif objects not in seen:
        seen.add(objects)
        laboratory.require_sound(restic)
    if not deed.damaged:
        laboratory.require_next_backup()
    if deed.arguments(laboratory)[0] != "backup" and not deed.is_done(laboratory):
        assert laboratory.run(*deed.arguments(laboratory), workers=deed.workers) == 0
        find_password(laboratory)
        assert laboratory.run("verify", "--read-data") == 0
    if deed.second:
        second = second_repository(laboratory)
        second.require_sound(restic)
        second.require_next_backup()


def find_password(laboratory: Laboratory) -> None:
    """One of the two passwords opens the repository, always."""
    if laboratory.run("key", "list") == WRONG_PASSWORD:
        laboratory.change_password(NEW_PASSWORD)
        assert laboratory.run("key", "list") == 0


def require_good_end(laboratory: Laboratory, deed: Deed, plan: FaultPlan, status: int, restic: Restic) -> None:
    """What is true when nothing failed: there were as many writes as the deed takes, and all is well."""
    assert (status, plan.at_write > deed.fewest_writes) == (0, True)
    find_password(laboratory)
    laboratory.require_sound(restic)


@pytest.mark.parametrize("moment", list(Moment))
def test_a_failing_write_loses_nothing(
    prepared: Laboratory, deed: Deed, moment: Moment, newest_restic: Restic, tmp_path: Path
) -> None:
    seen = {frozenset(prepared.objects())}
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
    seen = {frozenset(prepared.objects())}
    plans = FaultPlan(tmp_path, failure=Failure.KILL, moment=Moment.AFTER)
    for laboratory, plan in cases(prepared, tmp_path, plans, deed.kill_step):
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
    seen = {frozenset(prepared.objects())}
    plans = FaultPlan(tmp_path, failure=Failure.FULL, lasting=True)
    for laboratory, plan in cases(prepared, tmp_path, plans, step=4):
        status = laboratory.run(*deed.arguments(laboratory), plan=plan, workers=deed.workers)
        if not plan.happened():
            break
        assert status in (0, 1)
        remove_own_locks(laboratory, deed)
        examine(laboratory, deed, newest_restic, seen)


def remove_own_locks(laboratory: Laboratory, deed: Deed) -> None:
    """Remove what a run in this process has left behind."""
    laboratory.remove_own_locks()
    if deed.second:
        second_repository(laboratory).remove_own_locks()
