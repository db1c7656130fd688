"""A new private key."""

import itertools
import stat
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from pivori.components import private_file
from pivori.components.secrets import IdentityNotWritten, identity, new_identity
from tests.interrupting import Interruption


def test_age_itself_opens_with_it(tmp_path: Path) -> None:
    recipient = new_identity(tmp_path / "key")
    sealed = subprocess.run(["age", "-r", recipient], input=b"secret", capture_output=True, check=True).stdout
    opened = subprocess.run(["age", "-d", "-i", tmp_path / "key"], input=sealed, capture_output=True, check=True).stdout
    assert opened == b"secret"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    new_identity(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_its_first_line_is_the_key(tmp_path: Path) -> None:
    recipient = new_identity(tmp_path / "key")
    first, second = (tmp_path / "key").read_text().splitlines()
    assert first.startswith("AGE-SECRET-KEY-1")
    assert second.endswith(recipient)


def test_a_key_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"precious")
    with pytest.raises(IdentityNotWritten, match="File exists"):
        new_identity(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == b"precious"


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IdentityNotWritten, match="Not a directory"):
        new_identity(tmp_path / "file" / "key")
    new_identity(tmp_path / "new" / "key")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("module", [identity, private_file])
def test_an_interruption_anywhere_leaves_a_whole_key_or_none(tmp_path: Path, module: ModuleType) -> None:
    for step in itertools.count():
        folder = tmp_path / f"{module.__name__} {step}"
        folder.mkdir()
        with Interruption(step, Path(str(module.__file__))) as interruption:
            new_identity(folder / "key")
        left = list(folder.iterdir())
        assert left in ([], [folder / "key"]), step
        assert not left or len((folder / "key").read_text().splitlines()) == 2, step
        if not interruption.came:
            break
    assert left == [folder / "key"]
