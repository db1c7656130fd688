"""From the environment and the options to settings: every default and every order of precedence is here.

An option beats its variable, a variable beats the configuration file, the file beats the default. A password given by
an option sets all password variables aside; otherwise the variables are tried in the order file, command, value. The
password of the configuration file belongs to the repository that is named there (or to the default one when it names
none), and the generated key file to the default repository alone.
"""

import os
from pathlib import Path

from pivori.errors import PivoriError
from pivori.settings.load import Environment, NoHomeDirectory
from pivori.settings.model import Choices, Configured, PasswordFrom, PasswordSource, Settings
from pivori.translation import N_


class ConflictingOptions(PivoriError):
    """Two options exclude each other."""

    code = "conflicting-options"
    message = N_("{first} and {second} cannot be used together.")
    hint = N_("Give one of the two.")
    exit_status = 2


class EmptyOption(PivoriError):
    """An option that names something was given an empty text."""

    code = "empty-option"
    message = N_("{option} is empty.")
    hint = N_("Give it a value, or leave it out.")
    exit_status = 2


def resolve(environment: Environment, choices: Choices, configured: Configured | None = None) -> Settings:
    """The settings of this run. Raises ConflictingOptions, EmptyOption and NoHomeDirectory.

    ``configured`` is what the configuration file says.
    """
    _refuse_empty(choices)
    repository, is_default = _repository(environment, choices, configured)
    key_file = environment.default_key_file if is_default else None
    return Settings(
        repository=repository,
        repository_is_default=is_default,
        password=password_source(environment, choices, key_file, configured),
        key_file=key_file,
        cache_directory=_cache_directory(environment, choices),
        stack_file=configured.path if configured is not None else None,
        state_directory=environment.state_directory,
        json=choices.json,
        quiet=choices.quiet,
        verbose=choices.verbose,
        lock=not choices.no_lock,
        retry_lock=choices.retry_lock,
    )


def names_repository(environment: Environment, choices: Choices) -> bool:
    """Whether an option or a variable names the repository, so that the configuration file has no say in it."""
    return choices.repository is not None or environment.repository is not None


def password_source(
    environment: Environment, choices: Choices, key_file: Path | None, configured: Configured | None = None
) -> PasswordSource:
    """The first place that has a password; ``key_file`` only for the default repository."""
    file, command = choices.password_file, choices.password_command
    if file and command:
        raise ConflictingOptions(first="--password-file", second="--password-command")
    if not file and not command:
        file, command = environment.password_file, environment.password_command
        if file and command:
            raise ConflictingOptions(first="PIVORI_PASSWORD_FILE", second="PIVORI_PASSWORD_COMMAND")
    if file:
        return PasswordSource(kind=PasswordFrom.FILE, path=Path(file))
    if command:
        return PasswordSource(kind=PasswordFrom.COMMAND, command=command)
    if environment.password is not None:
        return PasswordSource(kind=PasswordFrom.ENVIRONMENT, value=environment.password)
    if configured is not None and configured.password is not None:
        return configured.password
    if key_file is not None:
        return PasswordSource(kind=PasswordFrom.KEY_FILE, path=key_file)
    if environment.stdin_is_terminal or environment.stderr_is_terminal:
        return PasswordSource(kind=PasswordFrom.TERMINAL)
    return PasswordSource(kind=PasswordFrom.NOWHERE)


def _repository(environment: Environment, choices: Choices, configured: Configured | None) -> tuple[str, bool]:
    """The repository, and whether it is the default one (also when somebody wrote its path in full)."""
    given = choices.repository or environment.repository or (configured.repository if configured is not None else None)
    if given is None:
        return str(environment.default_repository), True
    try:
        default = environment.default_repository
    except NoHomeDirectory:
        return given, False
    path = Path(os.path.expanduser(given.removeprefix("local:")))  # noqa: PTH111 - an unknown ~user stays as it is
    return given, path == default or path.resolve() == default.resolve()


def _cache_directory(environment: Environment, choices: Choices) -> Path | None:
    """Where this run may keep disposable copies."""
    if choices.no_cache:
        return None
    return Path(choices.cache_dir).absolute() if choices.cache_dir else environment.cache_directory


def _refuse_empty(choices: Choices) -> None:
    """``--repository ""`` is a shell variable that was not set, never a wish for the default."""
    for option in ("repository", "password_file", "password_command", "cache_dir"):
        if getattr(choices, option) == "":
            raise EmptyOption(option="--" + option.replace("_", "-"))
