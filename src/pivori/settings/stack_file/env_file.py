"""Secrets that stand in a ``.env`` file of the application, looked up in it each time they are needed."""

from pathlib import Path
from typing import Final

from pivori.components.env_files import parse_env, password_in
from pivori.errors import PivoriError
from pivori.translation import N_

_MOST: Final = 1 << 20


class EnvFileUnreadable(PivoriError):
    """The file cannot be read."""

    code = "env-file-unreadable"
    message = N_("The file {path} with the variable {key} cannot be read: {reason}.")
    hint = N_("Check the path and the permissions of the file.")


class EnvFileWithout(PivoriError):
    """The file has no such variable, or nothing in it."""

    code = "env-file-without"
    message = N_("The file {path} gives the variable {key} no secret.")
    hint = N_("Set the variable in the file, or name another one with `key`.")


def secret_in_env_file(path: Path, key: str) -> str:
    """The value of a variable, of an address its password. Raises EnvFileUnreadable and EnvFileWithout."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST)
    except OSError as error:
        raise EnvFileUnreadable(path=path, key=key, reason=error.strerror or str(error)) from None
    values = {variable.name: variable.value for variable in parse_env(content.decode("utf-8-sig", "surrogateescape"))}
    secret = password_in(values.get(key, ""))
    if not secret:
        raise EnvFileWithout(path=path, key=key)
    return secret
