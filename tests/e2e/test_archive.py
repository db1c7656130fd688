"""``pivori archive`` as a person uses it: the whole way round, ordinary tools, and bad input one by one."""

import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.archives.workspace import PARTIAL
from tests.archives import everything, picture
from tests.conftest import Pivori, missing

MIB = 1 << 20


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with one of every kind of file."""
    root = tmp_path / "project"
    everything(root)
    return root


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """The directory of archives."""
    return tmp_path / "backups"


def create(pivori: Pivori, tree: Path, backups: Path, *options: str, **more: object) -> Path:
    """Make an archive; returns its path."""
    return Path(pivori.json("archive", "create", tree, "-d", backups, *options, **more)["archive"])


def everything_in(place: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_the_whole_way_round(pivori: Pivori, tree: Path, backups: Path, tmp_path: Path) -> None:
    before = picture(tree)
    path = create(pivori, tree, backups)
    assert sorted(file.name for file in backups.iterdir()) == [path.name, f"{path.name}.sha256"]
    assert {file.stat().st_mode & 0o777 for file in backups.iterdir()} == {0o600}
    pivori("archive", "verify", path, "--require", "level 0", "--require", "text")
    shown = pivori.json("archive", "show", path)
    assert (shown["root"], shown["strategy"], shown["files"]) == (str(tree), "complete", 22)
    pivori("archive", "restore", path, "--target", tmp_path / "back")
    assert picture(tmp_path / "back") == before
    (tree / "text").write_text("broken")
    done = pivori.json("archive", "restore", path, "--in-place")
    assert picture(tree) == before
    assert (Path(done["aside"]) / "text").read_text() == "broken"
    listed = pivori.json("archive", "list", backups)
    assert [(each["path"], each["verdict"]) for each in listed] == [(str(path), "ok")]


def test_a_differential_in_one_command(pivori: Pivori, tree: Path, backups: Path, tmp_path: Path) -> None:
    base = create(pivori, tree, backups)
    (tree / "text").write_text("newer")
    (tree / "script").unlink()
    before = picture(tree)
    made = pivori.json("archive", "create", tree, "-d", backups, "--strategy", "differential")
    assert (made["base"], made["deleted"]) == (base.name, 1)
    path = Path(made["archive"])
    pivori("archive", "verify", path)
    pivori("archive", "restore", path, "-t", tmp_path / "back")
    assert picture(tmp_path / "back") == before


def test_ordinary_tools_open_it(
    pivori: Pivori, tree: Path, backups: Path, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    path = create(pivori, tree, backups)
    subprocess.run([program("unzip"), "-qt", path], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program("sha256sum"), "--strict", "-c", f"{path.name}.sha256"], cwd=backups, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    subprocess.run([program("unzip"), "-q", path, "-d", tmp_path / "plain"], check=True)
    assert (tmp_path / "plain" / "text").read_text() == "hello\n"
    assert (tmp_path / "plain" / "script").stat().st_mode & 0o777 == 0o755
    assert os.readlink(tmp_path / "plain" / "link") == "text"


def test_to_standard_output(pivori: Pivori, tree: Path, tmp_path: Path) -> None:
    with (tmp_path / "out.zip").open("wb") as out:
        command = [*pivori.command, "archive", "create", tree, "-o", "-"]
        done = subprocess.run(command, env=pivori.environment, stdout=out, stderr=subprocess.PIPE, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    pivori("archive", "verify", tmp_path / "out.zip")
    pivori("archive", "restore", tmp_path / "out.zip", "-t", tmp_path / "back")
    assert picture(tmp_path / "back") == picture(tree)


def test_the_smart_strategy(pivori: Pivori, backups: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "app" / "__pycache__").mkdir(parents=True)
    (root / "app" / "main.py").write_text("print('hello')\n")
    (root / "app" / "__pycache__" / "main.cpython-311.pyc").write_bytes(b"bytecode")
    said = pivori("archive", "create", root, "--strategy", "smart", "--explain", "--json").stdout.splitlines()
    decisions = [json.loads(line) for line in said[:-1]]
    assert [(each["path"], each["omitted"]) for each in decisions] == [("app/__pycache__", True)]
    assert not backups.exists()
    path = create(pivori, root, backups, "--strategy", "smart")
    assert path.name.startswith("pivori-smart-")
    assert [each["path"] for each in pivori.json("archive", "show", path)["omitted"]] == ["app/__pycache__"]
    pivori("archive", "restore", path, "-t", tmp_path / "back", "--rebuild")
    assert sorted(everything_in(tmp_path / "back")) == ["app/main.py"]


def test_a_password(pivori: Pivori, tree: Path, backups: Path, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("geheim\n")
    (tmp_path / "word").chmod(0o600)
    path = create(pivori, tree, backups, "--encrypt", "aes", "--archive-password-file", str(tmp_path / "word"))
    assert b"hello" not in path.read_bytes()
    pivori("archive", "restore", path, "-t", tmp_path / "back", PIVORI_ARCHIVE_PASSWORD="geheim")
    assert picture(tmp_path / "back") == picture(tree)
    for arguments in (("verify", path), ("show", path), ("restore", path, "-t", tmp_path / "no")):
        wrong = pivori("archive", *arguments, PIVORI_ARCHIVE_PASSWORD="falsch", expect=12)
        assert path.name in wrong.stderr
        missing = pivori("archive", *arguments, expect=12)
        assert "--archive-password-file" in missing.stderr
    assert not (tmp_path / "no").exists()
    said = (
        pivori("archive", "list", backups).stdout
        + pivori("archive", "show", path, PIVORI_ARCHIVE_PASSWORD="geheim").stdout
    )
    assert "geheim" not in said
    for file in pivori.home.rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes()


def test_import_and_export(pivori: Pivori, tree: Path, backups: Path, tmp_path: Path) -> None:
    before = picture(tree)
    create(pivori, tree, backups)
    (tree / "text").write_text("newer")
    after = picture(tree)
    create(pivori, tree, backups, "--strategy", "differential")
    with zipfile.ZipFile(backups / "rubi-studio-complete-20240101-020000.zip", "w") as file:
        file.writestr("services/auth/main.py", "print(1)")
    pivori("archive", "import", backups)
    snapshots = pivori.json("snapshots")
    assert snapshots[0]["time"].startswith("2024-01-01")
    assert [[tag for tag in each["tags"] if not tag.startswith("archive:")] for each in snapshots] == [
        ["strategy:complete"],
        ["strategy:complete"],
        ["strategy:differential"],
    ]
    for snapshot, expected in zip(snapshots[1:], (before, after), strict=True):
        target = tmp_path / snapshot["short_id"]
        pivori("restore", f"{snapshot['id']}:{tree}", "--target", target)
        assert set(picture(target)) == set(expected)
        assert {path: each for path, each in picture(target).items() if path} == {
            path: each for path, each in expected.items() if path
        }
    # What both have is stored once.
    stored = sum(path.stat().st_size for path in (pivori.home / ".local/share/pivori/repository/data").rglob("*"))
    assert stored < 12 * MIB
    # Again: nothing new.
    assert "already" in pivori("archive", "import", backups).stdout
    assert len(pivori.json("snapshots")) == 3
    made = pivori.json("archive", "export", snapshots[2]["id"], "-d", tmp_path / "exported")
    pivori("archive", "verify", made["archive"])
    pivori("archive", "restore", made["archive"], "-t", tmp_path / "out")
    assert picture(tmp_path / "out") == after


def test_prune(pivori: Pivori, tmp_path: Path, backups: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a").write_text("a")
    new = create(pivori, root, backups)
    with zipfile.ZipFile(backups / "rubi-studio-smart-20240101-020000.zip", "w") as file:
        file.writestr("x", "x")
    with zipfile.ZipFile(backups / "rubi-studio-smart-20240102-020000.zip", "w") as file:
        file.writestr("x", "x")
    (backups / "rubi-studio-smart-20240101-020000.zip.sha256").touch()
    with zipfile.ZipFile(backups / "pivori-complete-20240103-020000.zip", "w") as file:
        file.writestr("x", "not made by us")
    before = everything_in(backups)
    shown = pivori("archive", "prune", "-d", backups, "--older-than", "30", "--dry-run").stdout
    assert "1 archive would be removed" in shown
    assert everything_in(backups) == before
    pivori("archive", "prune", "-d", backups, "--older-than", "30")
    assert set(everything_in(backups)) == {
        new.name,
        f"{new.name}.sha256",
        "rubi-studio-smart-20240102-020000.zip",
        "pivori-complete-20240103-020000.zip",
    }
    pivori("archive", "prune", "-d", backups, expect=2)


# Bad input, one by one: one sentence with the file, the cause and what to do; nothing changes


def refused(pivori: Pivori, place: Path, *arguments: object, code: str, status: int = 1, about: object = "") -> None:
    """A command that ends with an error of this code, names the file, says what to do, and changes nothing."""
    before = everything_in(place)
    names = sorted(str(path) for path in place.rglob("*"))
    done = pivori("archive", *arguments, "--json", expect=status)
    said = json.loads(done.stderr.splitlines()[-1])
    assert said["name"] == code, said
    assert str(about) in said["message"]
    assert said["hint"]
    assert "Traceback" not in done.stderr
    assert everything_in(place) == before
    assert sorted(str(path) for path in place.rglob("*")) == names
    people = pivori("archive", *arguments, expect=status)
    assert people.stderr.count("\n") == 2, people.stderr


@pytest.fixture
def place(tmp_path: Path, pivori: Pivori) -> Path:
    """A directory with a tree, an archive of it, and a differential one."""
    place = tmp_path / "place"
    (place / "tree").mkdir(parents=True)
    for number in range(20):
        (place / "tree" / f"file {number}").write_bytes(os.urandom(20_000))
    pivori("archive", "create", place / "tree", "-o", place / "a.zip")
    return place


@pytest.mark.parametrize("content", [b"", b"hello, I am a text\n" * 100, bytes(1000)], ids=["empty", "text", "zeros"])
def test_not_an_archive(pivori: Pivori, place: Path, content: bytes) -> None:
    path = place / "notes.zip"
    path.write_bytes(content)
    refused(pivori, place, "restore", path, "-t", place / "new", code="not-an-archive", about=path)
    refused(pivori, place, "show", path, code="not-an-archive", about=path)
    pivori("archive", "verify", path, expect=1)


def test_a_directory_or_nothing(pivori: Pivori, place: Path) -> None:
    for path in (place / "missing.zip", place / "tree"):
        for arguments in (("verify", path), ("show", path), ("restore", path, "-t", place / "new")):
            refused(pivori, place, *arguments, code="archive-unreadable", about=path)
    refused(pivori, place, "create", place / "missing", "-d", place, code="not-a-directory", about=place / "missing")
    refused(pivori, place, "list", place / "missing", code="archive-unreadable", about=place / "missing")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(pivori: Pivori, place: Path, share: float) -> None:
    path = place / "a.zip"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(pivori, place, "restore", path, "-t", place / "new", code="archive-damaged", about=path)
    refused(pivori, place, "restore", path, "--in-place", code="archive-damaged", about=path)
    said = pivori("archive", "verify", path, expect=1).stdout
    assert "not whole" in said


def test_a_wrong_checksum(pivori: Pivori, place: Path) -> None:
    (place / "a.zip.sha256").write_text(f"{'0' * 64}  a.zip\n")
    lines = pivori("archive", "verify", place / "a.zip", "--json", expect=1).stdout.splitlines()
    findings = [json.loads(line) for line in lines[:-1]]
    assert [(each["severity"], each["kind"]) for each in findings] == [("damage", "checksum")]
    (place / "a.zip.sha256").write_text("nonsense")
    pivori("archive", "verify", place / "a.zip", expect=1)


def test_a_flipped_bit(pivori: Pivori, place: Path) -> None:
    path = place / "a.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(pivori, place, "restore", path, "--in-place", code="archive-damaged", about="file ")
    lines = pivori("archive", "verify", path, "--json", expect=1).stdout.splitlines()
    assert {json.loads(line)["kind"] for line in lines[:-1]} == {"checksum", "member"}


def test_a_missing_base(pivori: Pivori, place: Path) -> None:
    refused(
        pivori, place, "create", place / "tree", "-d", place, "-s", "differential", code="no-base", about=place / "tree"
    )
    pivori("archive", "create", place / "tree", "-o", place / "d.zip", "-s", "differential", "--base", place / "a.zip")
    (place / "a.zip").unlink()
    refused(pivori, place, "restore", place / "d.zip", "-t", place / "new", code="base-missing", about="a.zip")
    refused(pivori, place, "restore", place / "d.zip", "--in-place", code="base-missing", about="a.zip")
    pivori("archive", "verify", place / "d.zip", expect=1)


def test_a_wrong_base(pivori: Pivori, place: Path) -> None:
    pivori("archive", "create", place / "tree", "-o", place / "d.zip", "-s", "differential", "--base", place / "a.zip")
    refused(
        pivori, place, "restore", place / "d.zip", "-t", place / "new", "--base", place / "d.zip", code="base-wrong",
        about="d.zip",
    )  # fmt: skip
    refused(
        pivori, place, "create", place / "tree", "-o", place / "e.zip", "-s", "differential", "--base", place / "d.zip",
        code="base-unfit", about="d.zip",
    )  # fmt: skip


def test_a_place_that_cannot_be_written(pivori: Pivori, place: Path, tmp_path: Path) -> None:
    refused(
        pivori, place, "create", place / "tree", "-d", place / "a.zip", code="destination-unwritable", about="a.zip"
    )
    fixed = tmp_path / "read only"
    fixed.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", fixed], capture_output=True).returncode:
        missing("the right to mount a file system (root)")
    try:
        refused(pivori, place, "create", place / "tree", "-d", fixed, code="destination-unwritable", about=fixed)
        refused(pivori, place, "restore", place / "a.zip", "-t", fixed / "a", code="target-unwritable", about=fixed)
        refused(pivori, place, "restore", place / "a.zip", "-t", fixed, code="target-unwritable", about=fixed)
    finally:
        subprocess.run(["umount", fixed], check=True)


def test_a_name_that_is_taken(pivori: Pivori, place: Path) -> None:
    refused(pivori, place, "create", place / "tree", "-o", place / "a.zip", code="archive-exists", about="a.zip")


def test_a_target_that_is_not_empty(pivori: Pivori, place: Path) -> None:
    refused(pivori, place, "restore", place / "a.zip", "-t", place / "tree", code="target-not-empty", about="tree")


def test_no_space(pivori: Pivori, place: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        missing("the right to mount a file system (root)")
    try:
        # No history of this tree's own is needed: the run before tells how it packs.
        refused(pivori, place, "create", place / "tree", "-d", small, code="no-space-for-archive", about=small)
        history = pivori.home / ".local/state/pivori/history.jsonl"
        history.unlink()
        before = everything_in(place)
        done = pivori("archive", "create", place / "tree", "-d", small, expect=1)
        assert str(small) in done.stderr
        assert "space" in done.stderr
        assert list(small.iterdir()) == []
        refused(
            pivori, place, "restore", place / "a.zip", "-t", small / "new", code="no-space-for-restore", about=small
        )
        assert list(small.iterdir()) == []
        assert everything_in(place) == before
    finally:
        subprocess.run(["umount", small], check=True)


def test_nothing_fits(pivori: Pivori, place: Path) -> None:
    arguments = ("restore", place / "a.zip", "-t", place / "new", "--include", "nowhere")
    refused(pivori, place, *arguments, code="nothing-selected", about="nowhere")


def test_an_archive_of_others(pivori: Pivori, tmp_path: Path) -> None:
    path = tmp_path / "rubi-studio-complete-20240101-020000.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("rubi-studio/services/auth/main.py", "print(1)")
        file.writestr("rubi-studio/frontend/index.html", "<html>")
    said = pivori("archive", "verify", path, "--require", "services", "--require", "frontend").stdout
    assert "no manifest" in said
    pivori("archive", "verify", path, "--require", "database", expect=1)
    refused(pivori, tmp_path, "restore", path, "--in-place", code="no-root-known", about=path)
    pivori("archive", "restore", path, "-t", tmp_path / "back")
    assert sorted(everything_in(tmp_path / "back")) == [
        "rubi-studio/frontend/index.html",
        "rubi-studio/services/auth/main.py",
    ]
    assert (tmp_path / "back" / "rubi-studio" / "services").stat().st_mode & 0o777 == 0o755


def test_usage(pivori: Pivori, place: Path) -> None:
    for arguments in (
        ("restore", place / "a.zip"),
        ("restore", place / "a.zip", "-t", place, "--in-place"),
        ("create", place / "tree", "--format", "zip", "--encrypt", "7z"),
        ("create", place / "tree", "--explain"),
        ("create", place / "tree", "--format", "rar"),
        ("create", place / "tree", "--format", "7z", "-o", "-"),
    ):
        pivori("archive", *arguments, expect=2)


# Killed


def test_a_killed_create_leaves_nothing_under_a_final_name(pivori: Pivori, tmp_path: Path, backups: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for number in range(30):
        (root / f"{number}").write_bytes(os.urandom(4 * MIB))
    for delay in (0.3, 0.8, 1.5):
        process = pivori.start("archive", "create", root, "-d", backups)
        wait_for_partial(backups, process, delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert [path.name for path in backups.iterdir() if not path.name.startswith(".")] in ([], finished(backups))
    (root / "small").write_text("x")
    for number in range(30):
        (root / f"{number}").unlink()
    path = create(pivori, root, backups)
    assert path.exists()
    assert not [name for name in os.listdir(backups) if name.startswith(".")]


def wait_for_partial(backups: Path, process: "subprocess.Popen[bytes]", delay: float) -> None:
    """Wait until the archive is being written, and a while longer."""
    for _ in range(600):
        if process.poll() is not None or (backups.exists() and any(backups.glob(f".*{PARTIAL}"))):
            break
        time.sleep(0.05)
    time.sleep(delay)


def finished(backups: Path) -> list[str]:
    """What is there when the archive was finished before it could be killed: it and its checksum."""
    return [path.name for path in backups.iterdir() if path.name.endswith((".zip", ".sha256"))]


def test_an_interrupted_create_cleans_up(pivori: Pivori, tmp_path: Path, backups: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    for number in range(30):
        (root / f"{number}").write_bytes(os.urandom(4 * MIB))
    process = pivori.start("archive", "create", root, "-d", backups)
    wait_for_partial(backups, process, 0.2)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    if process.returncode:
        assert process.returncode == 130
        assert list(backups.iterdir()) == []


def test_what_a_smart_archive_left_out_is_still_known_after_an_import_and_an_export(
    pivori: Pivori, tmp_path: Path, backups: Path, program: Callable[[str], Path]
) -> None:
    def git(*arguments: str) -> None:
        command = [program("git"), "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
        subprocess.run(command, cwd=root, check=True, capture_output=True, env={**os.environ, "HOME": str(tmp_path)})

    origin, root = tmp_path / "origin.git", tmp_path / "project"
    root.mkdir()
    subprocess.run([program("git"), "init", "-q", "--bare", origin], check=True)
    git("init", "-q", "-b", "main")
    (root / "code.py").write_text("print(1)\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    git("remote", "add", "origin", str(origin))
    git("push", "-q", "-u", "origin", "main")
    path = create(pivori, root, backups, "--strategy", "smart")
    omitted = [each["path"] for each in pivori.json("archive", "show", path)["omitted"]]
    assert omitted == [".git"]
    pivori("archive", "restore", path, "-t", tmp_path / "one", "--rebuild")
    assert (tmp_path / "one" / ".git" / "HEAD").exists()
    pivori("archive", "import", path)
    pivori("restore", f"latest:{root}", "--target", tmp_path / "two", "--rebuild")
    assert (tmp_path / "two" / ".git" / "HEAD").exists()
    made = pivori.json("archive", "export", "latest", "-o", tmp_path / "exported.zip")
    shown = pivori.json("archive", "show", made["archive"])
    assert [each["path"] for each in shown["omitted"]] == [".git"]
    pivori("archive", "restore", made["archive"], "-t", tmp_path / "three", "--rebuild")
    assert (tmp_path / "three" / ".git" / "HEAD").exists()
    assert (tmp_path / "three" / "code.py").read_text() == "print(1)\n"


def test_an_exported_smart_snapshot_is_a_smart_archive(pivori: Pivori, tmp_path: Path, backups: Path) -> None:
    """Else whoever prunes would take it for the complete one that has to stay."""
    root = tmp_path / "project"
    (root / "node_modules" / "left").mkdir(parents=True)
    (root / "node_modules" / "left" / "index.js").write_text("x")
    (root / "package.json").write_text("{}")
    (root / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}')
    pivori("backup", "--strategy", "smart", root)
    backups.mkdir(exist_ok=True)
    made = pivori.json("archive", "export", "latest", "-d", backups)
    assert "-smart-" in Path(made["archive"]).name
    assert pivori.json("archive", "show", made["archive"])["strategy"] == "smart"
    pivori("backup", root, "--tag", "strategy:of-my-own")
    assert "-complete-" in pivori.json("archive", "export", "latest", "-d", backups)["archive"]
    assert not [path for path in backups.iterdir() if path.name.startswith(".")]


def test_the_documents_of_a_snapshot_are_no_files_of_its_export(pivori: Pivori, tmp_path: Path, backups: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "code").write_text("x")
    pivori("backup", "--strategy", "smart", root, "/etc/hostname")
    made = pivori.json("archive", "export", "latest", "-o", tmp_path / "whole.zip")
    with zipfile.ZipFile(made["archive"]) as file:
        names = file.namelist()
    assert "etc/hostname" in names
    assert [name for name in names if "manifest.json" in name] == [".pivori/manifest.json"]
