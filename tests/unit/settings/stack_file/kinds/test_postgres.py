"""The options of the kind ``postgres``."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pivori.components.postgres.logical import PostgresComponent
from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds.postgres import Options
from pivori.settings.stack_file.options import Building


def built(**words: Any) -> PostgresComponent:
    options = Options(name="db", kind="postgres", **words)
    component = options.build(Building(root=Path("/srv/app"), environment=Environment()))
    assert isinstance(component, PostgresComponent)
    return component


@pytest.mark.parametrize(
    "words",
    [
        {"url": "postgresql://me:secret@host/db"},
        {"url": "postgresql://me@host/db?password=secret"},
        {"url": "mysql://me@host/db"},
        {"url": "postgresql://me@host/db", "host": "other"},
        {"host": "a", "socket": "/run"},
        {"service": "a", "url": "postgresql://host"},
        {"port": 0},
        {"jobs": 0},
        {"database": "shop"},
    ],
)
def test_mistakes_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        built(**words)


def test_an_address_in_parts_is_that_of_a_url() -> None:
    parts = built(socket="/run/pg", port=5433, user="ada").server.words()
    assert parts == {"host": "/run/pg", "port": "5433", "user": "ada"}
    assert built(url="postgresql://ada@/x?host=/run/pg&port=5433").server.words() == parts | {"dbname": "x"}


def test_what_is_named_in_the_file_reaches_the_component(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("geheim\n")
    (tmp_path / "pw").chmod(0o600)
    component = built(
        **{"exclude-tables": ["a"], "exclude-table-data": ["b"], "count-rows": False, "server-programs": "/opt/pg"},
        programs="bin",
        password={"file": str(tmp_path / "pw")},
        databases=["x"],
        scratch=True,
        jobs=3,
    )
    assert component.excluded.tables == ["a"]
    assert component.excluded.rows == ["b"]
    assert component.programs == Path("/srv/app/bin")
    assert component.server_programs == Path("/opt/pg")
    assert (component.count_rows, component.scratch, component.jobs, component.databases) == (False, True, 3, ["x"])
    assert component.server.password is not None
    assert component.server.password() == "geheim"
