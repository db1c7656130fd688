"""``pivori restore`` as a person sees it."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Here


@pytest.fixture
def source(here: Here) -> Path:
    """A folder that is backed up."""
    folder = here.home / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.py").write_text("b")
    here("backup", "source")
    return folder


def test_a_rehearsal_in_place_names_whole_paths_and_only_what_changes(here: Here, source: Path) -> None:
    (source / "a.txt").write_text("other")
    lines = here("restore", "latest", "--in-place", "--dry-run").out.splitlines()
    assert lines[0].split() == ["update", f"{source}/a.txt"]
    assert lines[1].startswith("This was a rehearsal: update 1, keep ")
    assert lines[1].endswith("; 1 B to be written.")
    said = here("restore", "latest", "--in-place", "--dry-run", "-v").out
    assert ["keep", f"{source}/sub/b.py"] in [line.split() for line in said.splitlines()]
    *steps, summary = here.json("restore", "latest", "--in-place", "--dry-run")
    (update,) = (step for step in steps if step["action"] == "update")
    assert (update["path"], update["size"], update["written"]) == (f"{source}/a.txt"[1:], 1, 1)
    assert summary["bytes"] == 1


def test_a_rehearsal_into_a_new_folder_says_everything(here: Here, source: Path) -> None:
    said = here("restore", f"latest:{source}", "--target", "new", "--dry-run").out
    assert [line.split() for line in said.splitlines()[:3]] == [
        ["create", "a.txt"],
        ["create", "sub"],
        ["create", "sub/b.py"],
    ]
    assert not (here.home / "new").exists()


def test_what_could_not_be_restored_in_place_is_named_whole(here: Here, source: Path) -> None:
    said = []
    for pack in here.home.glob(".local/share/pivori/repository/data/*/*"):
        (source / "a.txt").unlink(missing_ok=True)
        content = pack.read_bytes()
        pack.chmod(0o600)
        pack.write_bytes(bytes(60) + content[60:])
        said.append(here("restore", "latest", "--in-place", "--include", "a.txt", expect=None).err)
        pack.write_bytes(content)
    assert any(text.startswith(f"{source}/a.txt was not restored: ") for text in said)


def test_a_rehearsal_into_a_new_folder_says_what_would_be_rebuilt(here: Here) -> None:
    service = here.home / "source" / "shop"
    (service / "node_modules" / "a").mkdir(parents=True)
    (service / "package.json").write_text("{}")
    (service / "package-lock.json").write_text(json.dumps({"packages": {"node_modules/a": {}}}))
    here("backup", "source", "--strategy", "smart")
    given = ("restore", f"latest:{here.home}/source", "--target", "new", "--rebuild", "--dry-run")
    (step,) = (each for each in here.json(*given) if each["message_type"] == "rebuild")
    assert (step["path"], step["state"]) == ("shop/node_modules", "planned")
