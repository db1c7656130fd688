"""Which configuration file is in force."""

import os
from pathlib import Path

import pytest

from pivori.settings.finding import ConfigurationMissing, ConfigurationNotTrusted, find_configuration, put_in_force
from pivori.settings.load import Environment, load_environment
from pivori.settings.model import Choices
from pivori.settings.resolve import EmptyOption

NOTHING = Choices()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / "work" / "shop" / "src").mkdir(parents=True)
    monkeypatch.chdir(home / "work" / "shop" / "src")
    return home


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pivori.toml"
    path.write_text("")
    return path


def test_none(home: Path) -> None:
    assert find_configuration(Environment(home=home), NOTHING) is None
    assert find_configuration(Environment(), NOTHING) is None


def test_the_option_comes_first_then_the_variable_then_the_nearest_file_then_that_of_the_user(home: Path) -> None:
    of_user = make(home / ".config" / "pivori")
    assert find_configuration(Environment(home=home), NOTHING) == of_user
    assert find_configuration(Environment(config_home=home / ".config"), NOTHING) == of_user
    far = make(home / "work")
    assert find_configuration(Environment(home=home), NOTHING) == far
    near = make(home / "work" / "shop")
    assert find_configuration(Environment(home=home), NOTHING) == near
    by_variable = make(home / "variable")
    environment = Environment(home=home, configuration=str(by_variable))
    assert find_configuration(environment, NOTHING) == by_variable
    by_option = make(home / "option")
    assert find_configuration(environment, Choices(config=str(by_option))) == by_option


def test_the_search_ends_at_home(home: Path, tmp_path: Path) -> None:
    above = make(tmp_path)
    assert find_configuration(Environment(home=home), NOTHING) is None
    assert find_configuration(Environment(home=tmp_path / "elsewhere"), NOTHING) == above


def test_the_search_ends_where_another_file_system_begins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(home / "work")
    stat = Path.stat

    def with_a_mount(path: Path, **options: bool) -> os.stat_result:
        found = list(stat(path, **options))
        if path == home / "work":
            found[2] += 1
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", with_a_mount)
    assert find_configuration(Environment(home=home), NOTHING) is None


def test_a_folder_of_that_name_is_no_file(home: Path) -> None:
    (home / "work" / "shop" / "pivori.toml").mkdir()
    assert find_configuration(Environment(home=home), NOTHING) is None


def test_a_current_folder_that_is_gone(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    of_user = make(home / ".config" / "pivori")
    assert find_configuration(Environment(home=home), NOTHING) == of_user
    monkeypatch.chdir(home)


def test_a_file_that_everybody_may_write_to_is_not_run_across(home: Path) -> None:
    path = make(home / "work")
    path.chmod(0o666)
    with pytest.raises(ConfigurationNotTrusted, match=str(path)):
        find_configuration(Environment(home=home), NOTHING)
    assert find_configuration(Environment(home=home), Choices(config=str(path))) == path


@pytest.mark.root
def test_a_file_of_somebody_else_is_not_run_across(home: Path) -> None:
    path = make(home / "work")
    os.chown(path, 4_000_001, -1)
    with pytest.raises(ConfigurationNotTrusted):
        find_configuration(Environment(home=home), NOTHING)
    assert find_configuration(Environment(home=home, configuration=str(path)), NOTHING) == path


@pytest.mark.root
def test_a_link_of_somebody_else_is_not_run_across(home: Path, tmp_path: Path) -> None:
    link = home / "work" / "pivori.toml"
    link.symlink_to(make(tmp_path / "mine"))
    assert find_configuration(Environment(home=home), NOTHING) == link
    os.chown(link, 4_000_001, -1, follow_symlinks=False)
    with pytest.raises(ConfigurationNotTrusted):
        find_configuration(Environment(home=home), NOTHING)


def test_the_null_device_is_no_configuration(home: Path) -> None:
    make(home / "work")
    assert find_configuration(Environment(home=home), Choices(config="/dev/null")) is None
    assert find_configuration(Environment(home=home, configuration="/dev/null"), NOTHING) is None


def test_a_file_that_is_named_has_to_be_there(home: Path) -> None:
    with pytest.raises(ConfigurationMissing, match="nowhere"):
        find_configuration(Environment(home=home), Choices(config="nowhere"))
    with pytest.raises(ConfigurationMissing):
        find_configuration(load_environment({"PIVORI_CONFIG": "nowhere"}), NOTHING)
    with pytest.raises(EmptyOption):
        find_configuration(Environment(home=home), Choices(config=""))


def test_a_new_file_is_put_in_force_where_there_is_none(home: Path, tmp_path: Path) -> None:
    environment = Environment(home=home)
    stack = make(tmp_path / "stack")
    link = put_in_force(environment, stack)
    assert link == home / ".config" / "pivori" / "pivori.toml"
    assert find_configuration(environment, NOTHING) == stack
    assert put_in_force(environment, make(tmp_path / "second")) is None
    assert find_configuration(environment, NOTHING) == stack


def test_a_link_to_a_file_that_has_gone_gives_way(home: Path, tmp_path: Path) -> None:
    environment = Environment(home=home)
    stack = make(tmp_path / "stack")
    put_in_force(environment, stack)
    stack.unlink()
    assert find_configuration(environment, NOTHING) is None
    second = make(tmp_path / "second")
    assert put_in_force(environment, second) is not None
    assert find_configuration(environment, NOTHING) == second


def test_what_is_in_force_already_stays(home: Path, tmp_path: Path) -> None:
    near = make(home / "work")
    assert put_in_force(Environment(home=home), make(tmp_path / "stack")) is None
    assert find_configuration(Environment(home=home), NOTHING) == near
    assert put_in_force(Environment(), near) is None
