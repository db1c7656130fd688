"""Plans of recoveries, their execution, and what an interruption leaves to be done."""

from pathlib import Path

import pytest

from pivori.repository import format_time
from pivori.stack import recovery_log
from pivori.stack.choosing import NeverCaptured, NothingToRecover
from pivori.stack.recover import OWN_FOLDER, RecoveryImpossible, StepDone, StepFailed, TargetNotEmpty
from tests.unit.engine.looking import SECOND, START_NS
from tests.unit.stack.box import Box, Workshop, names_in

MINUTE = 60 * SECOND


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path, "one", "two")
    workshop.fill(one="first", two="second")
    return workshop


def test_to_another_folder(workshop: Workshop, tmp_path: Path) -> None:
    workshop.protect()
    recovery = workshop.recovery(to=tmp_path / "new")
    plan = recovery.plan()
    assert plan.is_possible
    assert not (tmp_path / "new").exists()
    done = recovery.apply(plan)
    assert (tmp_path / "new" / OWN_FOLDER / "one" / "f").read_text() == "first"
    assert (tmp_path / "new" / OWN_FOLDER / "two" / "f").read_text() == "second"
    assert list(done.restored) == ["one", "two"]
    assert not done.moves


def test_in_place_keeps_what_is_replaced(workshop: Workshop) -> None:
    workshop.protect()
    workshop.fill(one="changed")
    recovery = workshop.recovery("one")
    done = recovery.apply(recovery.plan())
    assert workshop.content("one") == {"f": b"first"}
    [move] = done.moves
    assert (Path(move.aside) / "f").read_text() == "changed"
    assert workshop.content("two") == {"f": b"second"}


