"""Recovery points are ordinary snapshots to the real restic: it checks, lists, restores, copies and prunes them."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.restic import Restic


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stack of files and the output of a command, of which there are two recovery points."""
    folder = tmp_path / "app"
    (folder / "data" / "sub").mkdir(parents=True)
    (folder / "data" / "a").write_bytes(os.urandom(3 << 20))
    (folder / "data" / "sub" / "é").write_text("é")
    (folder / "data" / "link").symlink_to("a")
    (folder / "dump").write_bytes(os.urandom(5 << 20))
    (folder / "pivori.toml").write_text(
        """
        [stack]
        name = "shop"
        [[components]]
        name = "data"
        kind = "files"
        paths = ["data"]
        [[components]]
        name = "dump"
        kind = "command"
        capture = "cat DUMP"
        """.replace("DUMP", str(folder / "dump"))
    )
    return folder


def test_restic_reads_them(restic: Restic, pivori: Pivori, folder: Path, tmp_path: Path) -> None:
    repository, password = tmp_path / "repository", tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o600)
    options = ("-r", str(repository), "--password-file", str(password))
    pivori(*options, "init")
    pivori(*options, "backup", cwd=folder)
    (folder / "data" / "a").write_text("changed")
    last = pivori.json(
        *options, "backup", "--component", "data", "--accept-smaller", "data", "--config", folder / "pivori.toml"
    )
    restic.check(repository, password)
    snapshots = restic.json(repository, password, "snapshots", "--tag", "stack=shop,component=data")
    assert [snapshot["paths"] for snapshot in snapshots] == [["/data", "/dump"], ["/data"]]
    assert snapshots[1]["id"] == last["snapshot_id"]
    assert snapshots[1]["parent"] == snapshots[0]["id"]
    restic.run(repository, password, "restore", snapshots[0]["id"], "--target", tmp_path / "out")
    assert (tmp_path / "out" / "dump" / "data").read_bytes() == (folder / "dump").read_bytes()
    restored = tmp_path / "out" / "data" / folder.relative_to("/") / "data"
    assert (restored / "sub" / "é").read_text() == "é"
    assert (restored / "link").readlink() == Path("a")
    record = json.loads((tmp_path / "out" / ".pivori" / "recovery-point.json").read_text())
    assert [each["outcome"] for each in record["components"]] == ["captured", "captured"]
    assert "restic" in (tmp_path / "out" / "RECOVERY.md").read_text()
    restic.run(repository, password, "forget", snapshots[0]["id"], "--prune")
    restic.check(repository, password)
    # What is left of the stack after that still comes back.
    pivori(*options, "recover", "--component", "data", "--to", tmp_path / "new", "--config", folder / "pivori.toml")
    assert (tmp_path / "new" / "data" / "a").read_text() == "changed"
