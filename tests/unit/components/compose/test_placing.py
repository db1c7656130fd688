"""Folders and files take their places whole, also where a place cannot be renamed."""

from pathlib import Path

import pytest

from pivori.components.base import Consistency, Report
from pivori.components.compose.placing import PlaceRefused, describe_root, partial_of, swap, write_beside
from pivori.components.compose.running import VolumeUnreadable
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import move_aside
from tests.conftest import small_file_system


def capture_of(tmp_path: Path, place: Path) -> FolderCapture:
    """A capture in which what is at ``place`` is another one."""
    stored = tmp_path / "capture" / str(place).lstrip("/")
    if place.is_dir():
        stored.mkdir(parents=True)
        (stored / "old").write_text("old")
    else:
        stored.parent.mkdir(parents=True)
        stored.write_text("old")
    return FolderCapture(tmp_path / "capture", Report(consistency=Consistency.FILES))


@pytest.mark.root
def test_a_folder_where_a_file_system_is_mounted_keeps_it(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with small_file_system(place, "1m"):
        (place / "new").write_text("new")
        source = capture_of(tmp_path, place)
        root = describe_root(place)
        device = place.stat().st_dev
        aside = tmp_path / "aside"
        aside.mkdir()

        def put_aside(path: Path) -> Path:
            (aside / path.name).write_bytes(path.read_bytes())
            path.unlink()
            return aside / path.name

        assert write_beside(source, "", root, place) == 3
        assert (place / "new").exists()
        swap(place, root, put_aside)
        assert [item.name for item in place.iterdir()] == ["old"]
        assert [item.name for item in aside.iterdir()] == ["new"]
        assert place.stat().st_dev == device


def test_a_file_takes_the_place_of_a_file(tmp_path: Path) -> None:
    place = tmp_path / "file.ini"
    place.write_text("new")
    source, root = capture_of(tmp_path, place), describe_root(place)
    write_beside(source, "", root, place)
    assert place.read_text() == "new"
    swap(place, root, move_aside)
    assert place.read_text() == "old"
    assert (tmp_path / "file.ini.aside-1").read_text() == "new"
    assert not partial_of(place).exists()


def test_a_place_that_is_not_freed_is_told(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "new").touch()
    source, root = capture_of(tmp_path, place), describe_root(place)
    write_beside(source, "", root, place)
    with pytest.raises(PlaceRefused):
        swap(place, root, lambda path: path)
    assert (place / "new").exists()


def test_left_overs_of_a_killed_run_do_not_come_back(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    source, root = capture_of(tmp_path, place), describe_root(place)
    partial_of(place).mkdir()
    (partial_of(place) / "left-over").touch()
    write_beside(source, "", root, place)
    swap(place, root, move_aside)
    assert [item.name for item in place.iterdir()] == ["old"]


def test_a_root_that_has_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VolumeUnreadable):
        describe_root(tmp_path / "gone")
