"""Every format and every encryption from the command line: written, verified, restored, the same as it was."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Pivori

PASSWORD = "canary-8812 é"
PLAIN = [["--format", each] for each in ("zip", "7z", "tar.zst")] + [
    ["--strategy", "compressed"],
    ["--strategy", "compressed", "--format", "tar.zst"],
]
WITH_PASSWORD = [
    ["--encrypt", "gpg"],
    ["--encrypt", "aes"],
    ["--encrypt", "7z"],
    ["--strategy", "compressed", "--encrypt", "gpg"],
]
WITH_RECIPIENT = [["--recipient", "KEY"], ["--strategy", "compressed", "--recipient", "FILE"]]


@pytest.fixture
def project(pivori: Pivori) -> Path:
    """A project with one of each: odd names, links of both kinds, a FIFO, holes, modes and times."""
    root = pivori.home / "project"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "empty").mkdir(mode=0o700)
    for number in range(40):
        (root / "src" / f"module{number}.py").write_text(f"value = {number}\n" * (number + 1))
    with open(os.fsencode(root) + b"/src/not utf\xff8", "wb") as file:
        file.write(b"odd")
    (root / "src" / "back\\slash\nline").write_bytes(b"odder")
    (root / "noise").write_bytes(os.urandom(900_000))
    os.link(root / "noise", root / "src" / "deep" / "same noise")
    (root / "link").symlink_to("src/module1.py")
    os.mkfifo(root / "fifo", 0o640)
    with (root / "sparse").open("wb") as file:
        file.truncate(3_000_000)
        file.seek(2_000_000)
        file.write(b"island")
    (root / "src" / "module2.py").chmod(0o4750)
    os.utime(root / "src" / "module3.py", ns=(1, 1_600_000_000_123_456_789))
    os.utime(root / "src", ns=(1, 1_500_000_000_987_654_321))
    return root


def picture(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What must be the same after a restore."""
    found: dict[bytes, tuple[object, ...]] = {}
    top = os.fsencode(root)
    for directory, folders, files in os.walk(top):
        for name in [b".", *folders, *files]:
            path = os.path.normpath(directory + b"/" + name)
            status = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else b""
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).digest()
            found[path[len(top) :]] = (status.st_mode, status.st_mtime_ns, status.st_nlink, content)
    return found


@pytest.mark.parametrize("options", [*PLAIN, *WITH_PASSWORD, *WITH_RECIPIENT], ids=" ".join)
def test_what_comes_back_is_what_was_there(pivori: Pivori, project: Path, options: list[str]) -> None:
    keys = pivori.home / "keys"
    keys.mkdir()
    password, identity, recipients = keys / "password", keys / "identity", keys / "recipients"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout
    recipients.write_text(f"# the safe\n{public}")
    given = [{"KEY": public.strip(), "FILE": str(recipients)}.get(word, word) for word in options]
    backups = pivori.home / "backups"
    secret = ["--archive-password-file", password]

    made = pivori.json("archive", "create", "-d", backups, *secret, *given, project)
    archive = Path(made["archive"])
    assert (made["tested"], made["errors"]) == (True, 0)
    assert sorted(path.name for path in backups.iterdir()) == [archive.name, f"{archive.name}.sha256"]
    assert archive.stat().st_mode & 0o777 == 0o600
    subprocess.run(["sha256sum", "-c", "--quiet", f"{archive.name}.sha256"], cwd=backups, check=True)

    opening = ["--identity", identity] if "--recipient" in options else secret
    assert pivori("archive", "verify", *opening, archive)
    pivori("archive", "restore", archive, *opening, "--target", pivori.home / "back")
    assert picture(pivori.home / "back") == picture(project)
    assert (pivori.home / "back" / "sparse").stat().st_blocks * 512 < 1_000_000
    if options in WITH_PASSWORD or options in WITH_RECIPIENT:
        assert b"module1" not in archive.read_bytes() or options == ["--encrypt", "aes"]
        refused = pivori("archive", "restore", archive, "--target", pivori.home / "other", expect=12)
        assert archive.name in refused.stderr
        assert not (pivori.home / "other").exists()


def test_encryptions_that_exclude_each_other(pivori: Pivori, project: Path) -> None:
    for options in (
        ["--encrypt", "gpg", "--format", "7z"],
        ["--encrypt", "aes", "--format", "7z"],
        ["--encrypt", "7z", "--format", "zip"],
        ["--encrypt", "gpg", "--recipient", "age1x"],
        ["--recipient", "age1nonsense"],
    ):
        assert pivori("archive", "create", "-d", pivori.home / "backups", *options, project, expect=2).stderr
    assert not (pivori.home / "backups").exists()


def test_an_encrypted_archive_streams(pivori: Pivori, project: Path) -> None:
    password = pivori.home / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    piped = subprocess.run(
        [
            *pivori.command,
            *("archive", "create", "--stdout", "--encrypt", "gpg", "--format", "tar.zst"),
            *("--archive-password-file", password, project),
        ],
        env=pivori.environment,
        capture_output=True,
        check=True,
    )
    archive = pivori.home / "streamed"
    archive.write_bytes(piped.stdout)
    pivori("archive", "restore", archive, "--archive-password-file", password, "--target", pivori.home / "back")
    assert picture(pivori.home / "back") == picture(project)
