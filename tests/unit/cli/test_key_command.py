"""``pivori key`` and other commands that ask for a second password, as a person sees them."""

import os

import pytest

from pivori.settings import Secret
from tests.unit.cli.conftest import Here


def test_a_missing_second_password_is_asked_for_by_its_own_options(here: Here) -> None:
    (here.home / "source").mkdir()
    here("backup", "source")
    password = here.home / "password"
    password.write_text("x")
    password.chmod(0o600)
    here("init", "-r", "second", "--password-file", password)
    said = here("copy", "--to", "second", expect=1)
    assert "There is no password for" in said.err
    assert "--to-password-file" in said.err
    for verb in ("passwd", "add"):
        assert "--new-password-file" in here("key", verb, expect=1).err
    here("copy", "--to", "second", "--to-password-file", password)


def test_the_key_file_follows_a_new_password(here: Here) -> None:
    (here.home / "source").mkdir()
    here("backup", "source")
    key_file = here.home / ".config/pivori/repository.key"
    old = key_file.read_text()
    new = here.home / "new"
    new.write_text("a new password\n")
    new.chmod(0o600)
    said = here("key", "passwd", "--new-password-file", new)
    assert f"The key file {key_file} holds the new password" in said.out
    assert key_file.read_text() == "a new password\n"
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(key_file.parent) == [key_file.name]
    here("backup", "source")
    new.write_text(old)
    here("snapshots", "--password-file", new, expect=12)
    new.write_text("third")
    assert here.json("key", "passwd", "--new-password-file", new)[0]["key_file"] == str(key_file)


@pytest.mark.parametrize("way", ["--password-file", "--password-file link", "--password-command", "PIVORI_PASSWORD"])
def test_the_key_file_follows_however_the_repository_was_opened(here: Here, way: str) -> None:
    (here.home / "source").mkdir()
    here("backup", "source")
    key_file = here.home / ".config/pivori/repository.key"
    link = here.home / "link"
    link.symlink_to(key_file)
    new = here.home / "new"
    new.write_text("new\n")
    new.chmod(0o600)
    given, environment = {
        "--password-file": (["--password-file", key_file], {}),
        "--password-file link": (["--password-file", link], {}),
        "--password-command": (["--password-command", f"cat {key_file}"], {}),
        "PIVORI_PASSWORD": ([], {"password": Secret(key_file.read_text().strip())}),
    }[way]
    (done,) = here.json("key", "passwd", "--new-password-file", new, *given, **environment)
    assert done["key_file"] == str(key_file)
    here("snapshots")


def test_a_key_file_with_another_password_is_left_alone(here: Here) -> None:
    """It opens the repository by another key, or the repository is not the one it was made for."""
    (here.home / "source").mkdir()
    here("backup", "source")
    key_file = here.home / ".config/pivori/repository.key"
    old = key_file.read_text()
    new = here.home / "new"
    new.write_text("new\n")
    new.chmod(0o600)
    second = here.home / "second"
    second.write_text("second\n")
    second.chmod(0o600)
    here("key", "add", "--new-password-file", second)
    (done,) = here.json("key", "passwd", "--new-password-file", new, "--password-file", second)
    assert "key_file" not in done
    here("init", "-r", "other", "--password-file", key_file)
    (done,) = here.json("key", "passwd", "-r", "other", "--new-password-file", new, "--password-file", key_file)
    assert "key_file" not in done
    assert key_file.read_text() == old
    here("snapshots")


def test_a_key_file_that_cannot_be_written_locks_nobody_out(here: Here) -> None:
    (here.home / "source").mkdir()
    here("backup", "source")
    key_file = here.home / ".config/pivori/repository.key"
    old = key_file.read_text()
    new = here.home / "new"
    new.write_text("new")
    new.chmod(0o600)
    # A name as long as the system takes: nothing can be written beside it.
    longest = here.home / ("k" * 255)
    key_file.rename(longest)
    key_file.symlink_to(longest)
    said = here("key", "passwd", "--new-password-file", new, expect=1)
    assert "both open the repository" in said.err
    assert key_file.read_text() == old
    here("backup", "source")
    here("snapshots", "--password-file", new)


@pytest.mark.parametrize("password", [" ends with spaces ", "\ufeffmarked"])
def test_a_password_that_no_file_can_hold_is_told(here: Here, password: str) -> None:
    (here.home / "source").mkdir()
    here("backup", "source")
    with here.patch.context() as patch:
        patch.setattr("getpass.getpass", lambda _prompt: password)
        said = here("key", "passwd")
    assert "no longer opens the repository" in said.err
    here("snapshots", expect=12)
    here("snapshots", password=Secret(password))
