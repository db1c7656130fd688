"""The options of a component ``git``."""

from typing import Literal

from pydantic import Field

from pivori.components.git.component import GitComponent
from pivori.settings.stack_file.options import Building, ComponentOptions
from pivori.translation import N_


class Options(ComponentOptions):
    """A git repository with its work tree."""

    kind: Literal["git"] = Field(
        description=N_("A git repository with everything that is committed, stashed, staged, changed or untracked.")
    )
    path: str = Field(default=".", description=N_("The top folder of the work tree, seen from the root."))

    def build(self, building: Building) -> GitComponent:
        """The component."""
        return GitComponent(name=self.name, path=building.path(self.path))
