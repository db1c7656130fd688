"""The options of a component ``secrets``."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pivori.components.base import Component
from pivori.components.secrets import SecretCommand, SecretsComponent
from pivori.settings.stack_file.command_words import ACommand
from pivori.settings.stack_file.options import Building, ComponentOptions, Duration, OptionTable, SecretReference
from pivori.translation import N_

_PRIVATE = ("AGE-SECRET-KEY-", "-----BEGIN", "AGE-PLUGIN-")
_IS_PRIVATE = N_("this is a private key: put its public half here, which begins with age1 or ssh-")
_NOTHING = N_("name at least one of `files` and `commands`")
_TWICE = N_("two commands have the same name")


class CommandOptions(OptionTable):
    """A command that prints a secret."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$", description=N_("The name of the secret in the recovery point.")
    )
    command: ACommand = Field(
        description=N_("The command that prints it, as words or as a text that is split into words.")
    )
    timeout: Annotated[Duration, Field(gt=0)] = Field(60.0, description=N_("How long it may take."))


class Options(ComponentOptions):
    """Files and outputs of commands that only the holder of a private key can read."""

    kind: Literal["secrets"] = Field(
        description=N_("Files and outputs of commands, sealed so that only the holder of a private key can read them.")
    )
    files: tuple[str, ...] = Field(
        (), description=N_("Paths and patterns (`.env`, `**/.env.production`), seen from the folder of the stack.")
    )
    commands: tuple[CommandOptions, ...] = Field((), description=N_("Commands that print secrets."))
    recipients: tuple[str, ...] = Field(
        min_length=1,
        description=N_("Who can open them: age1… or ssh-… public keys, or names of files with one a line."),
    )
    identity: SecretReference | None = Field(
        None, description=N_("Where the private key is; only a restore needs it, best from another machine.")
    )
    restore_commands_to: str | None = Field(
        None, description=N_("The folder that outputs of commands are written to by a restore in place.")
    )

    @field_validator("recipients")
    @classmethod
    def _public(cls, recipients: tuple[str, ...]) -> tuple[str, ...]:
        if any(text.upper().startswith(_PRIVATE) for text in recipients):
            raise ValueError(_IS_PRIVATE)
        return recipients

    @model_validator(mode="after")
    def _something(self) -> "Options":
        if not self.files and not self.commands:
            raise ValueError(_NOTHING)
        if len({command.name for command in self.commands}) < len(self.commands):
            raise ValueError(_TWICE)
        return self

    def build(self, building: Building) -> Component:
        """The component."""
        return SecretsComponent(
            name=self.name,
            root=building.root,
            files=[_from_home(pattern, building) for pattern in self.files],
            commands=[
                SecretCommand(name=command.name, words=command.command, timeout=command.timeout)
                for command in self.commands
            ],
            recipients=[_from_home(text, building) for text in self.recipients],
            identity=None if self.identity is None else self.identity.reveal(building),
            restore_commands_to=self.restore_commands_to and _from_home(self.restore_commands_to, building),
        )


def _from_home(text: str, building: Building) -> str:
    """A path with the home folder in the place of ``~``; the component sees others from the folder of the stack."""
    return str(building.path(text)) if text.startswith("~") else text
