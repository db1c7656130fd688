"""Services stand still in order, only as long as needed, and never longer, whatever happens."""

import itertools
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pivori.components.base import Consistency, Surroundings
from pivori.components.compose import quiescing
from pivori.components.compose.component import ComposeComponent
from pivori.components.compose.engine_api import EngineRefused
from pivori.components.compose.quiescing import NOTE_NAME, NoteUnusable, Quiesce, ServicesStandStill
from pivori.components.compose.selection import Selection
from pivori.testing.capture_folder import FolderSink
from tests.interrupting import Interruption
from tests.servers.docker import Docker, running_docker
from tests.unit.components.compose.shop import WatchedSink, kill_me, set_up, volume


class Instantly:
    """A clock that does not wait."""

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, _seconds: float) -> None:
        pass


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    folder = tmp_path / "engine"
    folder.mkdir()
    with running_docker(folder) as engine:
        yield engine


def verbs(docker: Docker) -> list[tuple[str, str]]:
    """What was asked of which service."""
    return [(line.rpartition("/")[2], line.split("/")[2][2:].strip("0")) for line in docker.changes()]


def hastily(surroundings: Surroundings) -> Surroundings:
    return Surroundings(
        clock=Instantly(),
        emit=surroundings.emit,
        root=surroundings.root,
        state=surroundings.state,
    )


RUNNING = {"web": "running", "api": "running", "db": "running", "other": "running"}


@pytest.mark.parametrize(
    ("how", "state", "verb", "undo"),
    [(Quiesce.PAUSE, "paused", "pause", "unpause"), (Quiesce.STOP, "exited", "stop", "start")],
)
def test_writers_and_what_needs_them_stand_still_while_the_trees_are_read(
    tmp_path: Path, docker: Docker, how: Quiesce, state: str, verb: str, undo: str
) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=how)
    seen: list[dict[str, str]] = []
    report = component.capture(WatchedSink(tmp_path / "c", lambda: seen.append(docker.states())), surroundings)
    assert seen == [{"web": state, "api": state, "db": state, "other": "running"}]
    assert docker.states() == RUNNING
    order = ["web", "api", "db"]
    assert verbs(docker) == [*((verb, name) for name in order), *((undo, name) for name in reversed(order))]
    assert report.facts["quiesced"] == order
    assert not list(surroundings.state.iterdir())


def test_only_writers_of_what_is_captured_stand_still(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.PAUSE, volumes=Selection(only=["files"]))
    report = component.capture(FolderSink(tmp_path / "c"), surroundings)
    assert report.facts["quiesced"] == ["web", "api"]
    nothing = ComposeComponent(
        name="n",
        folder=component.folder,
        socket=component.socket,
        program=component.program,
        quiesce=Quiesce.STOP,
        volumes=Selection(only=()),
    )
    docker.journal.clear()
    nothing.capture(FolderSink(tmp_path / "d"), surroundings)
    assert not docker.changes()


def test_what_did_not_run_before_does_not_run_after(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.STOP)
    for box in docker.containers.values():
        box.state = {"web": "exited", "api": "paused"}.get(box.service, box.state)
    component.capture(FolderSink(tmp_path / "c"), surroundings)
    assert docker.states() == {**RUNNING, "web": "exited", "api": "paused"}


@pytest.mark.parametrize(
    ("how", "exit_code", "consistency"),
    [
        (Quiesce.NONE, 0, Consistency.FILES),
        (Quiesce.PAUSE, 0, Consistency.FROZEN),
        (Quiesce.STOP, 0, Consistency.TRANSACTION),
        (Quiesce.STOP, 137, Consistency.FROZEN),
    ],
)
def test_the_consistency_that_is_promised_is_the_one_there_is(
    tmp_path: Path, docker: Docker, how: Quiesce, exit_code: int, consistency: Consistency
) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=how)
    for box in docker.containers.values():
        box.exit_code = exit_code
    assert component.capture(FolderSink(tmp_path / "c"), surroundings).consistency is consistency


@pytest.mark.parametrize("how", [Quiesce.PAUSE, Quiesce.STOP])
def test_a_capture_that_fails_lets_everything_go_on(tmp_path: Path, docker: Docker, how: Quiesce) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=how)

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        component.capture(WatchedSink(tmp_path / "c", fail), surroundings)
    assert docker.states() == RUNNING


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["error", "die"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_engine_that_fails_while_services_are_paused_leaves_none_paused(
    tmp_path: Path, docker: Docker, number: int, kind: str, after: bool
) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.PAUSE)
    box = list(docker.containers)[number]
    docker.fault("POST", f"/containers/{box}/pause", kind, 1, after=after)
    with pytest.raises(Exception, match=r"refused|did not answer"):
        component.capture(FolderSink(tmp_path / "c"), surroundings)
    assert docker.states() == RUNNING


