"""A file that is private until it is whole."""

import itertools
import os
import stat
from contextlib import suppress
from pathlib import Path

from pivori.components import private_file
from pivori.components.private_file import PrivateFile, partial_name
from pivori.host.partial import is_partial
from tests.interrupting import Interruption


def test_it_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder" / "file"
    with PrivateFile(place) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not place.exists()
        assert stat.S_IMODE(partial_name(place).stat().st_mode) == 0o600
        file.put()
    assert place.read_bytes() == b"one two"
    assert list(place.parent.iterdir()) == [place]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (place.parent, place.parent.parent)} == {0o700}


def test_the_mask_of_the_process_does_not_matter(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with PrivateFile(tmp_path / "file") as file:
            file.put()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_what_is_there_goes_aside_in_the_last_moment(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"old")
    with PrivateFile(place) as file:
        file.write(b"new")
        assert place.read_bytes() == b"old"
        file.put(lambda path: path.rename(tmp_path / "aside"))
    assert (place.read_bytes(), (tmp_path / "aside").read_bytes()) == (b"new", b"old")


def test_a_link_is_moved_aside_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    place = tmp_path / "file"
    place.symlink_to("elsewhere")
    with PrivateFile(place) as file:
        file.write(b"new")
        file.put(lambda path: path.rename(tmp_path / "aside"))
    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
    assert not place.is_symlink()


def test_what_is_not_put_is_removed(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), PrivateFile(tmp_path / "file") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_replaced_not_followed(tmp_path: Path) -> None:
    place = tmp_path / "file"
    assert is_partial(os.fsencode(partial_name(place).name))
    (tmp_path / "trap").write_bytes(b"untouched")
    partial_name(place).symlink_to("trap")
    with PrivateFile(place) as file:
        file.write(b"whole")
        file.put()
    assert (place.read_bytes(), (tmp_path / "trap").read_bytes()) == (b"whole", b"untouched")


def test_an_interruption_anywhere_leaves_all_or_nothing(tmp_path: Path) -> None:
    for step in itertools.count():
        place = tmp_path / str(step) / "file"
        with Interruption(step, Path(private_file.__file__)) as interruption, PrivateFile(place) as file:
            file.write(b"whole")
            file.put()
        left = [item.name for item in place.parent.iterdir()] if place.parent.exists() else []
        assert left in ([], ["file"]), step
        assert not left or place.read_bytes() == b"whole"
        if not interruption.came:
            break
    assert left == ["file"]
    assert step > 20
