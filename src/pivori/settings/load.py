"""The only reader of the process environment: one frozen picture of it, taken once at the start.

Folders follow the XDG base directory specification (relative values are ignored, as it asks). The language follows
gettext: ``LANGUAGE`` refines ``LC_ALL``, ``LC_MESSAGES`` or ``LANG``, whichever is set first, unless that is ``C``.
"""

import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pivori.errors import PivoriError
from pivori.settings.secret import Secret
from pivori.translation import N_

PROGRAM = "pivori"
COMPLETION_VARIABLE = "_PIVORI_COMPLETE"


class NoHomeDirectory(PivoriError):
    """Neither the environment nor the user database says where this user's files are."""

    code = "no-home-directory"
    message = N_("This user has no home directory, so there is no default place for a repository.")
    hint = N_("Set HOME, or say where the repository and its password are with --repository and --password-file.")


class VariableNotSet(PivoriError):
    """The configuration says that a secret is in a variable, and it is not."""

    code = "variable-not-set"
    message = N_("The variable {name} is not set; the configuration says that it holds a secret.")
    hint = N_("Set it for this program, or name another place in pivori.toml: file, command or keyring.")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the environment says; absent and empty variables are None. Tests build one by hand."""

    home: Path | None = None
    data_home: Path | None = None
    config_home: Path | None = None
    cache_home: Path | None = None
    state_home: Path | None = None
    languages: tuple[str, ...] = ()
    configuration: str | None = None
    repository: str | None = None
    password: Secret | None = None
    password_file: str | None = None
    password_command: str | None = None
    archive_password: Secret | None = None
    archive_password_file: str | None = None
    archive_password_command: str | None = None
    project_directory: Path | None = None
    backup_directory: Path | None = None
    log_directory: Path | None = None
    no_color: bool = False
    terminal_type: str = ""
    columns: int | None = None
    completion: str | None = None
    stdin_is_terminal: bool = False
    stdout_is_terminal: bool = False
    stderr_is_terminal: bool = False
    variables: Mapping[str, Secret] = field(default_factory=dict, compare=False, repr=False)
    """All of them, for the configuration, which may name the one that holds a secret."""

    @property
    def data_directory(self) -> Path:
        """Where the default repository lives. Raises NoHomeDirectory."""
        return self._directory(self.data_home, ".local/share")

    @property
    def config_directory(self) -> Path:
        """Where the default key file lives. Raises NoHomeDirectory."""
        return self._directory(self.config_home, ".config")

    @property
    def cache_directory(self) -> Path | None:
        """Where disposable copies live; None when this user has no place for them."""
        try:
            return self._directory(self.cache_home, ".cache")
        except NoHomeDirectory:
            return None

    @property
    def state_directory(self) -> Path | None:
        """Where notes about this machine's own doings live; None when this user has no place for them."""
        try:
            return self._directory(self.state_home, ".local/state")
        except NoHomeDirectory:
            return None

    @property
    def default_repository(self) -> Path:
        """The repository used when none is named. Raises NoHomeDirectory."""
        return self.data_directory / "repository"

    @property
    def default_key_file(self) -> Path:
        """The generated password of the default repository. Raises NoHomeDirectory."""
        return self.config_directory / "repository.key"

    @property
    def configurations(self) -> Path | None:
        """The folder of this user's configurations, of all programs; None when this user has no place for them."""
        if self.config_home is not None or self.home is None:
            return self.config_home
        return self.home / ".config"

    def _directory(self, base: Path | None, below_home: str) -> Path:
        """This program's folder in ``base``, or in its usual place below the home directory."""
        if base is None:
            if self.home is None:
                raise NoHomeDirectory()
            base = self.home / below_home
        return base / PROGRAM


def load_languages(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The languages the user prefers, best first; empty means English, the language of the source.

    The list ends before the first English or ``C`` entry: whoever prefers English to French must not get French
    because only French has a catalogue.
    """
    chosen = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := variables.get(name))), "")
    if chosen in ("C", "POSIX"):
        return ()
    wanted = [*variables.get("LANGUAGE", "").split(":"), chosen]
    languages: list[str] = []
    for language in filter(None, wanted):
        if language.partition(".")[0].partition("_")[0].lower() in ("en", "c", "posix"):
            break
        languages.append(language)
    return tuple(languages)


def load_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read the environment of this process, or ``variables`` instead of its variables.

    The passwords are taken out of the process's environment, so that no program started by this one gets them.
    """
    if variables is None:
        variables = dict(os.environ)
        os.environ.pop("PIVORI_PASSWORD", None)
        os.environ.pop("PIVORI_ARCHIVE_PASSWORD", None)
    password = variables.get("PIVORI_PASSWORD")
    archive_password = variables.get("PIVORI_ARCHIVE_PASSWORD")
    return Environment(
        home=_home(variables),
        data_home=_absolute(variables, "XDG_DATA_HOME"),
        config_home=_absolute(variables, "XDG_CONFIG_HOME"),
        cache_home=_absolute(variables, "XDG_CACHE_HOME"),
        state_home=_absolute(variables, "XDG_STATE_HOME"),
        languages=load_languages(variables),
        configuration=variables.get("PIVORI_CONFIG") or None,
        repository=variables.get("PIVORI_REPOSITORY") or None,
        password=Secret(password) if password else None,
        password_file=variables.get("PIVORI_PASSWORD_FILE") or None,
        password_command=variables.get("PIVORI_PASSWORD_COMMAND") or None,
        archive_password=Secret(archive_password) if archive_password else None,
        archive_password_file=variables.get("PIVORI_ARCHIVE_PASSWORD_FILE") or None,
        archive_password_command=variables.get("PIVORI_ARCHIVE_PASSWORD_COMMAND") or None,
        project_directory=_from_here(variables, "PIVORI_PROJECT_DIR"),
        backup_directory=_from_here(variables, "PIVORI_BACKUP_DIR"),
        log_directory=_from_here(variables, "PIVORI_LOG_DIR"),
        no_color=bool(variables.get("NO_COLOR")),
        terminal_type=variables.get("TERM", ""),
        columns=_positive(variables.get("COLUMNS", "")),
        completion=variables.get(COMPLETION_VARIABLE) or None,
        stdin_is_terminal=_is_terminal(sys.stdin),
        stdout_is_terminal=_is_terminal(sys.stdout),
        stderr_is_terminal=_is_terminal(sys.stderr),
        variables={name: Secret(value) for name, value in variables.items() if value},
    )


def _home(variables: Mapping[str, str]) -> Path | None:
    """``HOME`` when it is an absolute path, otherwise what the user database says."""
    home = _absolute(variables, "HOME")
    if home is not None:
        return home
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _absolute(variables: Mapping[str, str], name: str) -> Path | None:
    """The absolute path in a variable; None when it is absent, empty or relative."""
    value = variables.get(name, "")
    return Path(value) if value.startswith("/") else None


def _from_here(variables: Mapping[str, str], name: str) -> Path | None:
    """The path in a variable, a relative one seen from the current directory; None when it is absent or empty."""
    value = variables.get(name)
    return Path(value).absolute() if value else None


def _positive(text: str) -> int | None:
    """The positive number ``text`` spells, or None."""
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is open and a terminal (it is None when the process was started without it)."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False