def test_a_moment_of_weakness_when_services_go_on_is_got_over(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.PAUSE)
    docker.fault("POST", f"/containers/{next(iter(docker.containers))}/unpause", "error", 2)
    component.capture(FolderSink(tmp_path / "c"), hastily(surroundings))
    assert docker.states() == RUNNING


def test_services_that_cannot_go_on_are_named_and_the_note_stays_for_resume(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.PAUSE)
    web = next(iter(docker.containers))
    docker.fault("POST", f"/containers/{web}/unpause", "error")
    with pytest.raises(ServicesStandStill) as caught:
        component.capture(FolderSink(tmp_path / "c"), hastily(surroundings))
    assert caught.value.details["services"] == "web"
    assert docker.states() == {**RUNNING, "web": "paused"}
    docker.faults.clear()
    assert any("web" in finding.message for finding in component.inspect(surroundings).findings)
    assert list(component.resume(surroundings)) == ["The service web goes on."]
    assert docker.states() == RUNNING
    assert list(component.resume(surroundings)) == []


@pytest.mark.parametrize(("how", "state"), [(Quiesce.PAUSE, "paused"), (Quiesce.STOP, "exited")])
def test_a_killed_run_is_undone_by_resume_and_by_the_next_capture(
    tmp_path: Path, docker: Docker, how: Quiesce, state: str
) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=how)
    for number in range(2):
        context = multiprocessing.get_context("fork")
        killed = context.Process(target=_capture_and_die, args=(component, surroundings, tmp_path / f"k{number}"))
        killed.start()
        killed.join()
        assert docker.states() == {**RUNNING, "web": state, "api": state, "db": state}
        if number == 0:
            assert len(component.resume(surroundings)) == 3
        else:
            component.capture(FolderSink(tmp_path / "c"), surroundings)
        assert docker.states() == RUNNING


def _capture_and_die(component: ComposeComponent, surroundings: Surroundings, folder: Path) -> None:
    component.capture(WatchedSink(folder, kill_me), surroundings)


@pytest.mark.parametrize("how", [Quiesce.PAUSE, Quiesce.STOP])
def test_an_interruption_anywhere_leaves_nothing_standing_still(tmp_path: Path, docker: Docker, how: Quiesce) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=how)
    module = Path(quiescing.__file__)
    for number in itertools.count():
        with Interruption(number, module) as interruption:
            component.capture(FolderSink(tmp_path / f"c{number}"), surroundings)
        assert docker.states() == RUNNING, number
        assert not list(surroundings.state.iterdir()), number
        if not interruption.came:
            break
    assert number > 30


def test_the_note_is_there_before_anything_is_touched(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.STOP)
    noted: list[list[str]] = []

    def look(_path: str) -> None:
        said = json.loads((surroundings.state / NOTE_NAME).read_text())
        noted.append([item["service"] for item in said["containers"]])

    docker.on_change = look
    component.capture(FolderSink(tmp_path / "c"), surroundings)
    assert noted == [["web", "api", "db"]] * 6


def test_nothing_is_touched_when_it_cannot_be_noted(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.STOP)
    (surroundings.state / NOTE_NAME).mkdir()
    (surroundings.state / NOTE_NAME / "in-the-way").touch()
    with pytest.raises(NoteUnusable):
        component.capture(FolderSink(tmp_path / "c"), surroundings)
    assert not docker.changes()


def test_a_container_that_is_gone_by_now_keeps_nothing(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.PAUSE)

    def remove() -> None:
        del docker.containers[next(iter(docker.containers))]

    component.capture(WatchedSink(tmp_path / "c", remove), surroundings)
    assert docker.states() == {name: state for name, state in RUNNING.items() if name != "web"}
    assert not list(surroundings.state.iterdir())


def test_a_stranger_that_writes_is_told(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.PAUSE)
    docker.add("stranger", project="elsewhere", mounts=[volume("shop_data")])
    report = component.capture(FolderSink(tmp_path / "c"), surroundings)
    assert [warning for warning in report.warnings if "elsewhere-stranger-1" in warning]
    assert docker.states()["stranger"] == "running"


def test_a_container_that_was_run_once_is_no_service(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, quiesce=Quiesce.PAUSE)
    docker.add("db", labels={"com.docker.compose.oneoff": "True"}, mounts=[volume("shop_data")])
    report = component.capture(FolderSink(tmp_path / "c"), surroundings)
    assert report.counts["containers"] == 4


def lacking(report_warnings: Sequence[str]) -> list[str]:
    return [text for text in report_warnings if "go on writing" in text]


def test_reading_beside_writers_is_told(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    assert lacking(component.capture(FolderSink(tmp_path / "c"), surroundings).warnings)


def test_the_engine_refusing_the_list_fails_the_capture(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    docker.fault("GET", "/containers/json", "error")
    with pytest.raises(EngineRefused):
        component.capture(FolderSink(tmp_path / "c"), surroundings)
