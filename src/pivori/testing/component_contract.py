"""What every kind of component must do, as a test suite; a new kind is done when it passes against the real thing.

    class TestMyKind(ComponentContract):
        @pytest.fixture
        def specimen(self, tmp_path):
            ...  # start the real thing
            yield MySpecimen(...)
            ...  # stop it

``surroundings`` comes from :func:`surroundings_in`.
"""

# ruff: noqa: D102, S101 - a test says by its name what it holds, and by assertions

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from pivori.clock import SystemClock
from pivori.components.base import Component, Report, RestoreRequest, Surroundings, has_failure, plain_text
from pivori.errors import PivoriError
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.translation import Phrase


class Specimen(Protocol):
    """A real thing with some content, and the component that captures it."""

    component: Component
    root: Path
    """The folder of the stack."""

    def state(self) -> Any:
        """Everything that a restore has to bring back, comparable."""

    def change(self) -> None:
        """Alter the content, so that the state is another one."""

    def destroy(self) -> None:
        """Lose the content; what a restore in place needs (an empty server, say) stays or is made anew."""

    def breaks(self) -> None:
        """Make it impossible to capture (stop the server, remove the repository)."""

    def spoil(self, capture: FolderCapture) -> None:
        """Damage a capture in a way that :meth:`verify` has to find."""


def surroundings_in(folder: Path, root: Path) -> Surroundings:
    """Surroundings with the real clock, and a state folder in ``folder``."""
    state = folder / "state"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Surroundings(clock=SystemClock(), emit=lambda _event: None, root=root, state=state)


def move_aside(path: Path) -> Path:
    """Move something out of the way, beside where it was."""
    number = 1
    while (place := path.with_name(f"{path.name}.aside-{number}")).exists():
        number += 1
    return path.rename(place)


def in_place(root: Path, **settings: str) -> RestoreRequest:
    """A restore to where it was."""
    return RestoreRequest(to=None, root=root, aside=move_aside, settings=settings)


class ComponentContract:
    """The suite. A subclass gives the fixture ``specimen``."""

    @pytest.fixture
    def surroundings(self, specimen: Specimen, tmp_path: Path) -> Surroundings:
        return surroundings_in(tmp_path / "own", specimen.root)

    @pytest.fixture
    def capture(self, specimen: Specimen, surroundings: Surroundings, tmp_path: Path) -> Callable[..., FolderCapture]:
        def run(name: str = "capture", before: FolderCapture | None = None) -> FolderCapture:
            sink = FolderSink(tmp_path / "captures" / name / specimen.component.name, before)
            report = specimen.component.capture(sink, surroundings)
            done = sink.finish(report)
            specimen.component.stored(report, surroundings)
            return done

        return run

    def test_inspection_finds_it_sound(self, specimen: Specimen, surroundings: Surroundings) -> None:
        found = specimen.component.inspect(surroundings)
        assert not has_failure(found.findings), found.findings
        assert found.counts or found.size

    def test_inspection_tells_what_would_fail(self, specimen: Specimen, surroundings: Surroundings) -> None:
        specimen.breaks()
        assert has_failure(specimen.component.inspect(surroundings).findings)

    def test_a_report_is_json_and_comes_back_from_it(self, capture: Callable[..., FolderCapture]) -> None:
        import msgspec

        report = capture().report
        assert msgspec.json.decode(msgspec.json.encode(report, enc_hook=plain_text), type=Report).counts == dict(
            report.counts
        )

    def test_what_is_captured_comes_back(
        self, specimen: Specimen, capture: Callable[..., FolderCapture], surroundings: Surroundings
    ) -> None:
        before = specimen.state()
        captured = capture()
        assert not has_failure(specimen.component.verify(captured, surroundings))
        specimen.destroy()
        request = in_place(specimen.root)
        plan = specimen.component.plan(captured, request, surroundings)
        assert plan.steps
        assert not has_failure(plan.findings), plan.findings
        restored = specimen.component.restore(captured, request, surroundings)
        assert restored.checked
        assert specimen.state() == before

    def test_what_was_changed_since_is_replaced(
        self, specimen: Specimen, capture: Callable[..., FolderCapture], surroundings: Surroundings
    ) -> None:
        before = specimen.state()
        captured = capture()
        specimen.change()
        assert specimen.state() != before
        request = in_place(specimen.root)
        plan = specimen.component.plan(captured, request, surroundings)
        assert plan.replaces
        specimen.component.restore(captured, request, surroundings)
        assert specimen.state() == before

    def test_restoring_again_changes_nothing(
        self, specimen: Specimen, capture: Callable[..., FolderCapture], surroundings: Surroundings
    ) -> None:
        before = specimen.state()
        captured = capture()
        for _ in range(2):
            specimen.component.restore(captured, in_place(specimen.root), surroundings)
        assert specimen.state() == before

    def test_the_second_capture_is_of_its_own_moment(
        self, specimen: Specimen, capture: Callable[..., FolderCapture], surroundings: Surroundings
    ) -> None:
        first = capture("first")
        specimen.change()
        changed = specimen.state()
        second = capture("second", first)
        specimen.destroy()
        specimen.component.restore(second, in_place(specimen.root), surroundings)
        assert specimen.state() == changed

    def test_it_is_restored_beside_what_is_there(
        self, specimen: Specimen, capture: Callable[..., FolderCapture], surroundings: Surroundings, tmp_path: Path
    ) -> None:
        captured = capture()
        specimen.change()
        changed = specimen.state()
        to = tmp_path / "recovered" / specimen.component.name
        request = RestoreRequest(to=to, root=tmp_path / "recovered", aside=move_aside)
        assert not has_failure(specimen.component.plan(captured, request, surroundings).findings)
        restored = specimen.component.restore(captured, request, surroundings)
        assert restored.checked
        assert specimen.state() == changed
        assert any(item.is_file() for item in (tmp_path / "recovered").rglob("*"))

    def test_what_cannot_be_captured_fails(self, specimen: Specimen, capture: Callable[..., FolderCapture]) -> None:
        specimen.breaks()
        with pytest.raises(PivoriError):
            capture()

    def test_a_damaged_capture_is_found(
        self, specimen: Specimen, capture: Callable[..., FolderCapture], surroundings: Surroundings
    ) -> None:
        captured = capture()
        specimen.spoil(captured)
        assert has_failure(specimen.component.verify(captured, surroundings))

    def test_nothing_is_left_in_the_state_folder_that_others_may_read(
        self, capture: Callable[..., FolderCapture], surroundings: Surroundings
    ) -> None:
        capture()
        for item in [surroundings.state, *surroundings.state.rglob("*")]:
            assert not item.lstat().st_mode & 0o077 or item.is_symlink(), item

    def test_the_way_back_by_hand_is_told(self, specimen: Specimen, capture: Callable[..., FolderCapture]) -> None:
        lines = specimen.component.manual(capture().report)
        assert lines
        assert not any(isinstance(line, Phrase) for line in lines)
