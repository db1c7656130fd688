"""The options of the kind ``redis``."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pivori.components.redis_server.component import RedisComponent
from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds.redis import Options
from pivori.settings.stack_file.options import Building


def built(root: Path = Path("/srv/app"), **words: Any) -> RedisComponent:
    options = Options.model_validate({"name": "cache", "kind": "redis", **words})
    component = options.build(Building(root=root, environment=Environment()))
    assert isinstance(component, RedisComponent)
    return component


def test_everything_reaches_the_component(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "secret").chmod(0o600)
    component = built(
        tmp_path,
        host="cache",
        port=7000,
        user="keeper",
        password={"file": "secret"},
        tls=True,
        file="data/dump.rdb",
        **{"tls-ca": "ca.pem"},
    )
    assert str(component.server) == "cache:7000"
    assert (component.server.user, component.server.tls) == ("keeper", True)
    assert component.server.tls_ca == str(tmp_path / "ca.pem")
    assert component.server.password is not None
    assert component.server.password() == "hunter2"
    assert component.places() == (tmp_path / "data" / "dump.rdb",)
    assert "hunter2" not in repr(component)


def test_a_socket_is_seen_from_the_root() -> None:
    assert built(socket="run/s").server.unix_socket == "/srv/app/run/s"
    assert str(built().server) == "localhost:6379"
    assert built().places() == ()


@pytest.mark.parametrize("words", [{"socket": "/s", "host": "h"}, {"socket": "/s", "tls": True}, {"port": 70000}])
def test_what_cannot_be_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        built(**words)
