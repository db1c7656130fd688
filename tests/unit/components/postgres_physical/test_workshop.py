"""Where a cluster is brought back, and how it gets to its place."""

import os
from pathlib import Path

import pytest

from pivori.components.postgres_physical.account import Account
from pivori.components.postgres_physical.workshop import clear_up, move, top_for, workshop

OURS = Account(name="ours", uid=os.geteuid(), gid=os.getegid())
STRANGER = Account(name="stranger", uid=54321, gid=54321)


def test_it_is_beside_the_place_or_above_the_folder_that_is_closed(tmp_path: Path) -> None:
    place = tmp_path / "to" / "bank" / "data"
    place.parent.mkdir(parents=True)
    assert top_for(place, OURS) == place.parent
    closed = STRANGER.closed_folder(place)
    assert closed is not None
    assert top_for(place, STRANGER) == closed.parent


def test_it_is_gone_afterwards_and_after_a_kill(tmp_path: Path) -> None:
    with workshop(tmp_path, OURS, tmp_path) as folder:
        (folder / "file").touch()
        note = (tmp_path / "workshop").read_bytes()
    assert not list(tmp_path.iterdir())
    assert clear_up(tmp_path) is None
    folder.mkdir()
    (tmp_path / "workshop").write_bytes(note)
    assert clear_up(tmp_path) == folder
    assert not list(tmp_path.iterdir())


def test_a_note_that_names_another_folder_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "workshop").write_bytes(os.fsencode(tmp_path / "precious"))
    assert clear_up(tmp_path) is None
    assert (tmp_path / "precious").is_dir()


def test_it_moves_to_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "from" / "data"
    (data / "base").mkdir(parents=True)
    (data / "base" / "1").write_bytes(b"content")
    (data / "link").symlink_to("/nowhere")
    usual = Path.rename

    def across(self: Path, target: Path) -> Path:
        if self == data:
            raise OSError(18, "Invalid cross-device link")
        return usual(self, target)

    monkeypatch.setattr(Path, "rename", across)
    move(data, tmp_path / "to", OURS)
    assert (tmp_path / "to" / "base" / "1").read_bytes() == b"content"
    assert (tmp_path / "to" / "link").is_symlink()
    assert {item.name for item in tmp_path.iterdir()} == {"from", "to"}
