"""The client of the engine's API, against the stand-in and against silence."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.components.compose.engine_api import (
    Engine,
    EngineElsewhere,
    EngineRefused,
    EngineSilent,
    EngineUnreachable,
    socket_path,
)
from tests.servers.docker import Docker, running_docker


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    with running_docker(tmp_path) as engine:
        yield engine


@pytest.fixture
def engine(docker: Docker) -> Engine:
    return Engine(str(docker.socket), timeout=0.5)


def test_paths_carry_a_version_that_the_engine_speaks(docker: Docker, engine: Engine) -> None:
    docker.add("web")
    assert engine.version()["Version"] == "99.0-standin"
    assert engine.get("containers", "json", all=1)[0]["State"] == "running"
    assert docker.paths == ["/version", "/v1.44/containers/json?all=1"]


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [
        ("1.41", "1.12", "1.41"),
        ("1.52", "1.44", "1.44"),
        ("1.60", "1.50", "1.50"),
        ("", "", "1.44"),
        ("x", None, "1.44"),
    ],
)
def test_the_version_is_within_what_the_engine_offers(
    docker: Docker, engine: Engine, newest: str, oldest: str | None, spoken: str
) -> None:
    docker.about = {"ApiVersion": newest, "MinAPIVersion": oldest}
    engine.get("containers", "json")
    assert docker.paths[-1].startswith(f"/v{spoken}/")


def test_what_is_not_there_is_none_and_what_is_so_already_is_fine(docker: Docker, engine: Engine) -> None:
    box = docker.add("web", state="exited")
    assert engine.get("containers", "nothing", "json") is None
    assert engine.post("containers", box.id, "stop") is None


def test_names_cannot_leave_their_place_in_the_path(docker: Docker, engine: Engine) -> None:
    assert engine.get("volumes", "../containers/json?all=1#x y") is None
    assert docker.paths[-1] == "/v1.44/volumes/..%2Fcontainers%2Fjson%3Fall%3D1%23x%20y"


def test_a_refusal_says_what_the_engine_said(docker: Docker, engine: Engine) -> None:
    box = docker.add("web", state="exited")
    with pytest.raises(EngineRefused, match="is not running") as caught:
        engine.post("containers", box.id, "pause")
    assert caught.value.details["status"] == 409


@pytest.mark.parametrize("kind", ["die", "hang", "garbage"])
def test_an_answer_that_does_not_come_whole_is_an_error(docker: Docker, engine: Engine, kind: str) -> None:
    docker.fault("GET", "/containers", kind)
    with pytest.raises(EngineSilent):
        engine.get("containers", "json")


def test_nobody_at_the_socket_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable):
        Engine(str(tmp_path / "none.sock")).version()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(EngineUnreachable):
        Engine(str(tmp_path / "dead.sock")).version()
    with pytest.raises(EngineUnreachable):
        Engine(str(tmp_path / ("long" * 50))).version()


def test_only_sockets_of_this_machine_are_spoken_to() -> None:
    assert socket_path("unix:///run/user/1000/docker.sock") == "/run/user/1000/docker.sock"
    with pytest.raises(EngineElsewhere) as caught:
        socket_path("tcp://user:secret@host:2376")
    assert "secret" not in str(caught.value)


def test_an_image_is_fetched_by_its_digest(docker: Docker, engine: Engine) -> None:
    image = docker.add_image("registry.example:5000/team/db:15")
    digest = image["RepoDigests"][0]
    docker.images.clear()
    assert engine.get("images", digest, "json") is None
    engine.pull(digest)
    assert engine.get("images", digest, "json")["Id"] == image["Id"]


def test_a_registry_that_does_not_answer_is_an_error_though_the_status_is_good(engine: Engine) -> None:
    with pytest.raises(EngineRefused, match="no such host"):
        engine.pull("nowhere@sha256:" + "0" * 64)


def test_no_connection_is_left_open(docker: Docker, engine: Engine) -> None:
    engine.version()
    before = len(os.listdir("/proc/self/fd"))
    docker.fault("GET", "/volumes", "die")
    for _ in range(5):
        engine.version()
        with pytest.raises(EngineSilent):
            engine.get("volumes", "x")
    assert len(os.listdir("/proc/self/fd")) <= before + 2
