"""What all tables of the configuration file have in common, and the kinds of values in them.

Fields are named as in Python; in the file a hyphen stands for the underscore. The description of a field is in English
and marked for translation; it feeds the sample file, the schema and the guide.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pivori.components.base import Component, Reveal
from pivori.settings.load import Environment

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


class OptionTable(BaseModel):
    """A table of the file: unknown keys are mistakes, and nothing in it changes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )


def _seconds(value: object) -> object:
    """``90``, ``"90s"``, ``"15m"``, ``"1h"``, ``"7d"`` as seconds."""
    if isinstance(value, str):
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)", value.strip())
        if found is None:
            raise ValueError("write a duration as 90s, 15m, 1h or 7d")
        return float(found[1]) * _UNITS[found[2]]
    return value


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
"""A number of seconds, or a text with a unit."""


class Building(NamedTuple):
    """What a table needs to become a component: the folder of the stack, and the environment."""

    root: Path
    environment: Environment


class SecretReference(OptionTable):
    """Where a secret is: exactly one of the four. The secret itself is never in the file."""

    file: str | None = None
    command: str | None = None
    env: str | None = None
    keyring: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "SecretReference":
        if sum(value is not None for value in (self.file, self.command, self.env, self.keyring)) != 1:
            raise ValueError("name exactly one of file, command, env, keyring")
        return self

    def reveal(self, building: Building) -> Reveal:
        """What looks the secret up when it is needed."""
        raise NotImplementedError


class ComponentOptions(OptionTable):
    """What every component has. Kinds add a ``kind`` of their own, and their options."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="The component's name.")
    rto: Duration | None = Field(None, description="How long bringing it back may take.")
    rpo: Duration | None = Field(None, description="How much of the latest work may be lost.")

    def build(self, building: Building) -> Component:
        """The component. Relative paths are seen from ``building.root``."""
        raise NotImplementedError


Build = Callable[[Building], Component]
