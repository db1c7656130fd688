"""Every global option once: what the user chose, and what it resolves to together with the environment."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pivori.settings.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The global options as given on the command line; None, False and zero mean "not given"."""

    config: str | None = None
    """The configuration file."""
    repository: str | None = None
    password_file: str | None = None
    password_command: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    no_lock: bool = False
    retry_lock: float = 0.0
    """Seconds to go on trying for a lock somebody else holds."""
    no_cache: bool = False
    cache_dir: str | None = None


class PasswordFrom(Enum):
    """Where a password comes from, in the order they are tried."""

    FILE = "file"
    COMMAND = "command"
    ENVIRONMENT = "environment"
    CONFIGURATION = "configuration"
    KEY_FILE = "key file"
    TERMINAL = "terminal"
    NOWHERE = "nowhere"


@dataclass(frozen=True, kw_only=True)
class PasswordSource:
    """One place a password comes from; the fields that do not belong to its kind stay empty."""

    kind: PasswordFrom
    path: Path | None = None
    """The password file or the default key file."""
    command: str | None = None
    value: Secret | None = None
    reveal: Callable[[], str] | None = None
    """What looks it up where the configuration file says that it is."""


@dataclass(frozen=True, kw_only=True)
class Configured:
    """The configuration file in force, and what it says about the repository.

    Both stay empty when an option or a variable names another repository: the password opens the one of the file alone.
    """

    path: Path
    repository: str | None = None
    password: PasswordSource | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one run works with: nothing in it has to be looked up again."""

    repository: str
    """A path or an address, as the user wrote it."""
    repository_is_default: bool
    password: PasswordSource
    key_file: Path | None
    """The generated key of the default repository; None for any other repository."""
    cache_directory: Path | None
    """None when nothing may be cached."""
    stack_file: Path | None = None
    """The configuration file in force; None when there is none."""
    state_directory: Path | None = None
    """For notes about this machine's own doings; None when this user has no place for them."""
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    lock: bool = True
    retry_lock: float = 0.0
    """Seconds to go on trying for a lock somebody else holds."""
