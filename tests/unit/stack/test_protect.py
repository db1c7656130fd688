"""One run over all components: what goes into the recovery point, and what a failure does to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pivori.engine.listing import walk
from pivori.events import Progress
from pivori.stack.history import CaptureTooSmall
from pivori.stack.model import Hook
from pivori.stack.points import read_configuration, read_file
from pivori.stack.protect import CaptureBegan, CaptureEnded, CaptureFailed, NothingProtected
from pivori.stack.record import Outcome, encode_record
from pivori.storage import NoSpace
from tests.unit.engine.looking import never
from tests.unit.stack.box import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path, "one", "two")
    workshop.fill(one="first content", two="second content")
    return workshop


def paths_of(workshop: Workshop, snapshot_id: str) -> set[bytes]:
    tree = workshop.repository.load_snapshot(snapshot_id).snapshot.tree
    workshop.repository.load_index(None)
    return {entry.path for entry in walk(workshop.repository, tree, on_damage=never) if entry.node.type == "file"}


def test_every_component_has_its_folder(workshop: Workshop) -> None:
    done = workshop.protect()
    assert done.is_whole
    assert paths_of(workshop, done.snapshot_id) == {
        b"/one/f",
        b"/two/f",
        b"/RECOVERY.md",
        b"/.pivori/recovery-point.json",
        b"/.pivori/pivori.toml",
    }
    loaded = workshop.repository.load_snapshot(done.snapshot_id)
    assert loaded.snapshot.tags == ["component=one", "component=two", "stack=shop"]
    assert read_configuration(workshop.repository, loaded) == b"[stack]\n"
    assert b"nobody@example.org" in read_file(workshop.repository, loaded, b"RECOVERY.md")
    [point] = workshop.points
    assert encode_record(point.record) == encode_record(done.record)
    assert [record.size for record in point.record.components] == [len("first content"), len("second content")]
    assert done.summary.total_files_processed == 2


def test_a_failure_stops_nobody_else(workshop: Workshop) -> None:
    workshop.boxes["one"].fails = True
    done = workshop.protect()
    assert not done.is_whole
    assert done.record.missing == ["one"]
    assert b"/one/f" not in paths_of(workshop, done.snapshot_id)
    failed = done.record.component("one")
    assert failed is not None
    assert (failed.outcome, failed.error_code) == (Outcome.FAILED, "component-failed")
    assert "it is meant to" in failed.error
    kinds = [type(event) for event in workshop.events if not isinstance(event, Progress)]
    assert kinds == [CaptureBegan, CaptureFailed, CaptureBegan, CaptureEnded]
    assert not workshop.boxes["one"].confirmed
    assert workshop.boxes["two"].confirmed


def test_a_repository_that_fails_ends_the_run(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise NoSpace(location="here", operation="write", name="data")

    monkeypatch.setattr(workshop.boxes["one"], "capture", full)
    with pytest.raises(NoSpace):
        workshop.protect()
    assert list(workshop.points) == []
    assert not any(isinstance(event, CaptureFailed) for event in workshop.events)


def test_when_all_fail_there_is_no_recovery_point(workshop: Workshop) -> None:
    for box in workshop.boxes.values():
        box.fails = True
    with pytest.raises(NothingProtected):
        workshop.protect()
    assert list(workshop.points) == []


def test_nothing_is_no_capture(workshop: Workshop) -> None:
    (workshop.boxes["one"].folder / "f").unlink()
    done = workshop.protect()
    failed = done.record.component("one")
    assert failed is not None
    assert failed.error_code == "nothing-captured"


def test_far_smaller_than_before_is_a_failure(workshop: Workshop) -> None:
    workshop.fill(one="x" * 1000)
    workshop.protect()
    workshop.fill(one="x" * 499)
    done = workshop.protect()
    [error] = [event.error for event in workshop.events if isinstance(event, CaptureFailed)]
    assert isinstance(error, CaptureTooSmall)
    assert done.record.missing == ["one"]
    assert workshop.protect(accept_smaller=["one"]).is_whole


def test_half_as_large_is_not_far_smaller(workshop: Workshop) -> None:
    workshop.fill(one="x" * 1000)
    workshop.protect()
    workshop.fill(one="x" * 500)
    assert workshop.protect().is_whole


def test_a_small_capture_does_not_become_the_measure(workshop: Workshop) -> None:
    workshop.fill(one="x" * 1000)
    for _ in range(3):
        workshop.protect()
    workshop.fill(one="x" * 400)
    workshop.protect(accept_smaller=["one"])
    assert workshop.protect().record.missing == ["one"]


def test_one_component_alone(workshop: Workshop) -> None:
    workshop.protect()
    workshop.fill(two="another content")
    done = workshop.protect("two")
    assert done.is_whole
    assert [record.name for record in done.record.components] == ["two"]
    assert [capture.point.record.asked for capture in workshop.points.captures("one")] == [["one", "two"]]
    assert len(list(workshop.points.captures("two"))) == 2


def test_what_was_captured_is_taken_over(workshop: Workshop) -> None:
    box = workshop.boxes["one"]
    box.keeps = True
    first = workshop.protect()
    (box.folder / "f").write_text("other content that is not read")
    second = workshop.protect()
    one = second.record.component("one")
    assert one is not None
    assert one.report is not None
    assert one.report.facts == {"kept": 1, "before": True}
    before = first.record.component("one")
    assert before is not None
    assert one.files == before.files
    assert (one.size, one.file_count) == (before.size, before.file_count)


def test_the_capture_before_last_is_used_when_the_last_failed(workshop: Workshop) -> None:
    box = workshop.boxes["one"]
    box.keeps = True
    workshop.protect()
    box.fails = True
    workshop.protect()
    box.fails = False
    one = workshop.protect().record.component("one")
    assert one is not None
    assert one.report is not None
    assert one.report.facts["kept"] == 1


def test_hooks_are_around_each_and_around_all(workshop: Workshop) -> None:
    said = []

    @contextmanager
    def around(_hooks: Sequence[Hook], component: str) -> Iterator[None]:
        said.append(f"before {component}")
        try:
            yield
        finally:
            said.append(f"after {component}")

    workshop.protect(around=around)
    assert said == ["before ", "before one", "after one", "before two", "after two", "after "]