def test_a_moment_takes_the_newest_capture_of_each_at_or_before_it(workshop: Workshop) -> None:
    workshop.protect()
    workshop.fill(two="second, later")
    workshop.protect("two")
    workshop.fill(one="much later", two="much later")
    workshop.protect()
    plan = workshop.recovery(at_ns=START_NS + 2 * MINUTE).plan()
    moments = {step.name: (step.choice.moment_ns - START_NS) // MINUTE for step in plan.steps}
    assert moments == {"one": 1, "two": 2}
    assert plan.spread == 60.0


def test_nothing_before_the_moment(workshop: Workshop) -> None:
    workshop.protect()
    with pytest.raises(NothingToRecover):
        workshop.recovery(at_ns=START_NS).plan()


def test_what_has_no_capture_is_told(workshop: Workshop) -> None:
    workshop.boxes["one"].fails = True
    workshop.protect()
    plan = workshop.recovery().plan()
    assert [step.name for step in plan.steps] == ["two"]
    assert isinstance(plan.lacking["one"], NeverCaptured)


def test_what_can_be_replayed_is_taken_from_after_the_moment(workshop: Workshop) -> None:
    workshop.boxes["one"].replay_from = format_time(START_NS)
    for _ in range(3):
        workshop.protect()
    at_ns = START_NS + 90 * SECOND
    plan = workshop.recovery(at_ns=at_ns).plan()
    moments = {step.name: (step.choice.capture.point.time_ns - START_NS) // MINUTE for step in plan.steps}
    assert moments == {"one": 2, "two": 1}
    assert plan.steps[0].request.settings == {"target-time": format_time(at_ns)}
    assert plan.spread == 30.0


def test_it_is_not_replayed_to_before_it_began(workshop: Workshop) -> None:
    workshop.protect()
    workshop.boxes["one"].replay_from = format_time(START_NS + 100 * SECOND)
    workshop.protect()
    plan = workshop.recovery("one", at_ns=START_NS + 90 * SECOND).plan()
    assert plan.steps[0].choice.capture.point.time_ns == START_NS + MINUTE
    assert not plan.steps[0].request.settings


def test_an_obstacle_keeps_everything_from_being_done(workshop: Workshop) -> None:
    workshop.protect()
    workshop.boxes["two"].obstacle = "in the way"
    recovery = workshop.recovery()
    plan = recovery.plan()
    assert not plan.is_possible
    with pytest.raises(RecoveryImpossible):
        recovery.apply(plan)
    assert not workshop.boxes["one"].asked


def test_the_repository_is_never_moved_aside(workshop: Workshop, tmp_path: Path) -> None:
    workshop.protect()
    repository = workshop.boxes["two"].folder / "backups"
    repository.mkdir()
    assert not workshop.recovery(repository=repository).plan().is_possible
    assert workshop.recovery("one", repository=repository).plan().is_possible
    assert workshop.recovery(repository=repository, to=tmp_path / "new").plan().is_possible


def test_a_folder_with_something_in_it_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    workshop.protect()
    (tmp_path / "new").mkdir()
    assert workshop.recovery(to=tmp_path / "new").plan().is_possible
    (tmp_path / "new" / "x").touch()
    with pytest.raises(TargetNotEmpty):
        workshop.recovery(to=tmp_path / "new").plan()


def test_it_goes_on_where_it_was(workshop: Workshop, tmp_path: Path) -> None:
    workshop.protect()
    workshop.boxes["two"].stops = True
    recovery = workshop.recovery(to=tmp_path / "new")
    with pytest.raises(StepFailed):
        recovery.apply(recovery.plan())
    workshop.boxes["two"].stops = False
    again = workshop.recovery(to=tmp_path / "new")
    plan = again.plan()
    assert plan.is_resumed
    assert [step.is_done for step in plan.steps] == [True, False]
    again.apply(plan)
    assert len(workshop.boxes["one"].asked) == 1
    # Complete is complete: the next one is a new recovery, for which the folder is not empty.
    with pytest.raises(TargetNotEmpty):
        workshop.recovery(to=tmp_path / "new").plan()


def test_one_that_was_left_alone_for_a_day_begins_anew(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.protect()
    workshop.boxes["two"].stops = True
    recovery = workshop.recovery()
    with pytest.raises(StepFailed):
        recovery.apply(recovery.plan())
    assert workshop.recovery().plan().is_resumed
    monkeypatch.setattr(recovery_log, "_FRESH_NS", 0)
    plan = workshop.recovery().plan()
    assert not plan.is_resumed
    assert not any(step.is_done for step in plan.steps)


def test_no_more_records_are_read_than_needed(workshop: Workshop) -> None:
    for _ in range(5):
        workshop.protect()
    points = workshop.points
    found = []
    load = points._load
    points._load = lambda loaded: found.append(loaded.id) or load(loaded)
    recovery = workshop.recovery("one")
    recovery._points = points
    recovery.plan()
    assert len(found) == 1


def test_what_was_moved_aside_before_an_interruption_is_told_in_the_end(workshop: Workshop) -> None:
    workshop.protect()
    workshop.fill(one="changed")
    workshop.boxes["two"].stops = True
    recovery = workshop.recovery()
    with pytest.raises(StepFailed):
        recovery.apply(recovery.plan())
    workshop.boxes["two"].stops = False
    again = workshop.recovery()
    moved = {Path(move.path).name for move in again.apply(again.plan()).moves}
    assert moved == {"one", "two"}


def test_a_first_failure_ends_it(workshop: Workshop) -> None:
    workshop.protect()
    workshop.boxes["one"].stops = True
    recovery = workshop.recovery()
    with pytest.raises(StepFailed):
        recovery.apply(recovery.plan())
    assert not workshop.boxes["two"].asked


def test_the_order_is_as_configured(workshop: Workshop, tmp_path: Path) -> None:
    workshop.order = ["two", "one"]
    workshop.protect()
    recovery = workshop.recovery(to=tmp_path / "new")
    recovery.apply(recovery.plan())
    assert [event.component for event in workshop.events if isinstance(event, StepDone)] == ["two", "one"]


def test_what_lies_within_another_comes_after_it(workshop: Workshop) -> None:
    inner = Box("inner", workshop.boxes["two"].folder / "inside")
    inner.kind = "secrets"
    workshop.boxes = {"inner": inner, **workshop.boxes}
    workshop.fill(inner="secret")
    workshop.protect()
    assert [step.name for step in workshop.recovery().plan().steps] == ["one", "two", "inner"]


def test_what_of_others_lies_within_stays_in_use(workshop: Workshop) -> None:
    inner = Box("inner", workshop.boxes["two"].folder / "inside")
    workshop.boxes["inner"] = inner
    workshop.fill(inner="of another component")
    workshop.protect()
    workshop.fill(two="changed")
    recovery = workshop.recovery("two")
    recovery.apply(recovery.plan())
    assert workshop.content("two") == {"f": b"second"}
    assert workshop.content("inner") == {"f": b"of another component"}
    assert names_in(workshop.boxes["two"].folder) == ["f", "inside"]


def test_two_components_of_one_folder_come_back_together(workshop: Workshop) -> None:
    workshop.boxes["other"] = other = Box("other", workshop.boxes["two"].folder)
    workshop.protect()
    workshop.fill(two="changed")
    recovery = workshop.recovery("two", "other")
    done = recovery.apply(recovery.plan())
    assert len(done.moves) == 1
    assert len(other.asked) == 1
    assert workshop.content("two") == {"f": b"second"}


def test_what_a_capture_lacks_stays_in_use_where_others_have_something_too(workshop: Workshop) -> None:
    folder = workshop.boxes["two"].folder
    workshop.boxes["other"] = Box("other", folder / "sub" / "deep")
    (folder / "sub" / "deep" / "f").write_text("of another")
    workshop.protect()
    workshop.fill(two="changed")
    (folder / "log").write_text("of nobody")
    recovery = workshop.recovery("two")
    [move] = recovery.apply(recovery.plan()).moves
    assert workshop.content("two") == {"f": b"second", "log": b"of nobody"}
    assert workshop.content("other") == {"f": b"of another"}
    assert names_in(Path(move.aside)) == ["f"]


def test_what_is_replaced_lies_in_one_folder_beside_that_of_the_stack(workshop: Workshop) -> None:
    workshop.protect()
    recovery = workshop.recovery()
    moves = recovery.apply(recovery.plan()).moves
    root = workshop.stack.root
    [folder] = {Path(move.aside).parent for move in moves}
    assert folder.parent == root.parent
    assert folder.name.startswith("app.aside-")
    assert names_in(root) == ["one", "pivori.toml", "two"]


def test_where_that_cannot_be_it_lies_beside_its_place(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.protect()
    make = Path.mkdir

    def mkdir(path: Path, *arguments: object, **options: object) -> None:
        if ".aside-" in path.name:
            raise PermissionError(13, "Permission denied")
        make(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    recovery = workshop.recovery("one")
    [move] = recovery.apply(recovery.plan()).moves
    assert Path(move.aside).parent == workshop.stack.root
    assert (Path(move.aside) / "f").read_text() == "first"


def test_a_folder_that_nobody_shares_is_as_it_was(workshop: Workshop) -> None:
    workshop.protect()
    (workshop.boxes["two"].folder / "log").write_text("of nobody")
    recovery = workshop.recovery("two")
    [move] = recovery.apply(recovery.plan()).moves
    assert workshop.content("two") == {"f": b"second"}
    assert names_in(Path(move.aside)) == ["f", "log"]


def test_it_is_known_how_long_it_takes_once_it_was_done(workshop: Workshop, tmp_path: Path) -> None:
    workshop.protect()
    recovery = workshop.recovery(to=tmp_path / "new")
    first = recovery.plan()
    assert first.seconds is None
    recovery.apply(first)
    assert workshop.recovery(to=tmp_path / "newer").plan().seconds is not None


def test_the_configuration_comes_back_where_there_is_none(workshop: Workshop, tmp_path: Path) -> None:
    workshop.protect()
    recovery = workshop.recovery(to=tmp_path / "new")
    assert recovery.apply(recovery.plan()).configuration == tmp_path / "new" / "pivori.toml"
    assert (tmp_path / "new" / "pivori.toml").read_bytes() == workshop.stack.configuration
    (workshop.stack.root / "pivori.toml").write_text("mine")
    again = workshop.recovery()
    assert again.apply(again.plan()).configuration is None
    assert (workshop.stack.root / "pivori.toml").read_text() == "mine"
