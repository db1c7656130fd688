"""The configuration file in the whole program: what is told of it, and which repository it makes commands use."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pivori.settings import Secret
from tests.conftest import Pivori
from tests.unit.cli.conftest import Here

FILE = """
[stack]
name = "shop"

[repository]
location = "../kept/repository"
password = { file = "password" }

[[components]]
kind = "files"
name = "source"
rto = "1h"

[[components]]
kind = "command"
name = "dump"
capture = ["echo", "x"]
variables = { TOKEN = { env = "SHOP_TOKEN" } }
"""


@pytest.fixture
def shop(here: Here) -> Path:
    """A folder with a configuration, a password, and a repository made by it."""
    shop = here.home / "shop"
    shop.mkdir()
    (shop / "pivori.toml").write_text(FILE)
    (shop / "password").write_text("of the shop")
    (shop / "password").chmod(0o600)
    here("init", "--config", shop / "pivori.toml")
    assert (here.home / "kept" / "repository" / "config").exists()
    return shop


def test_check_says_in_a_line_what_the_file_describes(here: Here, shop: Path) -> None:
    said = here("config", "check", "--config", shop / "pivori.toml")
    assert said.out == (
        f"{shop}/pivori.toml: no mistakes. The stack shop in {shop} has 2 components: source (files), dump (command).\n"
    )
    assert said.err == "components.dump.variables.TOKEN: the variable is not set\n"


def test_check_for_programs(here: Here, shop: Path) -> None:
    (found,) = here.json("config", "check", "--config", shop / "pivori.toml")
    assert found == {
        "message_type": "configuration",
        "path": str(shop / "pivori.toml"),
        "stack": "shop",
        "root": str(shop),
        "components": [
            {"name": "source", "kind": "files", "rto": 3600, "rpo": None},
            {"name": "dump", "kind": "command", "rto": None, "rpo": None},
        ],
        "warnings": [{"key": "components.dump.variables.TOKEN", "message": "the variable is not set"}],
    }


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["snapshots"]])
def test_every_mistake_is_told_with_its_line(command: list[str], here: Here, shop: Path) -> None:
    path = shop / "pivori.toml"
    path.write_text(FILE.replace("location", "locaton").replace('"files"', '"flies"').replace("rto", "rot"))
    said = here(*command, "--config", path, expect=2)
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == f"Error: The configuration {path} cannot be used."
    assert lines[1] == f"{path}:6: repository.locaton: there is no such key; did you mean “location”?"
    assert lines[2].startswith(f"{path}:10: components.source.kind: there is no kind of component “flies”")
    assert lines[-1] == "Hint: Mend these lines, then run `pivori config check`."


def test_mistakes_for_programs(here: Here, shop: Path) -> None:
    path = shop / "pivori.toml"
    path.write_text(FILE.replace("capture", "captur"))
    error = json.loads(here("--json", "config", "check", "--config", path, expect=2).err)
    assert (error["name"], error["code"]) == ("configuration-wrong", 2)
    assert [(found["line"], found["key"], found["nearest"]) for found in error["details"]["mistakes"]] == [
        (14, "components.dump.capture", None),
        (17, "components.dump.captur", "capture"),
    ]


def test_a_secret_in_clear_is_refused_and_not_shown(here: Here, shop: Path) -> None:
    path = shop / "pivori.toml"
    path.write_text(FILE.replace('{ file = "password" }', '"hunter2"'))
    for options in ([], ["--json"], ["--verbose"]):
        said = here("config", "check", "--config", path, *options, expect=2)
        assert "hunter2" not in said.out + said.err
        assert "in clear" in said.err


def test_show_has_the_defaults_and_the_places_of_secrets(here: Here, shop: Path) -> None:
    said = here("config", "show", "--config", shop / "pivori.toml", variables={"SHOP_TOKEN": Secret("hunter2")})
    shown = tomllib.loads(said.out)
    assert shown["repository"] == {"location": "../kept/repository", "password": {"file": "password"}}
    assert shown["components"][0]["paths"] == ["."]
    assert shown["components"][0]["rto"] == 3600
    assert "of the shop" not in said.out
    assert "hunter2" not in said.out
    (record,) = here.json("config", "show", "--config", shop / "pivori.toml")
    assert record["configuration"] == shown
    assert record["root"] == str(shop)


def test_what_is_shown_is_a_configuration_of_the_same_meaning(here: Here, shop: Path) -> None:
    again = shop / "again.toml"
    again.write_text(here("config", "show", "--config", shop / "pivori.toml").out)
    assert here("config", "show", "--config", again).out.splitlines()[1:] == again.read_text().splitlines()[1:]


def test_the_sample_and_the_schema(here: Here) -> None:
    path = here.home / "pivori.toml"
    path.write_text(here("config", "sample").out)
    assert "my-app" in here("config", "check").out
    assert json.loads(here("config", "schema").out)["required"] == ["stack", "components"]
    assert here("config", "schema").out == here("--json", "config", "schema").out


def test_no_file_to_be_told_of(here: Here) -> None:
    assert "There is no pivori.toml" in here("config", "check", expect=2).err
    assert "nowhere" in here("config", "check", "--config", "nowhere", expect=2).err
    assert "--config is empty" in here("config", "check", "--config", "", expect=2).err


class TestRepository:
    """Every command uses the repository of the file."""

    def test_the_file_names_repository_and_password(self, here: Here, shop: Path) -> None:
        here("backup", shop / "password", "--config", shop / "pivori.toml")
        assert len(here.json("snapshots", "--config", shop / "pivori.toml")[0]) == 1
        assert len(here.json("snapshots", configuration=str(shop / "pivori.toml"))[0]) == 1
        here("verify", "--config", shop / "pivori.toml")
        here("restore", "latest", "--target", here.home / "back", "--config", shop / "pivori.toml")
        assert (here.home / "back" / str(shop / "password").lstrip("/")).read_text() == "of the shop"

    def test_a_file_in_the_current_folder_is_in_force(self, here: Here, shop: Path) -> None:
        text = f"[repository]\nlocation = '{here.home}/kept/repository'\npassword.file = '{shop}/password'\n"
        (here.home / "pivori.toml").write_text(text)
        assert here.json("snapshots") == [[]]

    def test_an_option_and_a_variable_come_first(self, here: Here, shop: Path) -> None:
        other = here.home / "other"
        here("init", "-r", other, password=Secret("another one"))
        config = shop / "pivori.toml"
        here("snapshots", "--config", config, "-r", other, password=Secret("another one"))
        here("snapshots", "--config", config, repository=str(other), password=Secret("another one"))
        said = here("snapshots", "--config", config, "-r", other, expect=1)
        assert "There is no password" in said.err
        here("snapshots", "--config", config, password=Secret("another one"), expect=12)

    def test_without_a_file_the_default_repository_is_used(self, here: Here) -> None:
        (here.home / "x").write_text("x")
        here("backup", here.home / "x")
        assert (here.home / ".local" / "share" / "pivori" / "repository" / "config").exists()

    def test_a_file_of_anybody_is_not_run_across(self, here: Here) -> None:
        path = here.home / "pivori.toml"
        path.write_text("[repository]\npassword = { command = 'touch ran' }\nlocation = 'r'\n")
        path.chmod(0o666)
        said = here("snapshots", expect=2)
        assert "everybody may write to it" in said.err
        assert not (here.home / "ran").exists()


def test_a_plain_backup_loads_nothing_of_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pivori.__main__ import main; sys.argv[1:] = ['backup', 'x']\n"
        "status = main(); print(status, *sorted(sys.modules), file=sys.stderr)"
    )
    (tmp_path / "x").write_text("x")
    source = str(Path(__file__).resolve().parents[2] / "src")
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PYTHONPATH": source},
    )
    status, *modules = result.stderr.splitlines()[-1].split()
    assert status == "0"
    loaded = {name.partition(".")[0] for name in modules}
    assert not {"pydantic", "tomllib", "tomlkit", "psycopg", "pymysql", "redis", "pyrage", "ruamel"} & loaded
    assert not [name for name in modules if name.startswith(("pivori.settings.stack_file", "pivori.components"))]


def test_archives_go_where_the_file_says(pivori: Pivori, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "a").write_text("a")
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    (folder / "pivori.toml").write_text(
        '[stack]\nname = "shop"\n[archives]\ndirectory = "../kept"\npassword = { file = "../password" }\n'
        '[[components]]\nname = "all"\nkind = "files"\npaths = ["."]\n'
    )
    pivori("archive", "create", "--encrypt", "aes", folder, cwd=folder)
    [archive] = (tmp_path / "kept").glob("*.zip")
    pivori("archive", "verify", archive.parent / archive.name.removesuffix(".sha256"), cwd=folder)
    listed = pivori("archive", "list", cwd=folder).stdout
    assert archive.name.removesuffix(".sha256") in listed
    pivori("archive", "create", folder, cwd=folder, PIVORI_BACKUP_DIR=str(tmp_path / "other"))
    assert list((tmp_path / "other").glob("*.zip"))
