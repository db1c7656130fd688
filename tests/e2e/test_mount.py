"""A real mount: what is in the folder is what was backed up, and it ends when asked to."""

import json
import os
import select
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

import pytest

from tests.conftest import Pivori, missing
from tests.restic import Restic

PATIENCE = 30.0
ODD_NAME = os.fsdecode(b"not utf-8 \xff")
TIME_NS = 1_600_000_000_123_456_789

pytestmark = pytest.mark.fuse


@pytest.fixture(scope="module")
def fuse() -> None:
    """The kernel's side of it, and the program that unmounts."""
    if not Path("/dev/fuse").exists():
        missing("/dev/fuse")
    if shutil.which("fusermount3") is None:
        missing("fusermount3")
    if find_library("fuse3") is None and find_library("fuse") is None:
        missing("libfuse")


@pytest.fixture(scope="module")
def backed_up(newest_restic: Restic, tmp_path_factory: pytest.TempPathFactory, fuse: None) -> Path:
    """A folder with a source, and a repository with two snapshots of it; the first file differs."""
    folder = tmp_path_factory.mktemp("mount")
    source, password, repository = folder / "source", folder / "password", folder / "repository"
    (source / "deep").mkdir(parents=True)
    password.write_text("x\n")
    password.chmod(0o600)
    (source / "large").write_bytes(os.urandom(5 << 20))
    (source / "deep" / "file").write_text("one")
    (source / ODD_NAME).write_text("odd")
    os.link(source / "large", source / "deep" / "same")
    (source / "link").symlink_to("deep/file")
    (source / "empty").touch()
    (source / "empty").chmod(0o4750)
    os.setxattr(source / "large", "user.kept", b"\x00\xff")
    os.utime(source / "large", ns=(TIME_NS, TIME_NS))
    newest_restic.run(repository, password, "init")
    newest_restic.run(repository, password, "backup", source, "--tag", "a/b", "--time", "2025-01-02 03:04:05")
    (source / "deep" / "file").write_text("two")
    newest_restic.run(repository, password, "backup", source, "--host", "other", "--time", "2025-01-02 03:04:06")
    return folder


