"""The commands of ``backup-scripts-expert.sh``, each as a command line of this program.

This is all there is to them: what they do, ``pivori archive`` does. Options around the arguments of a command are
handed on to it.
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from pivori.cli.archive_options import directory_of
from pivori.cli.command_table import ARCHIVE
from pivori.cli.failures import UsageError
from pivori.cli.group import load_command
from pivori.cli.session import Session
from pivori.engine.strategies import StrategyName
from pivori.settings.archives import project_directory
from pivori.translation import N_, _

SCRIPT: Final = "backup-scripts-expert.sh"
PIT: Final = "restore_pit"
DAYS: Final = 30
_SPECIAL: Final = "*?[\\"


@dataclass(frozen=True, kw_only=True)
class Places:
    """What is saved, and where the archives are."""

    project: Path
    archives: Path

    def find(self, name: str) -> str:
        """The archive that a name means: a file seen from here, else one among the archives."""
        elsewhere = self.archives / name
        if not os.path.lexists(name) and os.path.lexists(elsewhere):
            return str(elsewhere)
        return f"./{name}" if name.startswith("-") else name


def places_of(session: Session, project: str | None = None, archives: str | None = None) -> Places:
    """The places as given, else as the environment says."""
    environment = session.runtime.environment
    return Places(project=project_directory(environment, project), archives=directory_of(session, archives))


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A command: its arguments (``wanted`` of them have to be there), what it does, and the command line it becomes.

    ``becomes`` names the command below ``pivori archive`` whose options it takes. ``line`` is called with the places,
    the arguments and the options around them.
    """

    name: str
    becomes: str
    synopsis: str = ""
    meaning: str
    wanted: int = 0
    taken: int = 0
    line: Callable[[Places, Sequence[str], Sequence[str]], list[str]]

    @property
    def usage(self) -> str:
        """Name and arguments, in the user's language."""
        return f"{self.name} {_(self.synopsis)}" if self.synopsis else self.name

    def positions(self, given: Sequence[str]) -> list[int]:
        """Where its arguments stand: an option may be in front, and the value of an option is no argument."""
        return _operands(given, load_command(ARCHIVE[self.becomes]))[: self.taken]

    def command_line(self, places: Places, given: Sequence[str]) -> list[str]:
        """The arguments for this program. Raises UsageError."""
        positions = self.positions(given)
        if len(positions) < self.wanted:
            reason = _("It is used as: {usage}").format(usage=self.usage)
            raise UsageError(reason=reason, command=SCRIPT)
        options = [text for number, text in enumerate(given) if number not in positions]
        return self.line(places, [given[number] for number in positions], options)


def _operands(given: Sequence[str], command: click.Command) -> list[int]:
    """The positions of what is neither an option of a command nor the value of one."""
    with_value = {
        name
        for option in command.params
        if isinstance(option, click.Option) and not (option.is_flag or option.count)
        for name in option.opts
    }
    found = []
    is_value = is_over = False
    for number, text in enumerate(given):
        if is_value:
            is_value = False
        elif is_over or text == "-" or not text.startswith("-"):
            found.append(number)
        elif text == "--":
            is_over = True
        else:
            is_value = _wants_next(text, with_value)
    return found


def _wants_next(text: str, with_value: Collection[str]) -> bool:
    """Whether the value of an option is the next word, and not behind ``=`` or the letter."""
    if text.startswith("--"):
        return text in with_value
    first = next((number for number, letter in enumerate(text) if number and f"-{letter}" in with_value), None)
    return first == len(text) - 1


def create_line(strategy: str, places: Places, options: Sequence[str] = ()) -> list[str]:
    """The command line that makes an archive of the project."""
    where = ["--directory", str(places.archives)]
    return ["archive", "create", "--strategy", strategy, *where, *options, str(places.project)]


