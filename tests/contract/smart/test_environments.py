"""A virtual environment is left out only when every file in it belongs to a package of known origin."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.engine.smart.rebuild import StepState, rebuild, rebuild_steps
from tests.contract.smart.conftest import Project

SITE = f"lib/python3.{sys.version_info.minor}/site-packages"


def wheel(path: Path) -> None:
    files = {
        "demo/__init__.py": "ANSWER = 42\n",
        "demo/bare.py": "nobody recorded the length of this file\n",
        "demo-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.5\n",
        "demo-1.5.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "demo-1.5.dist-info/entry_points.txt": "[console_scripts]\nanswer = demo:main\n",
    }
    record = "".join(
        f"{name},{digest(content)},{len(content)}\n" for name, content in files.items() if "bare" not in name
    )
    files["demo-1.5.dist-info/RECORD"] = f"{record}demo/bare.py,,\ndemo-1.5.dist-info/RECORD,,\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def digest(content: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")


def pip(project: Path, *arguments: str) -> None:
    command = [project / ".venv/bin/python", "-m", "pip", "install", "-q", "--no-index", *arguments]
    subprocess.run(command, cwd=project, check=True, capture_output=True)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an environment that the real venv and pip made."""
    project = Path(os.path.realpath(tmp_path_factory.mktemp("environment"))) / "project"
    wheel(project / "wheels/demo-1.5-py3-none-any.whl")
    (project / "requirements.txt").write_text("# all of it\n--no-index\n--find-links ./wheels\ndemo>=1\n")
    subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True, capture_output=True)
    pip(project, "-r", "requirements.txt")
    return project


@pytest.fixture
def project(made_once: Path, folder: Project) -> Project:
    """A copy of it; the scripts in it still name the first one's Python, which nothing here runs."""
    shutil.copytree(made_once, folder.path, symlinks=True, dirs_exist_ok=True)
    return folder


def test_beside_its_requirements_it_is_left_out_and_its_freeze_is_stored(project: Project) -> None:
    decision = project.decision(".venv")
    assert decision.is_omitted, decision.reason
    assert decision.reason == "requirements.txt is beside it, and all files in it belong to its 1 packages"
    [(name, content)] = project.plan().documents.items()
    assert content == b"--no-index\n--find-links ./wheels\ndemo==1.5\n"
    python = f"python3.{sys.version_info.minor}"
    assert decision.rebuild == (
        (python, "-m", "venv", ".venv"),
        (".venv/bin/python", "-m", "pip", "install", "--no-deps", "--requirement", name.decode()),
    )


def test_it_comes_back_and_can_be_imported(made_once: Path, tmp_path: Path) -> None:
    source = Project(made_once, tmp_path)
    plan = source.plan()
    target = Path(os.path.realpath(tmp_path)) / "back"
    shutil.copytree(made_once, target, ignore=shutil.ignore_patterns(".venv"))
    outcomes = list(rebuild(rebuild_steps(plan.omissions(os.fsencode(made_once))), os.fsencode(target), plan.documents))
    assert [(each.state, each.output) for each in outcomes] == [(StepState.DONE, "")]
    answer = [target / ".venv/bin/python", "-c", "import demo, sys; print(demo.ANSWER, sys.prefix)"]
    shown = subprocess.run(answer, capture_output=True, text=True, check=True).stdout
    assert shown == f"42 {target}/.venv\n"
    listings = [
        subprocess.run([path / ".venv/bin/python", "-m", "pip", "freeze"], capture_output=True, text=True).stdout
        for path in (made_once, target)
    ]
    assert listings[0] == listings[1] != ""


