"""The repository and the place of its password, as the configuration names them."""

from pathlib import Path

import pytest

from pivori.settings import Choices, Environment, PasswordFrom, Secret
from pivori.settings.credentials import KeyFilePermissions, PasswordCommandFailed, find_password
from pivori.settings.load import VariableNotSet, load_environment
from pivori.settings.resolve import resolve
from pivori.settings.stack_file import ConfigurationWrong
from pivori.settings.stack_file.repository import configured_repository

HERE = Environment(home=Path("/home/ada"))


def configured(tmp_path: Path, text: str, environment: Environment = HERE):
    path = tmp_path / "pivori.toml"
    path.write_text(text)
    return configured_repository(path, environment)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/mnt/backup", "/mnt/backup"),
        ("backup/x", "{root}/backup/x"),
        ("./local:x", "{root}/local:x"),
        ("~/backup", "/home/ada/backup"),
        ("local:/x", "local:/x"),
    ],
)
@pytest.mark.parametrize("root", ["", "/srv/shop"])
def test_a_path_is_seen_from_the_root(written: str, meant: str, root: str, tmp_path: Path) -> None:
    text = f'[repository]\nlocation = "{written}"\n' + (f'[stack]\nroot = "{root}"\n' if root else "")
    found = configured(tmp_path, text)
    assert found.repository == meant.format(root=root or tmp_path)
    assert found.path == tmp_path / "pivori.toml"


def test_the_rest_of_the_file_is_not_looked_at(tmp_path: Path) -> None:
    found = configured(tmp_path, '[repository]\nlocation = "/x"\n[stack]\nnonsense = 1\n[[components]]\n')
    assert (found.repository, found.password) == ("/x", None)


def test_where_the_table_is_wrong_all_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationWrong, match=r"(?s)repository.locaton.*stack.nonsense"):
        configured(tmp_path, '[repository]\nlocaton = "/x"\n[stack]\nname = "x"\nnonsense = 1\n')
    with pytest.raises(ConfigurationWrong, match="in clear"):
        configured(tmp_path, '[repository]\npassword = "x"\n')


def test_no_table_says_nothing(tmp_path: Path) -> None:
    found = configured(tmp_path, "")
    assert (found.repository, found.password) == (None, None)


def password(tmp_path: Path, reference: str, environment: Environment = HERE) -> Secret:
    found = configured(tmp_path, f"[repository]\nlocation = 'r'\npassword = {{ {reference} }}\n", environment)
    settings = resolve(environment, Choices(), found)
    assert settings.password.kind is PasswordFrom.CONFIGURATION

    def nobody(_new: bool) -> Secret:
        raise AssertionError

    return find_password(settings.password, settings.repository, ask=nobody)


def test_each_place_of_a_password(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(" in the file \n")
    (tmp_path / "pw").chmod(0o600)
    (tmp_path / ".env").write_text("A=b\nURL=postgresql://me:in-the-env@host/x\n")
    assert password(tmp_path, 'file = "pw"') == Secret("in the file")
    assert password(tmp_path, 'command = "echo said"') == Secret("said")
    assert password(tmp_path, 'env-file = ".env", key = "URL"') == Secret("in-the-env")
    environment = load_environment({"MY": "in the variable", "HOME": "/home/ada"})
    assert password(tmp_path, 'env = "MY"', environment) == Secret("in the variable")


def test_each_way_not_to_find_it(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("x")
    (tmp_path / "pw").chmod(0o644)
    with pytest.raises(KeyFilePermissions):
        password(tmp_path, 'file = "pw"')
    with pytest.raises(PasswordCommandFailed):
        password(tmp_path, 'command = "false"')
    with pytest.raises(VariableNotSet, match="MY"):
        password(tmp_path, 'env = "MY"')
    with pytest.raises(PasswordCommandFailed):
        password(tmp_path, 'command = "echo"')


def test_options_and_variables_come_before_the_file(tmp_path: Path) -> None:
    text = '[repository]\nlocation = "/of/the/file"\npassword = { env = "X" }\n'
    found = configured(tmp_path, text)
    assert resolve(HERE, Choices(), found).repository == "/of/the/file"
    assert resolve(HERE, Choices(), found).stack_file == tmp_path / "pivori.toml"
    by_option = resolve(HERE, Choices(password_file="/pw"), found)
    assert (by_option.repository, by_option.password.path) == ("/of/the/file", Path("/pw"))
    by_variable = resolve(Environment(home=Path("/home/ada"), password=Secret("x")), Choices(), found)
    assert by_variable.password.kind is PasswordFrom.ENVIRONMENT


def test_a_file_that_names_no_place_leaves_the_default_repository_and_its_key(tmp_path: Path) -> None:
    settings = resolve(HERE, Choices(), configured(tmp_path, ""))
    assert settings.repository_is_default
    assert settings.password.kind is PasswordFrom.KEY_FILE
