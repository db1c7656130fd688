"""Outputs of builds, caches, logs and droppings: left out where proven, kept where the name alone says so."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.engine.exclusion import CACHE_DIRECTORY_TAG, Exclusion, Marker
from pivori.engine.smart import plan_smart
from tests.contract.smart.conftest import Project

PACKAGE = '{"scripts": {"build": "vite build"}}'


def swap(*, is_changed: bool) -> bytes:
    """A swap file as vim writes it."""
    return b"b0VIM 9.0\0".ljust(1007, b"\0") + (b"\x55" if is_changed else b"\0") + b"\0" * 3000


PROVEN: dict[str, tuple[str, Callable[[Project], object], tuple[tuple[str, ...], ...]]] = {
    "dist of a front end": (
        "dist",
        lambda project: [project.write("package.json", PACKAGE), project.write("dist/a.js")],
        (("npm", "run", "build"),),
    ),
    "build with yarn": (
        "build",
        lambda project: [
            project.write("package.json", PACKAGE),
            project.write("yarn.lock"),
            project.write("build/a.js"),
        ],
        (("yarn", "run", "build"),),
    ),
    "next": (
        ".next",
        lambda project: [
            project.write("package.json", '{"scripts": {"build": "next build"}}'),
            project.write(".next/BUILD_ID"),
        ],
        (("npm", "run", "build"),),
    ),
    "cargo": (
        "target",
        lambda project: [project.write("Cargo.toml"), project.write("target/.rustc_info.json")],
        (("cargo", "build"),),
    ),
    "maven": (
        "target",
        lambda project: [project.write("pom.xml"), project.write("target/classes/A.class")],
        (("mvn", "--batch-mode", "package", "-DskipTests"),),
    ),
    "gradle": (
        "build",
        lambda project: [project.write("build.gradle.kts"), project.write("build/libs/a.jar")],
        (("gradle", "assemble"),),
    ),
    "gradle with a wrapper": (
        "build",
        lambda project: [
            project.write("build.gradle"),
            project.write("gradlew"),
            project.write("build/libs/a.jar"),
        ],
        (("./gradlew", "assemble"),),
    ),
    "setuptools": (
        "build",
        lambda project: [project.write("setup.py"), project.write("build/lib/a.py"), project.write("build/bdist.x/a")],
        (),
    ),
    "wheel": (
        "dist",
        lambda project: [
            project.write("pyproject.toml", '[project]\nname = "a-b"\nversion = "1.2"\n'),
            project.write("dist/a_b-1.2-py3-none-any.whl"),
            project.write("dist/a_b-1.2.tar.gz"),
        ],
        (("python3", "-m", "build"),),
    ),
    "bytecode": ("src/__pycache__", lambda project: project.write("src/__pycache__/a.cpython-311.pyc"), ()),
    "mypy": (".mypy_cache", lambda project: project.write(".mypy_cache/x.json"), ()),
    "gradle's cache": (
        ".gradle",
        lambda project: [project.write("settings.gradle"), project.write(".gradle/x")],
        (),
    ),
    "marked cache": (".cache", lambda project: project.write(".cache/CACHEDIR.TAG", CACHE_DIRECTORY_TAG.header), ()),
    "log": ("logs/server.log", lambda project: project.write("logs/server.log"), ()),
    "rotated log": ("logs/server.log.1", lambda project: project.write("logs/server.log.1"), ()),
    "packed log": ("a.log-20251108.gz", lambda project: project.write("a.log-20251108.gz", b"\x1f\x8b\0\0"), ()),
    "empty log": ("a.log", lambda project: project.write("a.log", ""), ()),
    "macOS": ("x/.DS_Store", lambda project: project.write("x/.DS_Store", b"\0\0\0\1Bud1"), ()),
    "Windows": ("Thumbs.db", lambda project: project.write("Thumbs.db"), ()),
    "vim": (".a.py.swp", lambda project: project.write(".a.py.swp", swap(is_changed=False)), ()),
}


@pytest.mark.parametrize("kind", PROVEN)
def test_what_is_proven_is_left_out(folder: Project, kind: str) -> None:
    name, plant, commands = PROVEN[kind]
    plant(folder)
    decision = folder.decision(name)
    assert decision.is_omitted, decision.reason
    assert decision.rebuild == commands
    assert decision.files >= 1


@pytest.mark.parametrize("kind", PROVEN)
def test_what_git_tracks_is_kept(folder: Project, kind: str) -> None:
    name, plant, _ = PROVEN[kind]
    plant(folder)
    folder.git("init", "-q")
    folder.git("add", "-f", ".")
    assert folder.why_kept(name) == "git tracks it, or something in it"


@pytest.mark.parametrize(
    "kind",
    [kind for kind, (name, _, _) in PROVEN.items() if os.path.basename(name) in ("dist", "build", "target", ".next")],
)
def test_in_a_work_tree_a_build_has_to_be_ignored(folder: Project, kind: str) -> None:
    name, plant, _ = PROVEN[kind]
    plant(folder)
    folder.git("init", "-q")
    assert "new work" in folder.why_kept(name)
    folder.write(".gitignore", f"/{name}/\n")
    assert "git ignores it" in folder.decision(name).reason


NOT_PROVEN: dict[str, tuple[str, Callable[[Project], object], str]] = {
    "nothing beside it": ("dist", lambda project: project.write("dist/a"), "nothing beside it"),
    "no build script": (
        "build",
        lambda project: [project.write("package.json", '{"scripts": {"test": "x"}}'), project.write("build/a")],
        "nothing beside it",
    ),
    "a package.json that is none": (
        "dist",
        lambda project: [project.write("package.json", "no"), project.write("dist/a")],
        "nothing beside it",
    ),
    "the build runs it": (
        "build",
        lambda project: [
            project.write("package.json", '{"scripts": {"build": "node build/build.js"}}'),
            project.write("build/build.js"),
        ],
        "the build itself runs",
    ),
    "the build takes its settings from it": (
        "build",
        lambda project: [
            project.write("package.json", '{"scripts": {"build": "webpack --config ./build/prod.js"}}'),
            project.write("build/prod.js"),
        ],
        "the build itself runs",
    ),
    "no next in it": (
        ".next",
        lambda project: [project.write("package.json", PACKAGE), project.write(".next/a")],
        "nothing beside it",
    ),
    "a target that cargo did not make": (
        "target",
        lambda project: [project.write("Cargo.toml"), project.write("target/notes.txt")],
        "nothing beside it",
    ),
    "an older wheel": (
        "dist",
        lambda project: [
            project.write("pyproject.toml", '[project]\nname = "a-b"\nversion = "1.2"\n'),
            project.write("dist/a_b-1.1-py3-none-any.whl"),
        ],
        "a_b-1.1-py3-none-any.whl",
    ),
    "sources named build": (
        "build",
        lambda project: [project.write("setup.py"), project.write("build/rules.mk")],
        "nothing beside it",
    ),
    "a repository in it": (
        "dist",
        lambda project: [project.write("package.json", PACKAGE), (project.path / "dist/.git").mkdir(parents=True)],
        "nothing beside it",
    ),
    "a repository deeper in it": (
        "dist",
        lambda project: [project.write("package.json", PACKAGE), (project.path / "dist/x/.git").mkdir(parents=True)],
        "a git repository lies in it",
    ),
    "a source among bytecode": (
        "__pycache__",
        lambda project: project.write("__pycache__/a.py"),
        "a.py, which is no bytecode",
    ),
    "a cache of nobody": (".cache", lambda project: project.write(".cache/x"), "CACHEDIR.TAG"),
    "a gradle folder without gradle": (".gradle", lambda project: project.write(".gradle/x"), "no build.gradle"),
    "a database's journal by number": ("000003.log", lambda project: project.write("000003.log"), "databases"),
    "a database's journal by content": ("wal.log", lambda project: project.write("wal.log", b"a\0b"), "no text"),
    "unsaved changes": (".a.swp", lambda project: project.write(".a.swp", swap(is_changed=True)), "never saved"),
    "another kind of swap file": ("a.swp", lambda project: project.write("a.swp", "text"), "no swap file of vim"),
}


@pytest.mark.parametrize("kind", [kind for kind in NOT_PROVEN if kind != "a repository in it"])
def test_what_is_not_proven_is_kept(folder: Project, kind: str) -> None:
    name, plant, reason = NOT_PROVEN[kind]
    plant(folder)
    assert reason in folder.why_kept(name)


def test_what_is_kept_is_looked_into(folder: Project) -> None:
    folder.write("build/tool/__pycache__/a.pyc")
    folder.write("build/tool/a.log")
    plan = folder.plan()
    assert [(os.path.relpath(each.path, os.fsencode(folder.path)), each.is_omitted) for each in plan.decisions] == [
        (b"build", False),
        (b"build/tool/__pycache__", True),
        (b"build/tool/a.log", True),
    ]


def test_links_are_not_followed_and_are_no_candidates(folder: Project, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/x.log").write_text("x")
    (folder.path / "node_modules").symlink_to(tmp_path / "outside")
    (folder.path / "y.log").symlink_to(tmp_path / "outside/x.log")
    assert folder.plan().decisions == []


def test_what_the_user_leaves_out_is_no_candidate(folder: Project) -> None:
    folder.write("a/x.log")
    folder.write("b/x.log")
    folder.write("b/.nobackup", "")
    root = os.fsencode(folder.path)
    exclusion = Exclusion(["/a/"], markers=[Marker.parse(".nobackup")], roots=[root])
    plan = plan_smart([root], exclusion=exclusion)
    assert plan.decisions == []
    both = plan.exclusion(exclusion)
    assert both.leaves_out(root + b"/a", b"a", True)
    assert both.marker_in(root + b"/b", {b".nobackup", b"x.log"}) == b".nobackup"


def test_sources_inside_each_other_are_decided_about_once(folder: Project) -> None:
    folder.write("a/x.log")
    root = os.fsencode(folder.path)
    assert len(plan_smart([root + b"/a", root, root + b"/a/x.log"]).decisions) == 1


def test_names_that_are_no_text(folder: Project) -> None:
    path = os.fsencode(folder.path) + b"/caf\xe9"
    os.mkdir(path)
    with open(path + b"/x.log", "w") as file:
        file.write("x")
    [omission] = folder.plan().omissions(os.fsencode(folder.path))
    assert omission.path == "caf\\xe9/x.log"
    assert omission.path_raw == b"caf\xe9/x.log"


def test_a_part_of_a_work_tree_knows_what_is_tracked(folder: Project) -> None:
    folder.write("part/x.log")
    folder.git("init", "-q")
    folder.git("add", "-f", ".")
    [decision] = plan_smart([os.fsencode(folder.path / "part")]).decisions
    assert not decision.is_omitted