def test_what_was_installed_from_the_project_is_written_so(made_once: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    wheel(project / "wheels/demo-1.5-py3-none-any.whl")
    (project / "uv.lock").write_text("")
    subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True, capture_output=True)
    pip(project, "./wheels/demo-1.5-py3-none-any.whl")
    plan = Project(Path(os.path.realpath(project)), tmp_path).plan()
    assert list(plan.documents.values()) == [b"./wheels/demo-1.5-py3-none-any.whl\n"]
    (tmp_path / "elsewhere").mkdir()
    (project / "wheels").rename(tmp_path / "elsewhere/wheels")
    pip(project, "--force-reinstall", "../elsewhere/wheels/demo-1.5-py3-none-any.whl")
    assert "outside of the project" in Project(Path(os.path.realpath(project)), tmp_path).why_kept(".venv")


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "poetry.lock", "uv.lock", "Pipfile.lock", "pdm.lock"]
)
def test_every_lock_file_will_do(project: Project, name: str) -> None:
    (project.path / "requirements.txt").unlink()
    project.write(name, "")
    assert project.decision(".venv").reason.startswith(f"{name} is beside it")


def changed(name: str, content: str) -> Callable[[Project], None]:
    """A file written a while after the installation."""

    def change(project: Project) -> None:
        path = project.path / ".venv" / SITE / name
        path.write_text(content)
        done = (project.path / ".venv" / SITE / "demo-1.5.dist-info/RECORD").stat().st_mtime_ns
        os.utime(path, ns=(0, done + 5_000_000_000))

    return change


def tracked(project: Project) -> None:
    project.git("init", "-q")
    project.git("add", "-f", ".venv/pyvenv.cfg")


OBSTACLES: dict[str, tuple[Callable[[Project], object], str]] = {
    "no lock or requirements": (lambda project: (project.path / "requirements.txt").unlink(), "no lock"),
    "a file of somebody": (lambda project: project.write(".venv/notes.txt"), "notes.txt, which no package brought"),
    "a module of somebody": (lambda project: project.write(f".venv/{SITE}/mine.py"), "mine.py"),
    "a script of somebody": (lambda project: project.write(".venv/bin/deploy"), "bin/deploy"),
    "a path file of somebody": (lambda project: project.write(f".venv/{SITE}/x.pth", "/srv"), "x.pth"),
    "a longer file": (lambda project: project.write(f".venv/{SITE}/demo/__init__.py", "ANSWER = 4242\n"), "changed"),
    "other content of the same length": (changed("demo/__init__.py", "ANSWER = 43\n"), "demo/__init__.py in it was"),
    "a changed file of which no digest is known": (changed("demo/bare.py", "x"), "demo/bare.py in it was changed"),
    "an old egg": (lambda project: (project.path / ".venv" / SITE / "old.egg-info").mkdir(), "old way"),
    "a package without a name": (
        lambda project: project.write(f".venv/{SITE}/demo-1.5.dist-info/METADATA", "Version: 1\n"),
        "does not say what it is",
    ),
    "an empty configuration": (lambda project: project.write(".venv/pyvenv.cfg", ""), "pyvenv.cfg"),
    "a password in an origin": (
        lambda project: project.write(
            f".venv/{SITE}/demo-1.5.dist-info/direct_url.json", '{"url": "https://a:b@example.org/x.whl"}'
        ),
        "where it comes from",
    ),
    "a repository in it": (lambda project: (project.path / ".venv/src/x/.git").mkdir(parents=True), "repository"),
    "tracked": (tracked, "git tracks"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_every_obstacle_keeps_it(project: Project, obstacle: str) -> None:
    plant, reason = OBSTACLES[obstacle]
    plant(project)
    assert reason in project.why_kept(".venv")


def test_bytecode_written_since_does_not_matter(project: Project) -> None:
    project.write(f".venv/{SITE}/demo/__pycache__/__init__.cpython-311.pyc", "later")
    assert project.is_omitted(".venv")


def test_nothing_of_it_is_run(project: Project, tmp_path: Path) -> None:
    python = project.path / ".venv/bin/python"
    python.unlink()
    python.write_text(f"#!/bin/sh\ntouch {tmp_path}/trap\n")
    python.chmod(0o755)
    assert project.is_omitted(".venv")
    assert not (tmp_path / "trap").exists()


def test_a_file_that_was_only_touched_does_not_matter(project: Project) -> None:
    changed("demo/__init__.py", "ANSWER = 42\n")(project)
    assert project.is_omitted(".venv")
