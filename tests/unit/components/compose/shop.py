"""A project of three services on the stand-in, whose captures can be watched and kept from working."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from pivori.components.base import Surroundings, TreeFacts
from pivori.components.compose.component import ComposeComponent
from pivori.testing.capture_folder import FolderSink
from pivori.testing.component_contract import surroundings_in
from tests.servers.docker import Docker

COMPOSE = """\
name: shop
services:
  web: {image: 'web:1', depends_on: [api]}
  api: {image: 'api:1', depends_on: [db], volumes: ['files:/files']}
  db: {image: 'db:1', volumes: ['data:/data']}
  other: {image: 'other:1'}
volumes: {data: , files: }
"""


class WatchedSink(FolderSink):
    """Does something while the trees are read."""

    def __init__(self, folder: Path, during: Callable[[], object]) -> None:
        super().__init__(folder)
        self.during = during

    def tree(self, roots: Sequence[Path], **options: object) -> TreeFacts:
        self.during()
        return super().tree(roots, **options)


def volume(name: str, *, writable: bool = True) -> dict[str, object]:
    return {"Type": "volume", "Name": name, "RW": writable}


def set_up(tmp_path: Path, docker: Docker, **options: object) -> tuple[ComposeComponent, Surroundings]:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "compose.yaml").write_text(COMPOSE)
    (docker.add_volume("shop_data") / "rows").write_text("1")
    (docker.add_volume("shop_files") / "file").write_text("2")
    docker.add("web")
    docker.add("api", mounts=[volume("shop_files")])
    docker.add("db", mounts=[volume("shop_data")])
    docker.add("other", mounts=[volume("shop_data", writable=False)])
    component = ComposeComponent(
        name="services", folder=root, socket=str(docker.socket), program=str(tmp_path / "no-docker"), **options
    )
    return component, surroundings_in(tmp_path / "own", root)


def kill_me() -> None:
    signal.raise_signal(signal.SIGKILL)
