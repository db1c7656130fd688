"""Defaults and precedence: what option beats which variable, and which repository is the default one."""

from pathlib import Path

import pytest

from pivori.settings import Choices, Environment, PasswordFrom, Secret
from pivori.settings.resolve import ConflictingOptions, EmptyOption, resolve

HOME = Environment(home=Path("/home/ada"))


def environment(**values: object) -> Environment:
    return Environment(home=Path("/home/ada"), **values)


def test_nothing_given_means_the_default_repository_with_its_key() -> None:
    settings = resolve(HOME, Choices())
    assert settings.repository == "/home/ada/.local/share/pivori/repository"
    assert settings.repository_is_default
    assert settings.password.kind is PasswordFrom.KEY_FILE
    assert settings.password.path == settings.key_file == Path("/home/ada/.config/pivori/repository.key")
    assert settings.cache_directory == Path("/home/ada/.cache/pivori")
    assert settings.state_directory == Path("/home/ada/.local/state/pivori")


def test_the_default_repository_is_recognised_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    here = Environment(home=tmp_path)
    for text in (
        f"{tmp_path}/.local/share/pivori/repository/",
        f"{tmp_path}/link/.local/share/pivori/repository",
        f"local:{tmp_path}/.local/share/pivori/repository",
    ):
        assert resolve(here, Choices(repository=text)).repository_is_default, text
    assert not resolve(here, Choices(repository=f"{tmp_path}/other")).repository_is_default


def test_another_repository_never_gets_the_default_key() -> None:
    settings = resolve(HOME, Choices(repository="/mnt/r"))
    assert settings.key_file is None
    assert settings.password.kind is PasswordFrom.NOWHERE
    at_terminal = resolve(environment(stderr_is_terminal=True), Choices(repository="/mnt/r"))
    assert at_terminal.password.kind is PasswordFrom.TERMINAL


def test_an_option_beats_its_variable() -> None:
    settings = resolve(environment(repository="/from/variable"), Choices(repository="/from/option"))
    assert settings.repository == "/from/option"
    assert resolve(environment(repository="/from/variable"), Choices()).repository == "/from/variable"


def test_password_sources_in_their_order() -> None:
    everything = environment(password=Secret("v"), password_file="/pf", password_command=None)
    assert resolve(everything, Choices(password_command="cmd")).password.kind is PasswordFrom.COMMAND
    assert resolve(everything, Choices(password_file="/other")).password.path == Path("/other")
    assert resolve(everything, Choices()).password.path == Path("/pf")
    assert resolve(environment(password_command="pc", password=Secret("v")), Choices()).password.command == "pc"
    assert resolve(environment(password=Secret("v")), Choices()).password.value == Secret("v")


def test_file_and_command_at_once_are_refused() -> None:
    with pytest.raises(ConflictingOptions) as caught:
        resolve(HOME, Choices(password_file="a", password_command="b"))
    assert caught.value.exit_status == 2
    with pytest.raises(ConflictingOptions, match="PIVORI_PASSWORD_FILE"):
        resolve(environment(password_file="a", password_command="b"), Choices())
    # An option sets the variables aside, also when these contradict each other.
    resolve(environment(password_file="a", password_command="b"), Choices(password_file="c"))


@pytest.mark.parametrize("name", ["repository", "password_file", "password_command", "cache_dir"])
def test_an_empty_option_is_not_the_default(name: str) -> None:
    with pytest.raises(EmptyOption):
        resolve(HOME, Choices(**{name: ""}))


def test_the_cache() -> None:
    assert resolve(HOME, Choices(no_cache=True, cache_dir="/c")).cache_directory is None
    assert resolve(HOME, Choices(cache_dir="/c")).cache_directory == Path("/c")


def test_without_a_home_a_named_repository_works() -> None:
    settings = resolve(Environment(password=Secret("x")), Choices(repository="/mnt/r"))
    assert not settings.repository_is_default
    assert settings.cache_directory is None
