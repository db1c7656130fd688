"""The way back of a project: images, containers, folders, and the order in which services start."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.components.base import NotCaptured, RestoreRequest, Surroundings, has_failure
from pivori.components.compose.component import CONFIGURATION, ComposeComponent, NothingToCapture
from pivori.components.compose.engine_api import EngineRefused
from pivori.components.compose.placing import PlaceUnwritable
from pivori.components.compose.running import VolumeUnreadable
from pivori.components.compose.selection import Selection
from pivori.components.compose.starting import ServiceNotWell
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import in_place, move_aside
from tests.servers.docker import Docker, running_docker
from tests.unit.components.compose.shop import set_up


class Ticking:
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    folder = tmp_path / "engine"
    folder.mkdir()
    with running_docker(folder) as engine:
        yield engine


def ticking(surroundings: Surroundings) -> Surroundings:
    return Surroundings(
        clock=Ticking(),
        emit=surroundings.emit,
        root=surroundings.root,
        state=surroundings.state,
    )


def captured(tmp_path: Path, component: ComposeComponent, surroundings: Surroundings) -> FolderCapture:
    sink = FolderSink(tmp_path / "capture" / component.name)
    return sink.finish(component.capture(sink, surroundings))


def started(docker: Docker) -> list[str]:
    return [line.split("/")[2][2:].strip("0") for line in docker.changes() if line.endswith("/start")]


def test_services_start_in_order_each_when_the_one_before_is_well(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    for box in docker.containers.values():
        box.state, box.health, box.becomes_healthy_after = "exited", "starting", 3
    restored = component.restore(capture, in_place(component.folder), ticking(surroundings))
    assert started(docker) == ["db", "api", "other", "web"] or started(docker) == ["db", "api", "web", "other"]
    assert set(docker.states().values()) == {"running"}
    assert not restored.remaining
    assert any("are well" in sentence for sentence in restored.checked)


@pytest.mark.parametrize("health", ["starting", "unhealthy"])
def test_a_service_that_does_not_become_well_in_time_is_an_error(tmp_path: Path, docker: Docker, health: str) -> None:
    component, surroundings = set_up(tmp_path, docker, health_timeout=10)
    capture = captured(tmp_path, component, surroundings)
    db = next(box for box in docker.containers.values() if box.service == "db")
    db.state, db.health, db.becomes_healthy_after = "exited", health, 10_000
    with pytest.raises(ServiceNotWell) as caught:
        component.restore(capture, in_place(component.folder), ticking(surroundings))
    assert caught.value.details["service"] == "db"
    assert (docker.folder / "volumes" / "shop_data" / "_data" / "rows").read_text() == "1"


def test_services_stand_still_only_while_the_folders_change_places(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    docker.journal.clear()
    moves: list[dict[str, str]] = []

    def aside(path: Path) -> Path:
        moves.append(docker.states())
        return move_aside(path)

    component.restore(capture, RestoreRequest(to=None, root=component.folder, aside=aside), surroundings)
    assert moves == [dict.fromkeys(("web", "api", "db", "other"), "exited")] * 2
    assert set(docker.states().values()) == {"running"}


def test_a_restore_that_cannot_be_read_to_the_end_touches_nothing(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    (docker.folder / "volumes" / "shop_data" / "_data" / "rows").write_text("newer")
    whole = FolderCapture.write_tree

    def cut(self: FolderCapture, folder: str, target: Path, **more: object) -> int:
        written = whole(self, folder, target, **more)
        if "shop_files" in folder:
            raise NotCaptured(path="file", component="services")
        return written

    monkeypatch.setattr(FolderCapture, "write_tree", cut)
    docker.journal.clear()
    with pytest.raises(NotCaptured):
        component.restore(capture, in_place(component.folder), surroundings)
    assert not [line for line in docker.changes() if "containers" in line]
    assert (docker.folder / "volumes" / "shop_data" / "_data" / "rows").read_text() == "newer"
    assert not [item for item in docker.folder.rglob(".pivori-partial-*")]


def test_a_disk_that_takes_nothing_is_an_error_and_touches_nothing(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)

    def full(*_arguments: object, **_more: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there")

    monkeypatch.setattr(FolderCapture, "write_tree", full)
    with pytest.raises(PlaceUnwritable, match="/there could not be written"):
        component.restore(capture, in_place(component.folder), surroundings)
    assert not [line for line in docker.changes() if "containers" in line]


def test_services_that_were_stopped_in_vain_run_again(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    db = next(box.id for box in docker.containers.values() if box.service == "db")
    docker.fault("POST", f"/containers/{db}/stop", "error")
    with pytest.raises(EngineRefused):
        component.restore(capture, in_place(component.folder), surroundings)
    assert set(docker.states().values()) == {"running"}


def test_a_volume_that_is_gone_is_made_with_the_labels_of_its_project(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    docker.remove_volume("shop_data")
    component.restore(capture, in_place(component.folder), surroundings)
    assert docker.volumes["shop_data"]["Labels"] == {
        "com.docker.compose.project": "shop",
        "com.docker.compose.volume": "data",
    }
    assert (docker.folder / "volumes" / "shop_data" / "_data" / "rows").read_text() == "1"


def test_images_that_are_gone_are_fetched_by_digest_and_named_again(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    before = {name: list(image["RepoTags"]) for name, image in docker.images.items()}
    capture = captured(tmp_path, component, surroundings)
    docker.images.clear()
    restored = component.restore(capture, in_place(component.folder), surroundings)
    assert {name: list(image["RepoTags"]) for name, image in docker.images.items()} == before
    assert not restored.remaining


def test_images_that_cannot_be_fetched_are_left_to_do(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    docker.images.clear()
    docker.registry.clear()
    restored = component.restore(capture, in_place(component.folder), surroundings)
    assert len(restored.remaining) == 4
    assert all("no such host" in sentence for sentence in restored.remaining)


def test_a_name_that_stands_for_another_image_now_is_told(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    old = docker.find_image("db:1")
    assert old is not None
    old["RepoTags"] = []
    docker.images["sha256:new"] = {"Id": "sha256:new", "RepoTags": ["db:1"], "RepoDigests": ["db@sha256:new"]}
    restored = component.restore(capture, in_place(component.folder), surroundings)
    assert ["another version" in sentence for sentence in restored.remaining] == [True]


def test_containers_that_are_gone_are_left_to_docker_compose(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    docker.containers.clear()
    restored = component.restore(capture, in_place(component.folder), surroundings)
    assert "docker compose up -d" in restored.remaining[0]
    assert len(restored.remaining) == 5


def test_docker_compose_makes_the_containers_where_it_is(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    program = Path(component.program)
    program.write_text(f'#!/bin/sh\ncase "$*" in *config*) exit 1;; esac\necho "$DOCKER_HOST $*" > {tmp_path}/asked\n')
    program.chmod(stat.S_IRWXU)
    capture = captured(tmp_path, component, surroundings)
    boxes = dict(docker.containers)
    docker.containers.clear()

    def back(_path: str) -> None:
        # The program is a script and cannot make them itself: they are there when the volumes are asked for.
        if (tmp_path / "asked").exists():
            docker.containers.update(boxes)

    for box in boxes.values():
        box.state = "created"
    docker.on_look = back
    restored = component.restore(capture, in_place(component.folder), surroundings)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith(
        f"unix://{docker.socket} compose --project-name shop --file {component.folder}/compose.yaml"
    )
    assert "--no-start" in asked.split()
    assert set(docker.states().values()) == {"running"}
    assert not restored.remaining


def test_owners_and_permissions_of_a_volume_come_back(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    data = docker.folder / "volumes" / "shop_data" / "_data"
    data.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(data, 999, 999)
    before = data.stat()
    capture = captured(tmp_path, component, surroundings)
    docker.remove_volume("shop_data")
    component.restore(capture, in_place(component.folder), surroundings)
    assert (data.stat().st_mode, data.stat().st_uid) == (before.st_mode, before.st_uid)


def test_an_engine_that_is_not_there_keeps_a_restore_in_place_from_being_planned(
    tmp_path: Path, docker: Docker
) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    docker.fault("GET", "/", "error")
    assert has_failure(component.plan(capture, in_place(component.folder), surroundings).findings)
    with pytest.raises(EngineRefused):
        component.restore(capture, in_place(component.folder), surroundings)
    beside = RestoreRequest(to=tmp_path / "new" / "services", root=tmp_path / "new", aside=move_aside)
    assert not has_failure(component.plan(capture, beside, surroundings).findings)
    component.restore(capture, beside, surroundings)
    assert (tmp_path / "new" / "services" / "volumes" / "shop_data" / "rows").read_text() == "1"
    assert (tmp_path / "new" / "services" / "compose" / "compose.yaml").is_file()


@pytest.mark.parametrize("facts", [{"driver": "nfs-plugin"}, {"Options": {"type": "nfs", "device": ":/export"}}])
def test_a_volume_whose_content_is_elsewhere_fails_unless_it_is_left_out(
    tmp_path: Path, docker: Docker, facts: dict[str, object]
) -> None:
    component, surroundings = set_up(tmp_path, docker)
    docker.add_volume("shop_data", **facts)
    assert has_failure(component.inspect(surroundings).findings)
    with pytest.raises(VolumeUnreadable):
        captured(tmp_path, component, surroundings)
    without = ComposeComponent(
        name="without",
        folder=component.folder,
        socket=component.socket,
        program=component.program,
        volumes=Selection(without=["data"]),
    )
    assert captured(tmp_path, without, surroundings).report.counts["volumes"] == 1


def test_a_volume_that_is_a_bound_folder_is_read_there(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "there").write_text("x")
    docker.add_volume("shop_data", Options={"type": "none", "o": "bind", "device": str(tmp_path / "device")})
    capture = captured(tmp_path, component, surroundings)
    assert str(tmp_path / "device") in capture.report.facts["volumes"][0]["folder"]
    assert any(file.path.endswith("device/there") for file in capture.files())


def test_a_volume_that_the_project_does_not_have_is_an_error(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker, volumes=Selection(only=["dta"]))
    with pytest.raises(NothingToCapture):
        captured(tmp_path, component, surroundings)


def test_the_environment_of_containers_is_nowhere_in_a_capture(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    (component.folder / ".env").write_text("SECRET=dotenv-canary\n")
    capture = captured(tmp_path, component, surroundings)
    stored = b"".join(item.read_bytes() for item in capture.folder.rglob("*") if item.is_file())
    assert b"canary" not in stored
    assert "canary" not in repr(capture.report)


def test_a_capture_without_its_configuration_is_found(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    capture = captured(tmp_path, component, surroundings)
    assert not component.verify(capture, surroundings)
    (capture.folder / CONFIGURATION).write_text("{}")
    assert has_failure(component.verify(capture, surroundings))


def test_folders_that_the_machine_needs_are_never_taken(tmp_path: Path, docker: Docker) -> None:
    component, surroundings = set_up(tmp_path, docker)
    (component.folder / "compose.yaml").write_text(
        "name: shop\nservices:\n  node-exporter:\n    image: x\n"
        "    volumes: ['/:/rootfs:ro', '/proc:/p', '/var/run/docker.sock:/s']\n"
    )
    capture = captured(tmp_path, component, surroundings)
    assert capture.report.facts["binds"] == []
    assert sum("belongs to the machine" in text for text in capture.report.warnings) == 3
