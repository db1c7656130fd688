"""The options of a component of the kind `compose`, and what becomes of them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pivori.components.compose.component import ComposeComponent
from pivori.components.compose.quiescing import Quiesce
from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds.compose import Options
from pivori.settings.stack_file.options import Building


def built(root: Path, **table: Any) -> ComposeComponent:
    options = Options.model_validate({"kind": "compose", "name": "services", **table}, by_alias=True, by_name=False)
    component = options.build(Building(root, Environment(home=Path("/home/me"))))
    assert isinstance(component, ComposeComponent)
    return component


def test_little_is_enough(tmp_path: Path) -> None:
    component = built(tmp_path)
    assert (component.files, component.project, component.quiesce) == ((), None, Quiesce.NONE)
    assert component.volumes.wants("any")
    assert component.bind_mounts.wants_path("/srv/any")


def test_everything_can_be_said(tmp_path: Path) -> None:
    component = built(
        tmp_path,
        **{
            "file": ["a.yaml", "/b.yaml", "~/c.yaml"],
            "project": "shop",
            "socket": "unix:///run/user/1/docker.sock",
            "volumes": ["one", "two"],
            "exclude-volumes": ["three"],
            "exclude-bind-mounts": ["cache"],
            "quiesce": "stop",
            "stop-timeout": "1m",
            "health-timeout": "5m",
        },
    )
    assert component.files == (tmp_path / "a.yaml", Path("/b.yaml"), Path("/home/me/c.yaml"))
    assert [name for name in ("one", "two", "three") if component.volumes.wants(name)] == ["one", "two"]
    assert component.bind_mounts.wants_path(str(tmp_path / "data"))
    assert not component.bind_mounts.wants_path(str(tmp_path / "cache" / "deep"))
    assert (component.stop_timeout, component.health_timeout) == (60, 300)


def test_bind_mounts_can_be_left_out(tmp_path: Path) -> None:
    assert not built(tmp_path, **{"bind-mounts": False}).bind_mounts.wants_path("/srv")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"socket": "tcp://host:2375"}, "Unix socket"),
        ({"socket": "docker.sock"}, "beginning with /"),
        ({"volumes": ["a"], "exclude-volumes": ["a"]}, "both in `volumes` and in `exclude-volumes`"),
        ({"quiesce": "freeze"}, "quiesce"),
        ({"project": "Shop!"}, "project"),
        ({"volume": []}, "volume"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, table: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        built(tmp_path, **table)


def test_the_places_are_the_files_and_the_paths_that_are_bound(tmp_path: Path) -> None:
    assert built(tmp_path).places() == [tmp_path / "compose.yaml"]
    (tmp_path / "compose.yaml").write_text("services: {a: {volumes: ['./x:/x', './x/y:/y', 'v:/v', '/etc/hosts:/h']}}")
    assert built(tmp_path).places() == [tmp_path / "compose.yaml", tmp_path / "x"]
