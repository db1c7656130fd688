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
    smallest: float = Field(
        default=0,
        ge=0,
        le=1,
        description=N_(
            "The share of its usual size below which a capture counts as failed. Git says itself what is missing, and "
            "a commit of large files that were untracked makes a capture much smaller; so it is off."
        ),
    )
    path: str = Field(default=".", description=N_("The top folder of the work tree, seen from the root."))

    def build(self, building: Building) -> GitComponent:
        """The component."""
        return GitComponent(name=self.name, path=building.path(self.path))
