"""The options of a component of SQLite databases."""

from typing import Annotated, Literal

from pydantic import Field

from pivori.components.sqlite.component import SqliteComponent
from pivori.settings.stack_file.options import Building, ComponentOptions, Duration
from pivori.translation import N_


class Options(ComponentOptions):
    """SQLite databases."""

    kind: Literal["sqlite"] = Field(description=N_("SQLite databases, copied while they are in use."))
    paths: list[str] = Field(
        default=["."],
        min_length=1,
        description=N_("Databases, folders that are searched for them, or patterns; seen from the root."),
    )
    patience: Annotated[Duration, Field(gt=0)] = Field(
        default=60, description=N_("How long a database that is locked is waited for.")
    )

    def build(self, building: Building) -> SqliteComponent:
        """The component."""
        return SqliteComponent(
            name=self.name, paths=[building.path(path) for path in self.paths], patience=self.patience
        )
