"""The places of secrets that a configuration names: which of them cannot be looked into on this machine."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from pivori.settings.credentials import is_private
from pivori.settings.stack_file.lines import Path
from pivori.settings.stack_file.options import Building, SecretReference
from pivori.translation import N_, Phrase


class Reference(NamedTuple):
    """A secret that the configuration names, and at which key."""

    path: Path
    place: SecretReference


def references(table: object, path: Path = ()) -> Iterator[Reference]:
    """All references in a table and below."""
    if isinstance(table, SecretReference):
        yield Reference(path, table)
    elif isinstance(table, BaseModel):
        for name, field in type(table).model_fields.items():
            yield from references(getattr(table, name), (*path, field.alias or name))
    elif isinstance(table, dict):
        for key, value in table.items():
            yield from references(value, (*path, key))
    elif isinstance(table, (list, tuple)):
        for number, item in enumerate(table):
            yield from references(item, (*path, number))


def trouble_with(place: SecretReference, building: Building) -> Phrase | None:
    """What keeps a secret from being found, as far as it can be told without looking at it; None when nothing does."""
    if place.env:
        return None if place.env in building.environment.variables else Phrase(N_("the variable is not set"))
    name = place.file or place.env_file
    if not name:
        return None
    path = building.path(name)
    if not path.is_file():
        return Phrase(N_("there is no file {path}"), path=str(path))
    if not os.access(path, os.R_OK):
        return Phrase(N_("this user may not read {path}"), path=str(path))
    if place.file and not is_private(path):
        return Phrase(N_("others may read {path}"), path=str(path))
    return None
