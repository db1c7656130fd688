"""The options of the kind ``mysql``."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pivori.components.mysql.component import MysqlComponent
from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds.mysql import Options
from pivori.settings.stack_file.options import Building


def built(root: Path = Path("/srv/app"), **words: Any) -> MysqlComponent:
    options = Options.model_validate({"name": "db", "kind": "mysql", **words})
    component = options.build(Building(root=root, environment=Environment()))
    assert isinstance(component, MysqlComponent)
    return component


def test_everything_reaches_the_component(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "secret").chmod(0o600)
    component = built(
        tmp_path,
        host="db",
        port=3307,
        user="keeper",
        password={"file": "secret"},
        databases=["shop"],
        programs="bin",
        **{"exclude-tables": ["shop.log_*"], "tls-ca": "ca.pem"},
    )
    assert str(component.server) == "keeper@db:3307"
    assert component.server.password is not None
    assert component.server.password() == "hunter2"
    assert component.server.tls_ca == str(tmp_path / "ca.pem")
    assert (component.databases, component.exclude_tables) == (["shop"], ["shop.log_*"])
    assert component.programs == tmp_path / "bin"
    assert "hunter2" not in repr(component)


def test_a_socket_is_seen_from_the_root() -> None:
    assert built(socket="run/s").server.unix_socket == "/srv/app/run/s"
    assert str(built().server) == "root@localhost:3306"


@pytest.mark.parametrize(
    "words", [{"socket": "/s", "host": "db"}, {"socket": "/s", "port": 1}, {"exclude-tables": ["log"]}, {"port": 0}]
)
def test_what_cannot_be_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        built(**words)
