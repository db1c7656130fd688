"""A compose project on a stand-in for the engine: there is none on the machines that run the tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pivori.components.compose.component import ComposeComponent
from pivori.components.compose.quiescing import Quiesce
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import ComponentContract
from tests.servers.docker import Docker, running_docker

COMPOSE = """\
name: shop
services:
  web:
    image: web:1
    depends_on: [api]
  api:
    image: api:1
    environment:
      DATABASE_PASSWORD: ${DATABASE_PASSWORD}
    depends_on:
      db: {condition: service_healthy}
    volumes:
      - ./uploads:/uploads
      - ./settings.ini:/etc/settings.ini:ro
  db:
    image: db:1
    volumes: ["data:/var/lib/db"]
volumes:
  data:
"""


class Shop:
    """Three services, a volume, a bound folder and a bound file."""

    def __init__(self, root: Path, docker: Docker, quiesce: Quiesce) -> None:
        self.root = root
        self.docker = docker
        (root / "compose.yaml").write_text(COMPOSE)
        (root / ".env").write_text("DATABASE_PASSWORD=canary\n")
        (root / "uploads" / "deep").mkdir(parents=True)
        (root / "uploads" / "deep" / "photo.jpg").write_bytes(b"photo" * 100)
        (root / "settings.ini").write_text("[shop]\n")
        self.data = docker.add_volume("shop_data")
        self.data.chmod(0o750)
        (self.data / "table").write_bytes(b"rows" * 1000)
        (self.data / "empty").mkdir()
        uploads = {"Type": "bind", "Source": str(root / "uploads"), "RW": True}
        docker.add("web")
        docker.add("api", mounts=[uploads])
        docker.add("db", health="healthy", mounts=[{"Type": "volume", "Name": "shop_data", "RW": True}])
        self.component = ComposeComponent(
            name="services",
            folder=root,
            socket=str(docker.socket),
            quiesce=quiesce,
            program=str(root.parent / "no-docker-here"),
        )

    def state(self) -> Any:
        tops = [self.data, self.root / "uploads"]
        files = {
            str(item.relative_to(top)): item.read_bytes() if item.is_file() else None
            for top in tops
            for item in top.rglob("*")
        }
        return files, (self.root / "settings.ini").read_text(), oct(self.data.stat().st_mode), self.docker.states()

    def change(self) -> None:
        (self.data / "table").write_bytes(b"other" * 500)
        (self.data / "more").write_bytes(b"more")
        (self.root / "uploads" / "deep" / "photo.jpg").unlink()
        (self.root / "settings.ini").write_text("[changed]\n")

    def destroy(self) -> None:
        for box in self.docker.containers.values():
            box.state = "exited"
        self.docker.remove_volume("shop_data")
        shutil.rmtree(self.root / "uploads")
        for name in ("settings.ini", "compose.yaml"):
            (self.root / name).unlink()

    def breaks(self) -> None:
        self.docker.fault("GET", "/", "error")

    def spoil(self, capture: FolderCapture) -> None:
        next(item for item in capture.folder.rglob("table")).unlink()


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    folder = tmp_path / "engine"
    folder.mkdir()
    with running_docker(folder) as engine:
        yield engine


class TestCompose(ComponentContract):
    @pytest.fixture(params=list(Quiesce))
    def specimen(self, tmp_path: Path, docker: Docker, request: pytest.FixtureRequest) -> Shop:
        root = tmp_path / "shop"
        root.mkdir()
        return Shop(root, docker, request.param)
