"""The picture of the environment: folders, language, what is never in it."""

from pathlib import Path

import pytest

from pivori.settings.load import Environment, NoHomeDirectory, load_environment, load_languages


def test_folders_follow_the_xdg_specification() -> None:
    environment = load_environment({"HOME": "/home/ada", "XDG_DATA_HOME": "/data", "XDG_CACHE_HOME": "relative"})
    assert environment.default_repository == Path("/data/pivori/repository")
    assert environment.default_key_file == Path("/home/ada/.config/pivori/repository.key")
    assert environment.cache_directory == Path("/home/ada/.cache/pivori")
    assert environment.state_directory == Path("/home/ada/.local/state/pivori")
    assert load_environment({"XDG_STATE_HOME": "/state"}).state_directory == Path("/state/pivori")


def test_the_user_database_says_what_home_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        pw_dir = "/from/the/database"

    monkeypatch.setattr("pwd.getpwuid", lambda _uid: Entry)
    assert load_environment({"HOME": ""}).home == Path("/from/the/database")


def test_a_user_without_any_home_has_no_default_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    environment = load_environment({})
    assert environment.cache_directory is None
    assert environment.state_directory is None
    with pytest.raises(NoHomeDirectory):
        _ = environment.default_repository
    assert load_environment({"XDG_DATA_HOME": "/d"}).default_repository == Path("/d/pivori/repository")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ()),
        ({"LANG": "fr_FR.UTF-8"}, ("fr_FR.UTF-8",)),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, ()),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "fr_CA"}, ("fr_CA",)),
        ({"LANG": "", "LC_ALL": "", "LC_MESSAGES": "fr"}, ("fr",)),
        ({"LANG": "de_DE", "LANGUAGE": "fr:de"}, ("fr", "de", "de_DE")),
        ({"LANG": "fr_FR", "LANGUAGE": "en:fr"}, ()),
        ({"LANG": "fr_FR", "LANGUAGE": "es:en_GB:fr"}, ("es",)),
        ({"LC_ALL": "C", "LANGUAGE": "fr"}, ()),
        ({"LC_ALL": "C.UTF-8", "LANGUAGE": "fr"}, ("fr",)),
        ({"LANGUAGE": "fr"}, ("fr",)),
    ],
)
def test_languages(variables: dict[str, str], expected: tuple[str, ...]) -> None:
    assert load_languages(variables) == expected


def test_empty_variables_are_absent_and_the_password_is_never_shown() -> None:
    environment = load_environment(
        {"HOME": "/h", "PIVORI_REPOSITORY": "", "PIVORI_PASSWORD": "hunter2", "COLUMNS": "x", "NO_COLOR": ""}
    )
    assert environment.repository is None
    assert environment.columns is None
    assert not environment.no_color
    assert environment.password is not None
    assert environment.password.reveal() == "hunter2"
    assert "hunter2" not in repr(environment)


def test_columns_and_colour() -> None:
    environment = load_environment({"HOME": "/h", "COLUMNS": "132", "NO_COLOR": "1"})
    assert (environment.columns, environment.no_color) == (132, True)
    assert load_environment({"COLUMNS": "0"}).columns is None


def test_an_environment_made_by_hand_has_nothing() -> None:
    assert Environment().password is None


def test_directories_of_archives_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    variables = {"PIVORI_PROJECT_DIR": "p", "PIVORI_BACKUP_DIR": "/b", "PIVORI_LOG_DIR": ""}
    environment = load_environment({"HOME": "/h", **variables})
    assert environment.project_directory == tmp_path / "p", "leaving it out would save something else"
    assert (environment.backup_directory, environment.log_directory) == (Path("/b"), None)


def test_the_configuration_and_all_variables_for_the_secrets_it_names() -> None:
    environment = load_environment({"PIVORI_CONFIG": "shop.toml", "DB_PASSWORD": "hunter2", "EMPTY": ""})
    assert environment.configuration == "shop.toml"
    assert environment.variables["DB_PASSWORD"].reveal() == "hunter2"
    assert "EMPTY" not in environment.variables
    assert "hunter2" not in repr(environment)
    assert "hunter2" not in repr(environment.variables)
    assert hash(environment) == hash(load_environment({"PIVORI_CONFIG": "shop.toml"}))


def test_where_configurations_are() -> None:
    assert load_environment({"HOME": "/home/ada"}).configurations == Path("/home/ada/.config")
    assert load_environment({"HOME": "/home/ada", "XDG_CONFIG_HOME": "/c"}).configurations == Path("/c")
    assert Environment().configurations is None
