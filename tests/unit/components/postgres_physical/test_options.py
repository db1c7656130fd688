"""The options of the kind: what becomes of them, and what is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pivori.components.postgres_physical.component import PostgresPhysical
from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds.postgres_physical import Options
from pivori.settings.stack_file.options import Building

BUILDING = Building(Path("/srv/My Shop"), Environment())


def built(**options: object) -> PostgresPhysical:
    component = Options.model_validate({"name": "data-base", "kind": "postgres-physical", **options}).build(BUILDING)
    assert isinstance(component, PostgresPhysical)
    return component


def test_what_is_left_out_is_made_up() -> None:
    component = built()
    assert component.slot == "pivori_my_shop_data_base"
    assert (component.base_every, component.lag_warning) == (86400, 1 << 30)
    assert not component.places()


def test_what_is_said_is_taken() -> None:
    component = built(
        url="postgresql://backup@db/shop",
        port=5433,
        slot="mine",
        **{"base-every": "7d", "lag-warning": "500 MiB", "data-directory": "data", "scratch-directory": "/scratch"},
    )
    assert component.server.words() == {"user": "backup", "host": "db", "dbname": "shop", "port": "5433"}
    assert (component.slot, component.base_every, component.lag_warning) == ("mine", 7 * 86400, 500 << 20)
    assert component.places() == (Path("/srv/My Shop/data"),)
    assert component.scratch_directory == Path("/scratch")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "postgresql://backup:secret@db/shop"}, "the URL has a password in it"),
        ({"slot": "Mine-1"}, "slot"),
        ({"lag-warning": "much"}, "write a size as"),
        ({"lag-warning": True}, "write a size as"),
        ({"port": 0}, "port"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        built(**options)
