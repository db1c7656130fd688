"""Secrets of a stack, with the program as a person runs it: in clear in their places and nowhere else."""

import base64
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pivori.components.secrets import new_identity
from tests.conftest import Pivori
from tests.restic import Restic

CANARIES = ["canary-env-4kQ8", "canary-deep-9xW2", "canary-vault-7mB5", "canary-variable-3pZ6"]
SPELLINGS = [
    spelling
    for canary in map(str.encode, CANARIES)
    for spelling in (canary, canary.hex().encode(), base64.b64encode(canary).rstrip(b"="))
]

CONFIGURATION = '''
[stack]
name = "shop"

[[components]]
kind = "secrets"
name = "secrets"
files = [".env", "**/.env.production"]
recipients = ["{recipient}"]
restore-commands-to = "run"
{identity}

[[components.commands]]
name = "vault.json"
command = ["sh", "-ec", """
  cat ../vault/token
  if test -p ../vault/gate; then touch ../vault/asked; cat ../vault/gate; fi
"""]

[[components]]
kind = "command"
name = "dump"
capture = ["sh", "-c", "test -n \\"$TOKEN\\" && cat app/main.py"]
variables = {{ TOKEN = {{ file = "../vault/variable" }} }}

[[components]]
kind = "files"
name = "source"
exclude = [".env", ".env.production"]
'''


@dataclass
class Shop:
    """A stack with secrets, and the program that protects it. The private key is in ``safe``."""

    pivori: Pivori
    folder: Path
    seen: dict[str, bytes]

    @property
    def root(self) -> Path:
        return self.folder / "stack"

    @property
    def identity(self) -> Path:
        return self.folder / "safe" / "identity"

    def configure(self, *, with_identity: bool) -> None:
        recipient = self.identity.read_text().split()[-1]
        identity = f'identity = {{ file = "{self.identity}" }}' if with_identity else ""
        text = CONFIGURATION.format(recipient=recipient, identity=identity)
        (self.root / "pivori.toml").write_text(text)

    def run(self, *arguments: str | Path, expect: int | None = 0) -> str:
        """Run the program in the stack's folder: all that it said."""
        done = self.pivori(*arguments, cwd=self.root, expect=expect, TMPDIR=str(self.folder / "tmp"))
        said = done.stdout + done.stderr
        self.seen[f"{len(self.seen)}: {arguments}"] = said.encode("utf-8", "surrogateescape")
        return said

    def require_nothing_in_clear(self, *folders: Path) -> None:
        """No canary in what was said, in the home folder, in temporary files, in other folders."""
        for folder in (self.pivori.home, self.folder / "tmp", *folders):
            for path in folder.rglob("*"):
                if path.is_file():
                    self.seen[str(path)] = path.read_bytes()
        for where, content in self.seen.items():
            for spelling in SPELLINGS:
                assert spelling not in content, where


@pytest.fixture
def shop(pivori: Pivori, tmp_path: Path) -> Shop:
    places = {
        "stack/.env": f"PASSWORD={CANARIES[0]}\n",
        "stack/api/.env.production": f"PASSWORD={CANARIES[1]}\n",
        "stack/app/main.py": "print('shop')\n",
        "vault/token": CANARIES[2],
        "vault/variable": CANARIES[3],
        "tmp/.keep": "",
    }
    for name, content in places.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    new_identity(tmp_path / "safe" / "identity")
    made = Shop(pivori, tmp_path, {})
    made.configure(with_identity=False)
    return made


def password_file(shop: Shop) -> Path:
    return shop.pivori.home / ".config" / "pivori" / "repository.key"


def repository(shop: Shop) -> Path:
    return shop.pivori.home / ".local" / "share" / "pivori" / "repository"


