"""``pivori key`` and other commands that ask for a second password, as a person sees them."""

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
