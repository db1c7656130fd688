"""A `node_modules` is left out only when a lock file beside it names what is in it."""

import json
import os
from collections.abc import Callable

import pytest

from tests.contract.smart.conftest import Project

LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "shop"},
        "node_modules/left": {"version": "1.0.0"},
        "node_modules/@scope/right": {"version": "2.0.0"},
        "node_modules/linked": {"resolved": "packages/linked", "link": True},
    },
}
OLD_LOCK = {"lockfileVersion": 1, "dependencies": {"left": {"version": "1.0.0"}, "@scope/right": {"version": "2.0.0"}}}
YARN = 'left@^1.0.0:\n  version "1.0.0"\n\n"@scope/right@~2.0.0":\n  version "2.0.0"\n'
PNPM = "packages:\n  left@1.0.0:\n    resolution: {}\n  '@scope/right@2.0.0':\n    resolution: {}\n"


@pytest.fixture
def shop(folder: Project) -> Project:
    """A project with two installed packages and the lock file of npm."""
    folder.write("package.json", "{}")
    folder.write("package-lock.json", json.dumps(LOCK))
    folder.write("node_modules/left/package.json", '{"version": "1.0.0"}')
    folder.write("node_modules/left/index.js")
    folder.write("node_modules/@scope/right/package.json", '{"version": "2.0.0"}')
    folder.write("node_modules/.bin/left")
    folder.write("node_modules/.cache/x/y")
    folder.write("node_modules/.package-lock.json", "{}")
    return folder


def test_beside_its_lock_file_it_is_left_out(shop: Project) -> None:
    decision = shop.decision("node_modules")
    assert decision.is_omitted
    assert decision.reason == "package-lock.json names all of the 2 packages in it"
    assert decision.rebuild == (("npm", "ci"),)
    assert (decision.files, decision.size) == (6, 20 + 2 + 20 + 2 + 2 + 2)


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("package-lock.json", json.dumps(OLD_LOCK), ("npm", "ci")),
        ("npm-shrinkwrap.json", json.dumps(LOCK), ("npm", "ci")),
        ("yarn.lock", YARN, ("yarn", "install", "--frozen-lockfile")),
        ("pnpm-lock.yaml", PNPM, ("pnpm", "install", "--frozen-lockfile")),
        (
            "bun.lock",
            '"left": ["left@1.0.0"], "@scope/right": ["@scope/right@2.0.0"]',
            ("bun", "install", "--frozen-lockfile"),
        ),
        ("bun.lockb", "\0binary", ("bun", "install", "--frozen-lockfile")),
    ],
)
def test_every_lock_file_has_its_command(shop: Project, name: str, content: str, command: tuple[str, ...]) -> None:
    (shop.path / "package-lock.json").unlink()
    shop.write(name, content)
    assert shop.decision("node_modules").rebuild == (command,)


def test_linked_workspaces_come_back_with_it(shop: Project) -> None:
    shop.write("packages/linked/package.json", '{"version": "9.0.0"}')
    (shop.path / "node_modules/linked").symlink_to("../packages/linked")
    assert shop.is_omitted("node_modules")


def modified_later(project: Project) -> None:
    later = project.path / "node_modules/left/index.js"
    os.utime(later, ns=(0, (project.path / "node_modules/.package-lock.json").stat().st_mtime_ns + 5_000_000_000))


def tracked(project: Project) -> None:
    project.git("init", "-q")
    project.git("add", "-f", "node_modules/left/index.js")


OBSTACLES: dict[str, tuple[Callable[[Project], object], str]] = {
    "no lock file": (lambda project: (project.path / "package-lock.json").unlink(), "no lock file"),
    "no package.json": (lambda project: (project.path / "package.json").unlink(), "no package.json"),
    "a lock file that is none": (
        lambda project: project.write("package-lock.json", "no"),
        "does not name @scope/right",
    ),
    "a package the lock does not name": (lambda project: project.write("node_modules/mine/x.js"), "name mine"),
    "a package linked by hand": (
        lambda project: (project.path / "node_modules/hand").symlink_to("/srv/hand"),
        "does not name hand",
    ),
    "another version": (
        lambda project: project.write("node_modules/left/package.json", '{"version": "1.0.1"}'),
        "left in it is version 1.0.1, and package-lock.json says 1.0.0",
    ),
    "changed after the installation": (modified_later, "left/index.js in it was changed"),
    "a hidden folder of somebody": (lambda project: project.write("node_modules/.mine/x"), ".mine"),
    "a repository in it": (lambda project: (project.path / "node_modules/left/.git").mkdir(), "repository lies in it"),
    "tracked": (tracked, "git tracks"),
    "lock file left out by the user": (lambda _project: None, "no lock file"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_every_obstacle_keeps_it(shop: Project, obstacle: str) -> None:
    assert shop.is_omitted("node_modules")
    plant, reason = OBSTACLES[obstacle]
    plant(shop)
    if obstacle == "lock file left out by the user":
        from pivori.engine.exclusion import Exclusion
        from pivori.engine.smart import plan_smart

        root = os.fsencode(shop.path)
        [decision] = plan_smart([root], exclusion=Exclusion(["package-lock.json"], roots=[root])).decisions
        assert not decision.is_omitted
        assert reason in decision.reason
        return
    assert reason in shop.why_kept("node_modules")


def test_a_name_is_not_taken_for_the_end_of_another(shop: Project) -> None:
    (shop.path / "package-lock.json").unlink()
    shop.write("yarn.lock", YARN.replace("left@", "really-left@"))
    assert "does not name left" in shop.why_kept("node_modules")


def test_what_is_asked_for_by_name_is_never_left_out(shop: Project) -> None:
    from pivori.engine.smart import plan_smart

    assert plan_smart([os.fsencode(shop.path / "node_modules/left")]).decisions == []