@contextmanager
def mounted(
    pivori: Pivori, backed_up: Path, *options: str, **environment: str
) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """The program at work on a mount point of its own; whatever happens, nothing stays mounted or running."""
    folder = pivori.home / "mounted"
    folder.mkdir()
    repository = ["-r", str(backed_up / "repository"), "--password-file", str(backed_up / "password")]
    process = pivori.start(*repository, "mount", str(folder), *options, **environment)
    try:
        wait_until(lambda: folder.is_mount() or process.poll() is not None)
        assert folder.is_mount(), process.communicate()
        yield folder, process
    finally:
        subprocess.run(["fusermount3", "-u", "-z", folder], check=False, capture_output=True)
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def end(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    """The exit status and what was said."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out.decode(), err.decode()


def facts(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content: object = None
    if path.is_symlink():
        content = path.readlink()
    elif path.is_file():
        content = path.read_bytes()
    attributes = {
        name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
    }
    links = 0 if path.is_dir() else status.st_nlink
    size = 0 if path.is_dir() else status.st_size
    return status.st_mode, status.st_uid, status.st_gid, size, links, status.st_mtime_ns, content, attributes


@pytest.mark.parametrize("library", ["fuse", "fuse3"])
def test_a_mount_holds_what_was_backed_up(pivori: Pivori, backed_up: Path, library: str) -> None:
    found = find_library(library)
    if found is None:
        pytest.skip(f"no lib{library}; the other one is tested")
    source = backed_up / "source"
    with mounted(pivori, backed_up, FUSE_LIBRARY_PATH=found) as (folder, process):
        root = folder / "snapshots" / "latest" / str(source).lstrip("/")
        names = sorted(path.relative_to(source) for path in source.rglob("*"))
        assert sorted(path.relative_to(root) for path in root.rglob("*")) == names
        for name in names:
            assert facts(root / name) == facts(source / name), name
        assert (root / "large").stat().st_blocks * 512 >= 5 << 20
        with (root / "large").open("rb") as file:
            file.seek((3 << 20) + 7)
            assert file.read(100_000) == (source / "large").read_bytes()[(3 << 20) + 7 :][:100_000]
        with pytest.raises(OSError, match="Read-only file system"):
            (root / "new").touch()
        assert not (root / "nothing").exists()
        subprocess.run(["fusermount3", "-u", folder], check=True)
        status, out, err = end(process)
        assert (status, err) == (0, "")
        assert str(folder) in out
        assert "fusermount3 -u" in out
    assert not list((backed_up / "repository" / "locks").iterdir())


def test_the_folders_above_the_snapshots(pivori: Pivori, backed_up: Path) -> None:
    with mounted(pivori, backed_up) as (folder, _process):
        assert {path.name for path in folder.iterdir()} == {"ids", "snapshots", "hosts", "tags"}
        times = sorted(path.name for path in (folder / "snapshots").iterdir())
        assert [name[:19] for name in times] == ["2025-01-02T03:04:05", "2025-01-02T03:04:06", "latest"]
        assert (folder / "snapshots" / "latest").readlink() == Path(times[1])
        assert [path.name for path in (folder / "tags").iterdir()] == ["a_b"]
        assert sorted(path.name for path in (folder / "tags" / "a_b").iterdir()) == [times[0], "latest"]
        assert (folder / "hosts" / "other" / "latest").readlink() == Path(times[1])
        assert len(list((folder / "ids").iterdir())) == 2
        below = str(backed_up / "source" / "deep" / "file").lstrip("/")
        contents = {(path / below).read_text() for path in (folder / "ids").iterdir()}
        assert contents == {"one", "two"}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o555
        assert (folder / "tags" / "a_b" / "latest" / below).read_text() == "one"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(pivori: Pivori, backed_up: Path, number: signal.Signals) -> None:
    with mounted(pivori, backed_up, "--host", "other", "--json") as (folder, process):
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        assert ready
        assert json.loads(process.stdout.readline()) == {"message_type": "mounted", "mount_point": str(folder)}
        assert len(list((folder / "ids").iterdir())) == 1
        assert list((backed_up / "repository" / "locks").iterdir())
        process.send_signal(number)
        status, out, err = end(process)
        assert (status, err) == (0, "")
        assert json.loads(out)["message_type"] == "unmounted"
        assert not folder.is_mount()
    assert not list((backed_up / "repository" / "locks").iterdir())


def test_damage_is_an_error_of_that_file_alone(pivori: Pivori, backed_up: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(backed_up, damaged)
    packs = sorted((damaged / "repository" / "data").rglob("?" * 64), key=lambda path: path.stat().st_size)
    packs[-1].chmod(0o600)
    content = bytearray(packs[-1].read_bytes())
    content[100] ^= 1
    packs[-1].write_bytes(content)
    with mounted(pivori, damaged) as (folder, process):
        # The source is found where it was when it was backed up.
        root = folder / "snapshots" / "latest" / str(backed_up / "source").lstrip("/")
        unreadable = []
        for name in ("large", "deep/file", ODD_NAME):
            try:
                (root / name).read_bytes()
            except OSError:
                unreadable.append(name)
        assert len(unreadable) == 1
        subprocess.run(["fusermount3", "-u", folder], check=True)
        status, _, err = end(process)
        assert status == 3
        assert unreadable[0] in err


def test_no_folder_to_mount_on(pivori: Pivori, backed_up: Path) -> None:
    repository = ("-r", backed_up / "repository", "--password-file", backed_up / "password")
    result = pivori(*repository, "mount", pivori.home / "nothing", "--json", expect=1)
    assert json.loads(result.stderr)["name"] == "no-mount-point"


def test_without_the_package(pivori: Pivori, backed_up: Path, tmp_path: Path) -> None:
    """A package that cannot be found is answered with how to install it."""
    hide = "import sys; sys.modules['mfusepy'] = None; from pivori.__main__ import main; sys.exit(main())"
    without = Pivori(pivori.home, (pivori.command[0], "-I", "-c", hide))
    repository = ("-r", backed_up / "repository", "--password-file", backed_up / "password")
    result = without(*repository, "mount", tmp_path, expect=1)
    assert "pip install mfusepy" in result.stderr
