"""Compose files, read without docker compose."""

import json
import stat
from pathlib import Path

import pytest

from pivori.components.compose.compose_files import ComposeFileMissing, ComposeFileUnreadable
from pivori.components.compose.project import Mount, Project, read_project

CANARY = "hunter2-canary"


def project(root: Path, text: str, *, env: str = "", name: str | None = None, override: str = "") -> Project:
    (root / "compose.yaml").write_text(text)
    if override:
        (root / "compose.override.yaml").write_text(override)
    if env:
        (root / ".env").write_text(env)
    return read_project(root, (), name, None)


def test_services_volumes_and_binds_are_found_in_every_form(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        "services:\n"
        "  a:\n"
        "    image: x\n"
        "    volumes:\n"
        "      - data:/data\n"
        "      - ./up/../up:/up:ro\n"
        "      - /abs:/abs\n"
        "      - /anonymous\n"
        "      - {type: volume, source: long, target: /l}\n"
        "      - {type: bind, source: ./b, target: /b}\n"
        "      - {type: tmpfs, target: /t}\n"
        "      - ${WHERE:-./default}:/w\n"
        "volumes:\n  data:\n  long: {name: its-name}\n  out: {external: true}\n",
        name="shop",
    )
    assert found.services["a"].mounts == [
        Mount(source="data", is_volume=True),
        Mount(source=str(tmp_path / "up"), is_volume=False),
        Mount(source="/abs", is_volume=False),
        Mount(source="long", is_volume=True),
        Mount(source=str(tmp_path / "b"), is_volume=False),
        Mount(source=str(tmp_path / "default"), is_volume=False),
    ]
    assert found.volumes == {"data": "shop_data", "long": "its-name", "out": "out"}
    assert not found.uncertain


@pytest.mark.parametrize(
    ("text", "env", "name", "wanted"),
    [
        ("name: given\n", "", None, "given"),
        ("", "COMPOSE_PROJECT_NAME=fromenv\n", None, "fromenv"),
        ("", "", None, "myapp"),
        ("name: given\n", "", "chosen", "chosen"),
    ],
)
def test_the_name_is_the_one_that_docker_compose_gives(
    tmp_path: Path, text: str, env: str, name: str | None, wanted: str
) -> None:
    root = tmp_path / "My App"
    root.mkdir()
    assert project(root, f"{text}services: {{a: {{image: x}}}}\n", env=env, name=name).name == wanted


def test_a_variable_without_a_value_is_told_and_never_guessed(tmp_path: Path) -> None:
    found = project(tmp_path, "services:\n  a:\n    image: x\n    volumes: ['${DATA}/x:/x']\n")
    assert not found.binds
    assert ["DATA" in phrase for phrase in found.uncertain] == [True]


def test_what_only_docker_compose_resolves_is_told(tmp_path: Path) -> None:
    found = project(tmp_path, "include: [other.yaml]\nservices:\n  a: {extends: {service: b}}\n")
    assert len(found.uncertain) == 2


def test_an_override_is_merged(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        "services:\n  a:\n    image: one\n    command: [x]\n    environment: {A: '1'}\n    depends_on: [b]\n"
        "  b: {image: y}\n",
        override="services:\n  a:\n    image: two\n    command: [y]\n    environment: [B=2]\n    volumes: [v:/v]\n"
        "volumes: {v: }\n",
    )
    shown = found.shown["services"]["a"]
    assert (found.services["a"].image, found.services["a"].needs) == ("two", ["b"])
    assert (shown["command"], shown["environment"]) == (["y"], ["A", "B"])
    assert len(found.services["a"].mounts) == 1


def test_no_value_of_a_variable_is_shown(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        f"x-common: &common\n  PASSWORD: {CANARY}1\n"
        "services:\n"
        f"  a:\n    image: x\n    environment: ['A={CANARY}2', B]\n    build: {{context: ., args: {{T: {CANARY}3}}}}\n"
        f"  b:\n    image: ${{IMAGE}}\n    command: run ${{SECRET}}\n"
        f"    environment:\n      <<: *common\n      C: {CANARY}4\n"
        f"secrets: {{s: {{content: {CANARY}5}}}}\nconfigs: {{c: {{content: {CANARY}6}}}}\n",
        env=f"SECRET={CANARY}7\nIMAGE=y:1\n",
    )
    assert CANARY not in json.dumps(found.shown)
    assert found.shown["services"]["a"]["environment"] == ["A", "B"]
    assert found.shown["services"]["b"]["environment"] == ["C", "PASSWORD"]
    assert found.services["b"].image == "y:1"


def test_services_start_after_what_they_need_and_a_circle_does_no_harm(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        "services:\n  web: {depends_on: {api: {condition: service_started}}}\n"
        "  api: {depends_on: [db], links: ['cache:c']}\n"
        "  db: {image: x}\n  cache: {image: x}\n  side: {network_mode: 'service:web'}\n"
        "  x: {depends_on: [y]}\n  y: {depends_on: [x]}\n",
    )
    order = list(found.starting_order(found.services))
    assert sorted(order) == sorted(found.services)
    for before, after in (("db", "api"), ("cache", "api"), ("api", "web"), ("web", "side")):
        assert order.index(before) < order.index(after)
    assert found.with_dependants({"db"}) == {"db", "api", "web", "side"}


@pytest.mark.parametrize("content", ["", "a", "[1]", "services: [", "a: 1\na: 2\n", "\x00"])
def test_a_file_that_is_none_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(ComposeFileUnreadable):
        project(tmp_path, content)


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ComposeFileMissing):
        read_project(tmp_path, (), None, None)


def fake_docker(folder: Path, script: str) -> str:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_docker_compose_is_asked_where_it_is_and_its_values_are_left_out(tmp_path: Path) -> None:
    resolved = {
        "name": "asked",
        "services": {"a": {"image": "z", "environment": {"P": CANARY}, "volumes": [{"type": "volume", "source": "v"}]}},
        "volumes": {"v": {"name": "asked_v"}},
    }
    (tmp_path / "said.json").write_text(json.dumps(resolved))
    program = fake_docker(tmp_path, f'echo "$@" > {tmp_path}/asked; cat {tmp_path}/said.json')
    (tmp_path / "compose.yaml").write_text("services: {a: {image: y}}\n")
    found = read_project(tmp_path, (), None, program)
    assert (found.name, found.resolved_by, found.volumes) == ("asked", "docker compose", {"v": "asked_v"})
    assert CANARY not in json.dumps(found.shown)
    assert "--no-interpolate" in (tmp_path / "asked").read_text().split()


@pytest.mark.parametrize("script", ["exit 1", "echo no json", "echo '{}'", "echo '[]'"])
def test_the_files_are_read_where_docker_compose_cannot_be_asked(tmp_path: Path, script: str) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: y}}\n")
    found = read_project(tmp_path, (), None, fake_docker(tmp_path, script))
    assert (found.resolved_by, found.services["a"].image) == ("pivori", "y")
