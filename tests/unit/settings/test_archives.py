"""Where archives go and where their passwords come from."""

from pathlib import Path

import pytest

from pivori.settings.archives import (
    ArchivePasswordChoices,
    archive_directory,
    archive_password,
)
from pivori.settings.credentials import KeyFilePermissions
from pivori.settings.desktop_keyring import KeyringFailed
from pivori.settings.load import Environment, load_environment
from pivori.settings.resolve import ConflictingOptions
from pivori.settings.secret import Secret

NOTHING = ArchivePasswordChoices()


def secret_file(path: Path, word: str) -> str:
    path.write_text(word + "\n")
    path.chmod(0o600)
    return str(path)


def test_the_directory() -> None:
    named = Environment(backup_directory=Path("/srv/archives"))
    assert archive_directory(named, "/given") == Path("/given")
    assert archive_directory(named, None) == Path("/srv/archives")
    assert archive_directory(Environment(), None) == Path("/backups")


def test_nobody_named_a_password() -> None:
    assert archive_password(Environment(password=Secret("of the repository")), NOTHING) is None


def test_the_order_of_the_variables(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "word", "from the file")
    value = Environment(archive_password=Secret("the value"))
    assert archive_password(value, NOTHING) == Secret("the value")
    both = Environment(archive_password=Secret("the value"), archive_password_file=file)
    assert archive_password(both, NOTHING) == Secret("from the file")
    command = Environment(archive_password=Secret("the value"), archive_password_command="echo from the command")
    assert archive_password(command, NOTHING) == Secret("from the command")


def test_an_option_beats_them_all(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "word", "chosen")
    environment = Environment(archive_password=Secret("x"), archive_password_command="exit 1")
    assert archive_password(environment, ArchivePasswordChoices(file=file)) == Secret("chosen")


def test_two_places_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ConflictingOptions):
        archive_password(Environment(), ArchivePasswordChoices(file="a", keyring="b/c"))
    with pytest.raises(ConflictingOptions):
        archive_password(Environment(archive_password_file="a", archive_password_command="b"), NOTHING)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "word", "x")
    Path(file).chmod(0o644)
    with pytest.raises(KeyFilePermissions):
        archive_password(Environment(), ArchivePasswordChoices(file=file))


def test_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import PasswordSetError

    class Held(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return "in the ring" if (service, username) == ("backups", "me") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise PasswordSetError("nothing is kept here")

    before = keyring.get_keyring()
    keyring.set_keyring(Held())
    try:
        assert archive_password(Environment(), ArchivePasswordChoices(keyring="backups/me")) == Secret("in the ring")
        with pytest.raises(KeyringFailed, match="backups/you"):
            archive_password(Environment(), ArchivePasswordChoices(keyring="backups/you"))
    finally:
        keyring.set_keyring(before)


def test_the_environment_gives_it_and_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("PIVORI_ARCHIVE_PASSWORD", "geheim")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    monkeypatch.setenv("PIVORI_BACKUP_DIR", "/b")
    environment = load_environment()
    assert environment.archive_password == Secret("geheim")
    assert "PIVORI_ARCHIVE_PASSWORD" not in os.environ
    assert environment.state_directory == Path("/state/pivori")
    assert environment.backup_directory == Path("/b")
    assert "geheim" not in repr(environment)
