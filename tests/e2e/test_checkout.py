"""What a stranger does first: a fresh copy of the source, an empty HOME, ./pivori."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pivori

ROOT = Path(__file__).resolve().parent.parent.parent
VERSION = f"pivori {pivori.__version__}\n"
PARTS = ("pivori", "constraints.txt", "pyproject.toml", "scripts", "src")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What ./pivori needs of a clone, without what was ever made in it."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, folder / part)
    (tmp_path / "home").mkdir()
    return folder


def lone_environment(home: Path, **extra: str) -> dict[str, str]:
    """A minimal environment: a path, an empty HOME, and how this machine reaches its package index."""
    network = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") or "PIP_" in name}
    python = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable))).parent
    return network | {"HOME": str(home), "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"} | extra


def start(program: Path, **extra: str) -> "subprocess.Popen[str]":
    """Start ``program --version`` as a stranger would."""
    home = next(parent for parent in program.parents if (parent / "home").is_dir()) / "home"
    return subprocess.Popen(
        [program, "--version"],
        env=lone_environment(home, **extra),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_two_at_once_in_a_fresh_checkout(checkout: Path) -> None:
    both = [start(checkout / "pivori", LANG="fr_FR.UTF-8") for _ in range(2)]
    outputs = [each.communicate() for each in both]
    assert [(each.returncode, out) for each, (out, _) in zip(both, outputs, strict=True)] == [(0, VERSION)] * 2
    assert sum("Préparation de" in noise for _, noise in outputs) == 1

    # Quiet from now on, from anywhere, through links, after a move.
    moved = checkout.rename(checkout.with_name("moved"))
    (moved.parent / "first").symlink_to(moved / "pivori")
    (moved.parent / "second").symlink_to("first")
    through_links = start(moved.parent / "second")
    assert through_links.communicate() == (VERSION, "")

    # A new list of versions is noticed.
    with (moved / "constraints.txt").open("a") as constraints:
        constraints.write("# changed\n")
    updated = start(moved / "pivori")
    output, noise = updated.communicate()
    assert (updated.returncode, output, noise.count("up to date")) == (0, VERSION, 1)


def test_killed_installation_is_mended(checkout: Path) -> None:
    killed = start(checkout / "pivori")
    while not (checkout / ".venv" / "unfinished").exists():
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()

    mended = start(checkout / "pivori")
    output, noise = mended.communicate()
    assert (mended.returncode, output) == (0, VERSION), noise


def test_no_index_no_traceback(checkout: Path) -> None:
    lost = start(checkout / "pivori", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_FIND_LINKS="", PIP_RETRIES="1")
    _, noise = lost.communicate()
    assert lost.returncode == 1
    assert "the package index does not answer" in noise
    assert "Traceback" not in noise


def test_no_python_is_one_sentence(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cmp"):
        (tools / name).symlink_to(shutil.which(name) or "")
    result = subprocess.run(
        [checkout / "pivori", "--version"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "no Python 3.11 or newer" in result.stderr


def run(program: Path, *arguments: object, home: Path) -> str:
    """What a program prints that ends well in an empty HOME."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, env=lone_environment(home), cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_backup_and_restore(program: Path, place: Path) -> None:
    """With no configuration a directory goes in and comes back, bit for bit, also as an archive of every kind."""
    source, home = place / "project", place / "home"
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "file").write_bytes(os.urandom(1 << 20))
    (source / "link").symlink_to("folder/file")
    run(program, "backup", source, home=home)
    for place_made in (home / ".local/share/pivori/repository/config", home / ".config/pivori/repository.key"):
        assert place_made.exists()
    run(program, "restore", "latest", "--target", place / "back", home=home)
    subprocess.run(["diff", "-r", "--no-dereference", source, place / "back" / source.relative_to("/")], check=True)
    for kind in ("zip", "7z", "tar.zst"):
        run(program, "archive", "create", source, "--format", kind, "-o", place / f"made.{kind}", home=home)


def test_a_fresh_checkout_backs_up_and_restores(checkout: Path) -> None:
    check_backup_and_restore(checkout / "pivori", checkout.parent)


def test_an_installation_by_pip_is_the_same_program(checkout: Path) -> None:
    place = checkout.parent
    for part in ("README.md", "LICENSE"):
        shutil.copy2(ROOT / part, checkout / part)
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    run(place / "venv/bin/pip", "install", "-q", "-c", checkout / "constraints.txt", checkout, home=place / "home")
    check_backup_and_restore(place / "venv/bin/pivori", place)
