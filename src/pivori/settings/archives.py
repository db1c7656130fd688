"""Where archives, their project and their log are, and where their passwords come from.

Passwords lie apart from the repository's, and apart from the archives.

A password given by an option sets the variables aside; of these a file or a command, which exclude each other, comes
before the value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.settings.credentials import EmptyPassword, read_password_file, run_password_command
from pivori.settings.desktop_keyring import keyring_password
from pivori.settings.load import Environment
from pivori.settings.resolve import ConflictingOptions
from pivori.settings.secret import Secret

DEFAULT_DIRECTORY: Final = Path("/backups")
DEFAULT_LOG_DIRECTORY: Final = Path("/var/log/pivori-backup")


@dataclass(frozen=True, kw_only=True)
class ArchivePasswordChoices:
    """The options that name a place of an archive's password; None is "not given"."""

    file: str | None = None
    command: str | None = None
    keyring: str | None = None


def archive_directory(
    environment: Environment, given: str | None, configured: Callable[[], Path | None] = lambda: None
) -> Path:
    """The directory of archives: as given, else as the environment or the configuration says, else ``/backups``.

    ``configured`` is asked when nobody else says it. Raises what it raises.
    """
    return Path(given).absolute() if given else environment.backup_directory or configured() or DEFAULT_DIRECTORY


def project_directory(environment: Environment, given: str | None = None) -> Path:
    """The directory that is saved and restored: as given, else as the environment says, else the current one.

    A link is followed: archives are of the directory, whatever it is called.
    """
    return (Path(given) if given else environment.project_directory or Path()).resolve()


def log_directory(environment: Environment) -> Path:
    """The directory of the log: as the environment says, else ``/var/log/pivori-backup``."""
    return environment.log_directory or DEFAULT_LOG_DIRECTORY


def archive_password(
    environment: Environment,
    choices: ArchivePasswordChoices,
    configured: Callable[[], Secret | None] = lambda: None,
) -> Secret | None:
    """The password for archives; None when nobody named a place for it. ``configured`` is asked when nobody else did.

    Raises ConflictingOptions, KeyringFailed, and what reading a password file or running a command raises.
    """
    given = [
        (option, value)
        for option, value in (
            ("--archive-password-file", choices.file),
            ("--archive-password-command", choices.command),
            ("--archive-password-keyring", choices.keyring),
        )
        if value
    ]
    if len(given) > 1:
        raise ConflictingOptions(first=given[0][0], second=given[1][0])
    if choices.keyring:
        return _from_keyring(choices.keyring)
    file, command = choices.file, choices.command
    if not given:
        file, command = environment.archive_password_file, environment.archive_password_command
        if file and command:
            raise ConflictingOptions(first="PIVORI_ARCHIVE_PASSWORD_FILE", second="PIVORI_ARCHIVE_PASSWORD_COMMAND")
    if file:
        return read_password_file(Path(file))
    if command:
        return run_password_command(command)
    return environment.archive_password or configured()


def _from_keyring(name: str) -> Secret:
    """The password that the desktop's keyring has under ``SERVICE/NAME``."""
    found = keyring_password(name)
    if not found:
        raise EmptyPassword(origin=name)
    return Secret(found)
