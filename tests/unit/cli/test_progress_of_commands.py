"""What commands say of how far they are, from their first step to the last."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.unit.cli.conftest import HastyClock, Here


@pytest.fixture
def source(here: Here) -> Path:
    """A folder with files of one and of several blobs, and a second name of one of them."""
    folder = here.home / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "large").write_bytes(os.urandom(5 << 20))
    for number in range(20):
        (folder / "sub" / f"{number}.txt").write_bytes(os.urandom(30_000))
    os.link(folder / "large", folder / "sub" / "large too")
    return folder


@pytest.mark.parametrize("again", [False, True], ids=["new", "in place"])
def test_a_restore_says_how_far_it_is(here: Here, source: Path, again: bool) -> None:
    here("backup", source)
    for _ in range(1 + again):
        shown = here("restore", "latest", "--target", "back", terminal=True).err
    assert re.search(r"[1-9][0-9]?%", shown)
    assert " left" in shown
    assert "of 22 files" in shown
    assert "of 10.6 MiB" in shown
    assert not again or "1 of 22 files" in shown  # counted while it is compared


@pytest.mark.parametrize("selection", [[], ["--include", "*.txt"]])
def test_programs_are_told_too(here: Here, source: Path, selection: list[str]) -> None:
    here("backup", source)
    said = here("restore", "latest", "--target", "back", "--json", *selection, clock=HastyClock()).out
    *states, _summary = map(json.loads, said.splitlines())
    assert states
    shares = [state["percent_done"] for state in states]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert states[-1]["total_files"] == (20 if selection else 22)


def test_what_nobody_is_told_is_not_counted(here: Here, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of a part of a snapshot are counted by a walk of their own, once there is something to be shown."""
    here("backup", source)
    walks: list[object] = []
    monkeypatch.setattr("pivori.engine.restore.request.items_of", lambda *words: walks.append(words) or [])
    given = ("restore", "latest", "--target", "back", "--include", "*.txt")
    here(*given)  # it is done before a line is due
    here(*given, "--quiet", clock=HastyClock())
    assert not walks
    here(*given, "--json", clock=HastyClock())
    assert len(walks) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("verify", "folder"),
        ("verify --read-data", "pack"),
        ("prune --max-unused 0", "folder"),
        ("stats --mode raw-data", "folder"),
        ("stats --mode restore-size", "file"),
    ],
)
def test_what_is_counted_is_named(here: Here, source: Path, command: str, words: str) -> None:
    here("backup", source)
    shown = here(*command.split(), terminal=True).err
    assert re.search(rf"[1-9] {words}|[0-9] of [0-9]+ {words}", shown), shown
    if words != "file":
        assert not re.search("[0-9] files?", shown), shown


def test_a_stream_has_no_files_to_count(here: Here) -> None:
    command = ["python3", "-c", "import os; os.write(1, bytes(20 << 20))"]
    shown = here("backup", "--stdin-from-command", "zeros", "--", *command, terminal=True).err
    assert "MiB · " in shown
    assert not re.search("[0-9] files?", shown), shown


def cursor(shown: str) -> list[str]:
    """What becomes of the cursor: a bar hides it, and shows it again when it is closed."""
    return re.findall(r"\x1b\[\?25([lh])", shown)


def test_a_display_is_closed_before_the_next_one(here: Here, source: Path) -> None:
    """A terminal is left as it was found, and no two bars are drawn at once."""
    here("backup", source)
    exported = cursor(here("archive", "export", "latest", "-o", "out.zip", terminal=True).err)
    assert exported[:2] == ["l", "h"]
    assert exported == ["l", "h"] * (len(exported) // 2)
    assert len(exported) >= 4
    here("archive", "create", source, "-o", "other.zip")
    imported = cursor(here("archive", "import", "out.zip", "other.zip", terminal=True).err)
    assert imported == ["l", "h"] * 2
