"""Which configuration file is in force. Only names are looked at here: nothing is read.

In this order: the option ``--config``, the variable ``PIVORI_CONFIG``, ``pivori.toml`` in the current folder or the
nearest one above it, ``pivori/pivori.toml`` in the folder of this user's configurations.
"""

import os
import stat
from pathlib import Path
from typing import Final

from pivori.errors import PivoriError
from pivori.settings.load import PROGRAM, Environment
from pivori.settings.model import Choices
from pivori.settings.resolve import EmptyOption
from pivori.translation import N_

FILE_NAME: Final = "pivori.toml"


class ConfigurationMissing(PivoriError):
    """There is no configuration file where somebody says that there is one."""

    code = "configuration-missing"
    message = N_("There is no configuration file {path}.")
    hint = N_("Correct --config or PIVORI_CONFIG, or make the file with `pivori init DIR`.")
    exit_status = 2


class ConfigurationNotTrusted(PivoriError):
    """A file was come across that somebody else can write to; it could have commands run in this user's name."""

    code = "configuration-not-trusted"
    message = N_("{path} belongs to another user, or everybody may write to it, so it is not used.")
    hint = N_("Make it yours (chown, chmod o-w), or name it with --config; --config /dev/null works without any.")
    exit_status = 2


def find_configuration(environment: Environment, choices: Choices) -> Path | None:
    """The configuration file in force; None when there is none, or when it is the null device.

    Raises EmptyOption, ConfigurationMissing and ConfigurationNotTrusted.
    """
    if choices.config == "":
        raise EmptyOption(option="--config")
    named = choices.config or environment.configuration
    if named == os.devnull:
        return None
    if named is not None:
        path = Path(named).absolute()
        if not path.exists():
            raise ConfigurationMissing(path=path)
        return path
    return _come_across(environment)


def put_in_force(environment: Environment, path: Path) -> Path | None:
    """Let a new configuration be found from the current folder, where none is in force there.

    Returns the link to it among this user's configurations; None when nothing had to be done, or nothing can be.
    """
    base = environment.configurations
    if base is None or find_configuration(environment, Choices()) is not None:
        return None
    link = base / PROGRAM / FILE_NAME
    try:
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if link.is_symlink():  # to a file that has gone
            link.unlink()
        link.symlink_to(path.absolute())
    except OSError:
        return None
    return link


def _come_across(environment: Environment) -> Path | None:
    """The file nearest to the current folder, otherwise that of this user."""
    try:
        here = Path.cwd()
        device = here.stat().st_dev
    except OSError:  # the current folder has been removed
        return _of_user(environment)
    for folder in (here, *here.parents):
        if not _is_on(device, folder):
            break
        if _is_safe_file(folder / FILE_NAME):
            return folder / FILE_NAME
        if folder == environment.home:
            break
    return _of_user(environment)


def _of_user(environment: Environment) -> Path | None:
    base = environment.configurations
    path = base / PROGRAM / FILE_NAME if base is not None else None
    # A link stands for a file that is in the folder of its stack.
    return path.resolve() if path is not None and _is_safe_file(path) else None


def _is_on(device: int, folder: Path) -> bool:
    """Whether a folder can be looked into and is on this file system."""
    try:
        return folder.stat().st_dev == device
    except OSError:
        return False


def _is_safe_file(path: Path) -> bool:
    """Whether there is a configuration file.

    Raises ConfigurationNotTrusted for one of somebody else, or one that everybody can write to: its commands would
    be run in the name of whoever only meant to look at a folder.
    """
    try:
        status = path.stat()
        # Where a link lies decides where the commands are run: somebody else's would have them run elsewhere.
        owners = {status.st_uid, path.lstat().st_uid}
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    if not owners <= {os.geteuid(), 0} or status.st_mode & stat.S_IWOTH:
        raise ConfigurationNotTrusted(path=path)
    return True