def restore_line(file: str, places: Places, options: Sequence[str] = ()) -> list[str]:
    """The command line that restores the project in its place from an archive, after asking."""
    where = ["--target", str(places.project), "--replace"]
    return ["archive", "restore", "--ask", *where, *options, places.find(file)]


def list_line(places: Places) -> list[str]:
    """The command line that lists the archives."""
    return ["archive", "list", str(places.archives)]


def verify_line(files: Sequence[str], places: Places, options: Sequence[str] = ()) -> list[str]:
    """The command line that verifies archives; without one, the newest."""
    where = ["--directory", str(places.archives)]
    return ["archive", "verify", *where, *options, *map(places.find, files)]


def prune_line(days: str, places: Places, options: Sequence[str] = ()) -> list[str]:
    """The command line that removes archives older than so many days. Raises UsageError for what is no number."""
    if not (days.isascii() and days.isdigit()):
        reason = _("`{value}` is not a number of days.").format(value=days)
        raise UsageError(reason=reason, command=SCRIPT)
    return ["archive", "prune", "--directory", str(places.archives), "--older-than", f"{int(days)}d", *options]


def component_pattern(component: str, project: Path) -> str:
    """The pattern that means a path below the project and nothing else. Raises UsageError for one that is not below."""
    path = os.path.normpath(project / component)
    relative = os.path.relpath(path, project)
    if relative.split("/")[0] in (".", ".."):
        reason = _("{component} is not below {project}.").format(component=component, project=project)
        raise UsageError(reason=reason, command=SCRIPT)
    escaped = "".join(f"\\{character}" if character in _SPECIAL else character for character in relative)
    return "/" + (f"{escaped[:-1]}\\ " if escaped.endswith(" ") else escaped)


def _restore_line(places: Places, arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    return restore_line(arguments[0], places, options)


def _partial_line(places: Places, arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    file, component = arguments
    return restore_line(file, places, ["--include", component_pattern(component, places.project), *options])


def _clean_line(places: Places, arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    return prune_line(arguments[0] if arguments else str(DAYS), places, options)


def _backup(strategy: StrategyName, meaning: str) -> Verb:
    return Verb(
        name=f"backup_{strategy.value}",
        becomes="create",
        meaning=meaning,
        line=lambda places, _arguments, options: create_line(strategy.value, places, options),
    )


VERBS: Final = {
    verb.name: verb
    for verb in (
        _backup(StrategyName.COMPLETE, N_("Save everything.")),
        _backup(StrategyName.SMART, N_("Save what cannot be made again.")),
        _backup(StrategyName.COMPRESSED, N_("Save everything as small as can be.")),
        _backup(StrategyName.DIFFERENTIAL, N_("Save what changed since the last complete one.")),
        Verb(
            name="restore_complete",
            becomes="restore",
            synopsis=N_("FILE"),
            meaning=N_("Restore everything; what is there now is moved aside."),
            wanted=1,
            taken=1,
            line=_restore_line,
        ),
        Verb(
            name="restore_partial",
            becomes="restore",
            synopsis=N_("FILE COMPONENT"),
            meaning=N_("Restore one directory or file, such as services/auth."),
            wanted=2,
            taken=2,
            line=_partial_line,
        ),
        Verb(
            name=PIT,
            becomes="restore",
            synopsis=N_("YYYYMMDD[-HHMMSS]"),
            meaning=N_("Restore from the newest archive of that day or before."),
            wanted=1,
            taken=1,
            line=_restore_line,
        ),
        Verb(
            name="verify_backup",
            becomes="verify",
            synopsis=N_("[FILE]"),
            meaning=N_("Check an archive; without FILE the newest."),
            taken=1,
            line=lambda places, arguments, options: verify_line(arguments, places, options),
        ),
        Verb(
            name="cleanup_old_backups",
            becomes="prune",
            synopsis=N_("[DAYS]"),
            meaning=N_("Remove archives older than DAYS (30); the last good ones stay."),
            taken=1,
            line=_clean_line,
        ),
    )
}
