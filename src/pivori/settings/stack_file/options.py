"""What all tables of the configuration file have in common, and the kinds of values in them.

Fields are named as in Python; in the file a hyphen stands for the underscore. The description of a field is in English
and marked for translation; it feeds the sample file, the schema and the guide.
"""

import os
import re
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from pivori.components.base import Component, Reveal
from pivori.settings.credentials import EmptyPassword, read_password_file, run_password_command
from pivori.settings.desktop_keyring import keyring_password
from pivori.settings.load import Environment, VariableNotSet
from pivori.settings.stack_file.env_file import secret_in_env_file
from pivori.translation import N_

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_A_DURATION = N_('write a duration as a number of seconds, or as "90s", "15m", "1h" or "7d"')
_A_NAME = N_("a name has small letters, digits, - and _, begins with a letter or a digit, and is 63 characters at most")


class OptionTable(BaseModel):
    """A table of the file: unknown keys are mistakes, and nothing in it changes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
        # What is wrong is told without the value, which may be a secret.
        hide_input_in_errors=True,
    )


def _seconds(value: object) -> object:
    """``90``, ``"90s"``, ``"15m"``, ``"1h"``, ``"7d"`` as seconds."""
    if isinstance(value, str):
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(s|min|m|h|d)", value.strip())
        if found is not None:
            return float(found[1]) * _UNITS[found[2]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise ValueError(_A_DURATION)


def _named(value: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", value) is None:
        raise ValueError(_A_NAME)
    return value


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema({"type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9]+(\.[0-9]+)?\s*(s|m|min|h|d)$"}),
]
"""A number of seconds, or a text with a unit."""

Name = Annotated[
    str, AfterValidator(_named), WithJsonSchema({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"})
]
"""The name of a component or of a stack: it becomes a folder and a tag."""

StrategyWord = Literal["complete", "smart", "compressed"]
"""The strategies a recovery point can be made with."""


class Building(NamedTuple):
    """What a table needs to become a component: the folder of the stack, the environment, the stack's strategy."""

    root: Path
    environment: Environment
    strategy: str = ""

    def path(self, text: str) -> Path:
        """A path of the file as an absolute one: ``~`` is the home folder, a relative one is seen from the root."""
        home = self.environment.home
        if home is not None and (text == "~" or text.startswith("~/")):
            text = str(home) + text[1:]
        return Path(os.path.normpath(self.root / text))


class SecretReference(OptionTable):
    """Where a secret is: exactly one of the five. The secret itself is never in the file."""

    file: str | None = Field(default=None, description=N_("A file that holds it, readable by its owner alone."))
    command: str | None = Field(default=None, description=N_("A command that prints it."))
    env: str | None = Field(default=None, description=N_("A variable of the environment that holds it."))
    keyring: str | None = Field(default=None, description=N_("SERVICE/NAME of an entry of the desktop's keyring."))
    env_file: str | None = Field(
        default=None, description=N_("A .env file that holds it, in the variable that `key` names.")
    )
    key: str | None = Field(
        default=None,
        description=N_("The variable of the .env file; from an address (URL) its password is taken."),
    )

    @model_validator(mode="after")
    def _one(self) -> "SecretReference":
        if sum(bool(value) for value in (self.file, self.command, self.env, self.keyring, self.env_file)) != 1:
            raise ValueError(N_("name exactly one of `file`, `command`, `env`, `keyring`, `env-file`"))
        if bool(self.env_file) != bool(self.key):
            raise ValueError(N_("`env-file` and `key` belong together"))
        return self

    def __str__(self) -> str:
        """The reference as a person reads it; never the secret."""
        if self.env_file:
            return f"env-file {self.env_file} {self.key}"
        return next(f"{place} {value}" for place, value in self.model_dump(exclude_none=True).items())

    def reveal(self, building: Building) -> Reveal:
        """What looks the secret up when it is needed.

        Called, it raises what reading a password file or running a password command raises, VariableNotSet,
        KeyringFailed, EnvFileWithout, and EmptyPassword.
        """
        return lambda: self._found(building)

    def _found(self, building: Building) -> str:
        if self.file:
            return read_password_file(building.path(self.file)).reveal()
        if self.command:
            return run_password_command(self.command).reveal()
        if self.env:
            value = building.environment.variables.get(self.env)
            if value is None:
                raise VariableNotSet(name=self.env)
            return value.reveal()
        if self.env_file:
            return secret_in_env_file(building.path(self.env_file), self.key or "")
        found = keyring_password(self.keyring or "")
        if not found:
            raise EmptyPassword(origin=self.keyring)
        return found


class HookTable(OptionTable):
    """A pair of command lines around something."""

    before: str | None = Field(default=None, description=N_("The command line that is run before."))
    after: str | None = Field(
        default=None,
        description=N_("The command line that undoes it: it is run in any case, also when the backup failed."),
    )
    timeout: Duration = Field(default=600, description=N_("How long each of the two may take."))

    @model_validator(mode="after")
    def _some(self) -> "HookTable":
        if not self.before and not self.after:
            raise ValueError(N_("a hook needs `before`, `after`, or both"))
        return self


class ComponentOptions(OptionTable):
    """What every component has. Kinds add a ``kind`` of their own, and their options."""

    name: Name = Field(description=N_("The component's name: its folder in each recovery point."))
    rto: Duration | None = Field(default=None, description=N_("The duration that bringing it back may take."))
    rpo: Duration | None = Field(
        default=None, description=N_("The duration of work that may be lost: how old the latest capture may be.")
    )
    smallest: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description=N_("The share of its usual size below which a capture counts as failed; 0 switches that off."),
    )
    hooks: list[HookTable] = Field(default=[], description=N_("Command lines that are run around its capture."))

    @abstractmethod
    def build(self, building: Building) -> Component:
        """The component. Relative paths are seen from ``building.root``."""
