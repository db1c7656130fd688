"""The options of a component ``command``."""

from typing import Annotated, Literal

from pydantic import Field

from pivori.components.base import Component, Consistency
from pivori.components.command import A_DAY, CommandComponent
from pivori.settings.stack_file.command_words import ACommand, CommandWords
from pivori.settings.stack_file.options import Building, ComponentOptions, Duration, SecretReference
from pivori.translation import N_

_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Options(ComponentOptions):
    """Any program whose output is the backup."""

    kind: Literal["command"] = Field(
        description=N_("Any program whose output is the backup, and one that reads it to restore it.")
    )
    capture: ACommand = Field(
        description=N_("The command whose output is the backup, as words or as a text that is split into words.")
    )
    restore: CommandWords = Field(
        (), description=N_("The command that gets the backup on its standard input and brings it back.")
    )
    check: CommandWords = Field(
        (), description=N_("A command that gets the backup on its standard input and ends with 0 when it is good.")
    )
    filename: str = Field(
        "data",
        pattern=r"^[^/\x00-\x1f.][^/\x00-\x1f]*$",
        max_length=255,
        description=N_("The name of the file in the recovery point."),
    )
    timeout: Annotated[Duration, Field(gt=0)] = Field(A_DAY, description=N_("How long each command may take."))
    variables: dict[_Variable, SecretReference] = Field(
        {}, description=N_("Environment variables of these commands alone, each with where its secret is.")
    )
    consistency: Consistency = Field(
        Consistency.PROGRAM, description=N_("What moment the output shows, as far as you know.")
    )

    def build(self, building: Building) -> Component:
        """The component."""
        return CommandComponent(
            name=self.name,
            capture_command=self.capture,
            restore_command=self.restore,
            check_command=self.check,
            filename=self.filename,
            timeout=self.timeout,
            variables={name: reference.reveal(building) for name, reference in self.variables.items()},
            consistency=self.consistency,
        )
