"""`pivori init FOLDER`: from a folder to a protected stack, and nothing half-made on the way."""

import io
import itertools
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pivori.cli import stack_making
from tests.conftest import Pivori
from tests.interrupting import Interruption
from tests.unit.cli.conftest import Here

CANARY = "hunter2-canary"
OWN = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small application: source, secrets, uploads, a SQLite database."""
    root = tmp_path / "shop"
    (root / "uploads").mkdir(parents=True)
    (root / "uploads" / "photo.jpg").write_bytes(b"photo")
    (root / "app.py").write_text("print('shop')\n")
    (root / ".env").write_text(f"SECRET_KEY={CANARY}\n")
    (root / "server.key").write_text(f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n")
    return root


def with_database(root: Path) -> None:
    connection = sqlite3.connect(root / "shop.db")
    with connection:
        connection.execute("create table sales (amount integer)")
        connection.execute("insert into sales values (7)")
    connection.close()


def files(root: Path) -> dict[str, bytes]:
    return {str(item.relative_to(root)): item.read_bytes() for item in root.rglob("*") if item.is_file()}


def everything_below(folder: Path) -> bytes:
    return b"".join(item.read_bytes() for item in folder.rglob("*") if item.is_file())


def test_one_command_protects_a_stack_and_it_comes_back(pivori: Pivori, shop: Path, tmp_path: Path) -> None:
    said = pivori("init", "--yes", shop)
    before = files(shop)
    assert {"pivori.toml", ".env", "server.key", "uploads/photo.jpg", "app.py"} == set(before)
    pivori("backup", cwd=shop)
    pivori("recover", "--to", tmp_path / "new", cwd=shop)
    assert files(tmp_path / "new") == before
    assert CANARY not in said.stdout + said.stderr
    assert CANARY.encode() not in everything_below(pivori.home) + before["pivori.toml"]


def test_a_database_is_part_of_it(pivori: Pivori, shop: Path, tmp_path: Path) -> None:
    with_database(shop)
    pivori("init", "--yes", shop)
    pivori("backup", cwd=shop)
    pivori("recover", "--to", tmp_path / "new", cwd=shop)
    connection = sqlite3.connect(tmp_path / "new" / "shop.db")
    assert connection.execute("select amount from sales").fetchall() == [(7,)]
    connection.close()


def test_a_git_work_tree_comes_back_with_what_git_ignores_and_nothing_beside(
    pivori: Pivori, shop: Path, tmp_path: Path
) -> None:
    (shop / ".gitignore").write_text(".env\n*.key\nuploads/\nstate/\n")
    (shop / "state").mkdir()
    (shop / "state" / "kept").write_text("ignored, and nowhere else")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", shop, *words], check=True)
    (shop / "app.py").write_text("print('not committed')\n")
    pivori("init", "--yes", shop)
    before = {name: content for name, content in files(shop).items() if not name.startswith(".git/")}
    pivori("backup", cwd=shop)
    pivori("recover", "--to", tmp_path / "new", cwd=shop)
    after = {name: content for name, content in files(tmp_path / "new").items() if not name.startswith(".git/")}
    assert after == before


def test_it_says_what_it_found_and_why_and_where_the_keys_are(pivori: Pivori, shop: Path) -> None:
    said = pivori("init", "--yes", shop)
    keys = pivori.home / ".config" / "pivori"
    for text in ("server.key looks like a secret", "uploads", "secrets", "KEEP A COPY", str(keys / "secrets.key")):
        assert text in said.stdout
    assert {stat.S_IMODE((keys / name).stat().st_mode) for name in ("secrets.key", "repository.key")} == {0o600}
    assert "ready" in said.stdout


def test_a_second_time_nothing_is_touched(pivori: Pivori, shop: Path) -> None:
    pivori("init", "--yes", shop)
    before = files(shop) | files(pivori.home / ".config")
    refused = pivori("init", "--yes", shop, "--json", expect=1)
    assert json.loads(refused.stderr)["name"] == "stack-file-exists"
    assert files(shop) | files(pivori.home / ".config") == before


def test_a_second_stack_is_sealed_to_the_same_key(pivori: Pivori, shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".env").write_text("A=b\n")
    recipients = []
    for root in (shop, other):
        pivori("init", "--yes", root)
        said = tomllib.loads((root / "pivori.toml").read_text())
        recipients.append(said["components"][0]["recipients"])
    assert recipients[0] == recipients[1]


def test_only_showing_makes_nothing(pivori: Pivori, shop: Path) -> None:
    before = files(shop)
    said = pivori("init", "--dry-run", shop)
    assert "[[components]]" in said.stdout
    assert files(shop) == before
    assert not files(pivori.home)
    assert not (pivori.home / ".config").exists()


def test_nobody_to_ask_makes_nothing(pivori: Pivori, shop: Path) -> None:
    refused = pivori("init", shop, "--json", expect=1)
    assert json.loads(refused.stderr)["name"] == "consent-needed"
    assert "pivori.toml" not in files(shop)
    assert not files(pivori.home)


def test_programs_are_told_everything_in_objects(pivori: Pivori, shop: Path) -> None:
    said = [json.loads(line) for line in pivori("init", "--yes", shop, "--json").stdout.splitlines()]
    assert [item["message_type"] for item in said] == [
        "proposal",
        "initialized",
        "made",
        "inspection",
        "inspection",
        "inspection",
    ]
    assert said[0]["stack"] == "shop"
    assert {"path": "server.key", "line": None} in [place for found in said[0]["found"] for place in found["where"]]
    assert said[2]["path"] == str(shop / "pivori.toml")
    assert [item["component"] for item in said[3:]] == [item["name"] for item in said[0]["components"]]


def test_what_would_fail_is_shown_and_gives_status_3(pivori: Pivori, shop: Path) -> None:
    (shop / "compose.yaml").write_text("services:\n  web: {image: nginx}\n")
    said = pivori("init", "--yes", shop, expect=3)
    assert (shop / "pivori.toml").is_file()
    assert "would fail" in said.stdout
    assert "docker.sock" in said.stderr


def test_a_repository_elsewhere_is_written_down(pivori: Pivori, shop: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("password\n")
    key.chmod(0o600)
    pivori("init", "--yes", shop, "-r", tmp_path / "repository", "--password-file", key)
    assert (tmp_path / "repository" / "config").is_file()
    said = tomllib.loads((shop / "pivori.toml").read_text())
    assert said["repository"] == {"location": str(tmp_path / "repository"), "password": {"file": str(key)}}
    pivori("backup", cwd=shop)
    assert not (pivori.home / ".local" / "share").exists()


def test_a_repository_that_cannot_be_made_leaves_no_key_and_no_file(pivori: Pivori, shop: Path) -> None:
    (pivori.home / ".local").write_text("in the way")
    pivori("init", "--yes", shop, expect=None)
    assert set(files(shop)) == {".env", "server.key", "uploads/photo.jpg", "app.py"}
    assert not (pivori.home / ".config" / "pivori" / "secrets.key").exists()


def test_a_key_that_says_nothing_is_not_used(pivori: Pivori, shop: Path) -> None:
    keys = pivori.home / ".config" / "pivori"
    keys.mkdir(parents=True)
    (keys / "secrets.key").write_text("nonsense\n")
    refused = pivori("init", "--yes", shop, "--json", expect=1)
    assert json.loads(refused.stderr)["name"] == "identity-unknown"
    assert (keys / "secrets.key").read_text() == "nonsense\n"
    assert "pivori.toml" not in files(shop)


def test_the_name_and_the_recipient_are_asked_for(here: Here, shop: Path) -> None:
    here.patch.setattr(sys, "stdin", io.StringIO(f"Not A Name\nmy-shop\nnonsense\n{OWN}\n\n"))
    here("init", shop, terminal=True, stdin_is_terminal=True, stdout_is_terminal=True)
    said = tomllib.loads((shop / "pivori.toml").read_text())
    assert said["stack"]["name"] == "my-shop"
    assert said["components"][0]["recipients"] == [OWN]
    assert "identity" not in said["components"][0]
    assert not (here.home / ".config" / "pivori" / "secrets.key").exists()


@pytest.mark.parametrize("answers", ["", "\n", "\n\nn\n"])
def test_who_does_not_agree_gets_nothing(here: Here, shop: Path, answers: str) -> None:
    here.patch.setattr(sys, "stdin", io.StringIO(answers))
    here("init", shop, terminal=True, stdin_is_terminal=True, stdout_is_terminal=True, expect=1)
    assert "pivori.toml" not in files(shop)
    assert not (here.home / ".config").exists()


def test_an_interruption_anywhere_leaves_nothing_half_made(here: Here, shop: Path) -> None:
    module = Path(stack_making.__file__)
    keys = here.home / ".config" / "pivori" / "secrets.key"
    for number in itertools.count():
        with Interruption(number, module) as interruption:
            here("init", "--yes", shop, expect=None)
        written = shop / "pivori.toml"
        assert not list(shop.glob(".pivori*")), number
        assert written.exists() or not keys.exists(), number
        if written.exists():
            assert tomllib.loads(written.read_text())["components"][0]["recipients"][0] in keys.read_text()
            written.unlink()
            keys.unlink()
        if not interruption.came:
            break
    assert number > 20


def test_without_a_folder_it_makes_a_repository_as_ever(pivori: Pivori) -> None:
    said = pivori("init")
    assert "New repository" in said.stdout
    for option in ("--yes", "--dry-run"):
        pivori("init", option, expect=2)


def test_a_folder_that_is_none_is_refused(pivori: Pivori, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    pivori("init", "--yes", tmp_path / "nowhere", expect=2)
    pivori("init", "--yes", tmp_path / "file", expect=2)


def test_a_folder_that_is_a_link_is_its_target(pivori: Pivori, shop: Path, tmp_path: Path) -> None:
    os.symlink(shop, tmp_path / "link")
    pivori("init", "--yes", tmp_path / "link")
    assert (shop / "pivori.toml").is_file()