def test_from_the_backup_to_the_recovery(shop: Shop, newest_restic: Restic, tmp_path: Path) -> None:
    shop.run("backup")
    (shop.root / ".env").write_text(f"NEW={CANARIES[0]}\n")
    shop.run("backup", "--json")
    shop.run("backup")
    shop.run("config", "show")
    assert "private key" in shop.run("recover", "--component", "secrets", "--to", tmp_path / "x", "--yes", expect=None)
    assert not (tmp_path / "x" / ".env").exists()
    # All that has ever entered the repository, decrypted.
    for number, snapshot in enumerate(newest_restic.json(repository(shop), password_file(shop), "snapshots")):
        target = tmp_path / "opened" / str(number)
        newest_restic.run(repository(shop), password_file(shop), "restore", snapshot["id"], "--target", target)
    assert len(list((tmp_path / "opened").rglob(".env.age"))) == 3
    shop.require_nothing_in_clear(tmp_path / "opened")
    seals = [
        {path.name: path.read_bytes() for path in folder.rglob("*.age")} for folder in (tmp_path / "opened").iterdir()
    ]
    assert len({tuple(sorted(each.items())) for each in seals}) == 2  # the last backup has kept the seals of the second

    before = {path: path.read_bytes() for path in shop.root.rglob(".env*")}
    for path in before:
        path.unlink()
    shop.configure(with_identity=True)
    shop.run("recover", "--component", "secrets", "--in-place", "--yes")
    assert {path: path.read_bytes() for path in shop.root.rglob(".env*")} == before
    assert (shop.root / "run" / "vault.json").read_text() == CANARIES[2]
    shop.require_nothing_in_clear()


def test_as_the_document_says(shop: Shop, newest_restic: Restic, tmp_path: Path) -> None:
    """The lines of RECOVERY.md for the secrets, in a shell."""
    shop.run("backup")
    target = tmp_path / "opened"
    newest_restic.run(repository(shop), password_file(shop), "restore", "latest", "--target", target)
    document = (target / "RECOVERY.md").read_text()
    section = document[document.index("# 1. `secrets`") : document.index("# 2. `")]
    script = section.split("```")[1].partition("\n")[2]
    variables = {"ROOT": str(tmp_path / "back"), "SECRETS": str(tmp_path / "outputs"), "IDENTITY": str(shop.identity)}
    variables["PLACE"] = str(target)
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env={**os.environ, **variables}, check=True)
    assert (tmp_path / "back" / ".env").read_bytes() == (shop.root / ".env").read_bytes()
    assert (tmp_path / "outputs" / "vault.json").read_text() == CANARIES[2]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_backup_that_dies_leaves_nothing(shop: Shop, number: signal.Signals, tmp_path: Path) -> None:
    """While a command has printed its secret and goes on."""
    gate = tmp_path / "vault" / "gate"
    os.mkfifo(gate)
    process = shop.pivori.start("--config", shop.root / "pivori.toml", "backup", TMPDIR=str(tmp_path / "tmp"))
    try:
        while not (tmp_path / "vault" / "asked").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        family = [process.pid, *map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())]
        for pid in family:
            shop.seen[f"command line of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
            shop.seen[f"environment of {pid}"] = Path(f"/proc/{pid}/environ").read_bytes()
        process.send_signal(number)
        output, errors = process.communicate()
    finally:
        process.kill()
        process.communicate()
        # Whatever was started by a program that was killed waits there for somebody to write.
        os.close(os.open(gate, os.O_RDWR))
    assert process.returncode != 0
    shop.seen |= {"output": output, "errors": errors}
    gate.unlink()
    shop.require_nothing_in_clear()
    shop.run("backup")
    shop.require_nothing_in_clear()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda shop: (shop.root / ".env").unlink(), "misses the file .env"),
        (lambda shop: (shop.folder / "vault" / "token").unlink(), "ended with status 1"),
        (lambda shop: (shop.folder / "vault" / "variable").chmod(0o644), "variable"),
    ],
    ids=["file", "command", "variable"],
)
def test_what_fails_is_told_and_the_others_go_on(
    shop: Shop, spoil: Callable[[Shop], object], says: str, newest_restic: Restic
) -> None:
    spoil(shop)
    said = shop.run("backup", expect=3)
    assert says in said
    (snapshot,) = newest_restic.json(repository(shop), password_file(shop), "snapshots")
    listed = newest_restic.run(repository(shop), password_file(shop), "ls", snapshot["id"]).stdout
    assert "main.py" in listed
    shop.require_nothing_in_clear()
