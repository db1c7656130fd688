"""Neither the password nor the master key is anywhere but where it belongs, whatever the program does."""

import base64
import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pivori.host.process import available_processors
from pivori.repository import Repository
from pivori.storage import LocalStorage
from tests.conftest import Pivori, missing

PASSWORD = "correct-9f3b-horse-61d7-battery"
WRONG = "mistaken-40aa-horse-97e2-staple"
NEW = "further-b81c-horse-2c05-clip"
CORE_LIMITS = {"0", "1"}
"""Either leaves no image; 1 keeps the kernel from handing it to a crash handler, too."""


def spellings(secret: bytes) -> set[bytes]:
    """The ways in which a secret may be written."""
    plain = {secret, secret.hex().encode(), base64.b64encode(secret), base64.urlsafe_b64encode(secret)}
    return plain | {repr(secret)[2:-1].encode(), secret.hex().upper().encode()}


@dataclass
class Watch:
    """The program on a repository of its own, and all that was said or seen of it."""

    pivori: Pivori
    password_file: Path
    seen: dict[str, bytes] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        """Where it is."""
        return self.pivori.home / "repository"

    def run(self, name: str, *arguments: str | Path, expect: int | None = 0, **environment: str) -> str:
        """Run a command to its end, and keep what it said; its error output."""
        result = self.pivori("-r", self.repository, *arguments, expect=expect, **environment)
        self.seen[f"{name}: output"] = result.stdout.encode("utf-8", "surrogateescape")
        self.seen[f"{name}: errors"] = result.stderr.encode("utf-8", "surrogateescape")
        return result.stderr

    def ways(self) -> dict[str, tuple[list[str], dict[str, str]]]:
        """The ways to tell it the password: options and environment."""
        return {
            "environment": ([], {"PIVORI_PASSWORD": PASSWORD}),
            "file": (["--password-file", str(self.password_file)], {}),
            "command": (["--password-command", f"cat {self.password_file}"], {}),
        }

    def require_secrecy(self) -> None:
        """No secret in anything seen, nor in any file but those that are there to hold it."""
        master = Repository.open(LocalStorage(self.repository), PASSWORD).master
        secrets = [PASSWORD.encode(), WRONG.encode(), NEW.encode(), *master]
        for path in self.pivori.home.rglob("*"):
            if path.is_file() and path.parent.name != "secret":
                self.seen[str(path)] = path.read_bytes()
        for place, content in self.seen.items():
            for secret in secrets:
                for spelling in spellings(secret):
                    assert spelling not in content, place


@pytest.fixture
def watch(pivori: Pivori) -> Watch:
    """A repository, whose password is in a folder ``secret``."""
    folder = pivori.home / "secret"
    folder.mkdir()
    for name, password in (("password", PASSWORD), ("new", NEW), ("wrong", WRONG)):
        (folder / name).write_text(password)
        (folder / name).chmod(0o600)
    made = Watch(pivori, folder / "password")
    made.run("init", "--password-file", made.password_file, "init")
    return made


def children(pid: int) -> Iterator[int]:
    """The worker processes of a process."""
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"pivori.host.worker" in Path(f"/proc/{number}/cmdline").read_bytes():
                yield int(number)


def look_at_processes(process: "subprocess.Popen[bytes]", watch: Watch, *, hide_environment: bool) -> None:
    """Hold a backup as soon as its workers are there, and look at what anybody may see of it."""
    while not (workers := list(children(process.pid))):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGSTOP)
    try:
        for pid in (process.pid, *workers):
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            (core,) = [line.split()[4] for line in limits if line.startswith("Max core file size")]
            assert core in CORE_LIMITS
            watch.seen[f"command line of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
            if pid != process.pid or not hide_environment:
                watch.seen[f"environment of {pid}"] = Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("way", ["environment", "file", "command"])
def test_a_backup_by_workers(watch: Watch, way: str) -> None:
    if available_processors() < 2:
        missing("a second processor, without which there are no workers,")
    source = watch.pivori.home / "source"
    source.mkdir()
    for number in range(8):
        (source / f"file {number}").write_bytes(random.Random(number).randbytes(5 << 20))
    options, environment = watch.ways()[way]
    process = watch.pivori.start("-r", watch.repository, *options, "-vv", "backup", "--json", source, **environment)
    try:
        # What the caller puts into the environment is the caller's to see.
        look_at_processes(process, watch, hide_environment=way == "environment")
    finally:
        watch.seen["output"], watch.seen["errors"] = process.communicate()
    assert process.returncode == 0
    summary = json.loads(watch.seen["output"].splitlines()[-1])
    assert summary["message_type"] == "summary"
    assert any(name.startswith("command line") for name in watch.seen)
    watch.require_secrecy()


def test_everything_else(watch: Watch) -> None:
    """Wrong passwords, keys and talkative commands."""
    folder = watch.password_file.parent
    (watch.pivori.home / "file").write_text("content")
    known = ("--password-file", watch.password_file)
    watch.run("backup", *known, "backup", "-vv", watch.pivori.home / "file")
    for way, (options, environment) in watch.ways().items():
        watch.run(f"snapshots by {way}", *options, "snapshots", "-vv", **environment)
    for kind in ((), ("--json",)):
        watch.run(f"wrong file {kind}", "--password-file", folder / "wrong", "snapshots", *kind, expect=12)
        watch.run(f"wrong environment {kind}", "snapshots", "-vv", *kind, expect=12, PIVORI_PASSWORD=WRONG)
        failing = f"sh -c 'cat {folder / 'wrong'}; exit 3'"
        watch.run(f"failing command {kind}", "--password-command", failing, "snapshots", *kind, expect=1)
    watch.run("key add", *known, "key", "add", "-vv", "--json", "--new-password-file", folder / "new")
    watch.run("key list", *known, "key", "list", "-vv", "--json")
    watch.run("verify", *known, "verify", "--read-data", "-vv")
    watch.run("stats", *known, "stats", "--json")
    watch.require_secrecy()


IMPORTS = "import sys\nfrom pivori.__main__ import main\nfrom pivori.repository import Repository"
FAULTS = {
    "password": "def fault(storage, password, **_): raise ValueError(password, password.encode())\n"
    "Repository.open = fault",
    "key": "def fault(self, *_): return {}[self.master.encrypt]\nRepository.load_index = fault",
}


@pytest.mark.parametrize("fault", ["password", "key"])
@pytest.mark.parametrize("options", [(), ("--json", "-vv")], ids=["text", "json"])
def test_an_internal_error(watch: Watch, fault: str, options: tuple[str, ...]) -> None:
    """An error nobody has foreseen, with a secret for its message."""
    script = f"{IMPORTS}\n{FAULTS[fault]}\nsys.exit(main())"
    broken = Pivori(watch.pivori.home, (watch.pivori.command[0], "-I", "-c", script))
    told = Watch(broken, watch.password_file, watch.seen)
    told.run("broken", "--password-file", watch.password_file, "ls", *options, expect=1)
    (report,) = (watch.pivori.home / ".cache").rglob("errors/*.txt")
    assert "fault" in report.read_text()
    assert str(report).encode() in watch.seen["broken: errors"]
    watch.require_secrecy()


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_loose_key_file_is_refused_with_a_hint(watch: Watch, mode: int) -> None:
    watch.password_file.chmod(mode)
    said = watch.run("loose", "--password-file", watch.password_file, "snapshots", "--json", expect=1)
    error = json.loads(said)
    assert error["name"] == "key-file-permissions"
    assert "chmod" in error["hint"]
    assert os.fspath(watch.password_file) in error["hint"]
    watch.require_secrecy()
