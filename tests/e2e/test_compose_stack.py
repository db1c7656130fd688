"""A stack with a compose project, through the whole program; the engine is a stand-in."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.servers.docker import Docker, running_docker

COMPOSE = """\
name: shop
services:
  web: {image: 'web:1', depends_on: [db]}
  db: {image: 'db:1', volumes: ['data:/data', './bound:/bound']}
volumes: {data: , empty: }
"""
RUNNING = {"web": "running", "db": "running"}


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    folder = tmp_path / "engine"
    folder.mkdir()
    with running_docker(folder) as engine:
        yield engine


@pytest.fixture
def shop(tmp_path: Path, docker: Docker) -> Path:
    root = tmp_path / "shop"
    (root / "bound" / "skipped*").mkdir(parents=True)
    (root / "bound" / "file").write_text("bound")
    (root / "bound" / "skipped*" / "file").write_text("not this")
    (root / "bound" / "skipped-not").write_text("this")
    (root / "compose.yaml").write_text(COMPOSE)
    (root / "pivori.toml").write_text(
        f"[stack]\nname = 'shop'\n[[components]]\nkind = 'compose'\nname = 'services'\nsocket = '{docker.socket}'\n"
        "quiesce = 'pause'\nexclude-bind-mounts = ['bound/skipped*']\n"
    )
    data = docker.add_volume("shop_data")
    (data / "rows").write_text("before")
    docker.add_volume("shop_empty")
    docker.add("web")
    docker.add("db", mounts=[{"Type": "volume", "Name": "shop_data", "RW": True}])
    return root


def rows(docker: Docker) -> Path:
    return docker.folder / "volumes" / "shop_data" / "_data" / "rows"


def test_it_is_captured_and_comes_back_in_place_and_beside(
    pivori: Pivori, shop: Path, docker: Docker, tmp_path: Path
) -> None:
    pivori("backup", cwd=shop)
    pivori("backup", cwd=shop)
    assert docker.states() == RUNNING
    rows(docker).write_text("after")
    docker.remove_volume("shop_empty")
    pivori("recover", "--to", tmp_path / "new", cwd=shop)
    [beside] = [item.parent for item in (tmp_path / "new").rglob("volumes") if item.parent.name == "services"]
    assert (beside / "volumes" / "shop_data" / "rows").read_text() == "before"
    bound = beside / "bind-mounts" / str(shop / "bound").lstrip("/")
    assert sorted(item.name for item in bound.iterdir()) == ["file", "skipped-not"]
    assert rows(docker).read_text() == "after"
    pivori("recover", "--in-place", "--yes", cwd=shop)
    assert rows(docker).read_text() == "before"
    assert docker.states() == RUNNING
    assert "shop_empty" in docker.volumes
    pivori("verify", "--read-data", cwd=shop)


@pytest.mark.parametrize("way", ["resume", "backup"])
def test_services_go_on_after_a_kill(pivori: Pivori, shop: Path, docker: Docker, way: str) -> None:
    pivori("backup", cwd=shop)
    started: list[subprocess.Popen[bytes]] = []

    def kill(path: str) -> None:
        if path.endswith("/pause") and "db" in path:
            os.kill(started[0].pid, signal.SIGKILL)
            started[0].wait()

    docker.on_change = kill
    # With the lock held the engine does not answer before the process is known.
    with docker.lock:
        started.append(pivori.start("backup", "--config", shop / "pivori.toml"))
    started[0].communicate(timeout=60)
    assert docker.states() == {"web": "paused", "db": "paused"}
    docker.on_change = None
    pivori(way, cwd=shop)
    assert docker.states() == RUNNING
