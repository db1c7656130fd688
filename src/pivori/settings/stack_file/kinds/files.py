"""The options of a component of files."""

from typing import Literal

from pydantic import Field, model_validator

from pivori.components.files import FilesComponent
from pivori.settings.stack_file.options import Building, ComponentOptions, StrategyWord
from pivori.translation import N_


class Options(ComponentOptions):
    """Files and folders."""

    kind: Literal["files"] = Field(description=N_("Files and folders."))
    paths: list[str] = Field(
        default=["."],
        min_length=1,
        description=N_("The files and folders to take; relative ones are seen from the root."),
    )
    exclude: list[str] = Field(default=[], description=N_("Patterns of what is left out, written as in .gitignore."))
    strategy: StrategyWord | None = Field(
        default=None, description=N_("The strategy for these files; that of the stack when it is not given.")
    )
    one_file_system: bool = Field(default=False, description=N_("Do not go into other file systems below the paths."))
    frozen: bool = Field(
        default=False,
        description=N_("Say that the hooks hold the files still while they are read, at their own place."),
    )
    frozen_view: str | None = Field(
        default=None,
        description=N_("The folder where a hook mounts a snapshot of the volume: the paths are read below it instead."),
    )
    frozen_root: str | None = Field(
        default=None,
        description=N_("The folder whose content the frozen view shows: where the volume itself is mounted; else /."),
    )

    @model_validator(mode="after")
    def _in_view(self) -> "Options":
        if self.frozen_root is not None and self.frozen_view is None:
            raise ValueError(N_("`frozen-root` means nothing without `frozen-view`"))
        return self

    def build(self, building: Building) -> FilesComponent:
        """The component."""
        return FilesComponent(
            name=self.name,
            paths=[building.path(path) for path in self.paths],
            exclude=self.exclude,
            strategy=self.strategy or building.strategy,
            one_file_system=self.one_file_system,
            is_frozen=self.frozen or self.frozen_view is not None,
            view=None if self.frozen_view is None else building.path(self.frozen_view),
            view_of=building.path(self.frozen_root or "/"),
        )
