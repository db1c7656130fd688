"""The global options, and the decorators that make a command of a function.

Global options are accepted before and after the command's name. They are not given to the command's function: it gets
a :class:`Session`, whose ``settings`` they became.
"""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from pivori.cli.group import PivoriCommand, PivoriGroup
from pivori.cli.session import Runtime, Session
from pivori.settings.model import Choices
from pivori.translation import _

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType[float]):
    """A duration: a number of seconds, or a number with ``s``, ``m`` or ``h``."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds."""
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh]?)", str(value))
        if found is None:
            self.fail(_("`{value}` is no duration; write 90, 90s, 5m or 1h.").format(value=value), param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


def global_options() -> list[click.Option]:
    """The options every command has; new objects at each call, as each command owns its own."""
    return [
        _global(
            ["--config"],
            metavar=_("FILE"),
            type=click.Path(dir_okay=False),
            help=_("The configuration file, in place of the nearest pivori.toml [PIVORI_CONFIG]."),
        ),
        _global(
            ["-r", "--repository"],
            metavar=_("PLACE"),
            type=click.Path(file_okay=False),
            help=_("The repository: a folder or an address [PIVORI_REPOSITORY]."),
        ),
        _global(
            ["--password-file"],
            metavar=_("FILE"),
            type=click.Path(dir_okay=False),
            help=_("Read the password from a file [PIVORI_PASSWORD_FILE]."),
        ),
        _global(
            ["--password-command"],
            metavar=_("COMMAND"),
            help=_("Take the password a command prints [PIVORI_PASSWORD_COMMAND]."),
        ),
        _global(["--json"], is_flag=True, help=_("Write JSON for programs instead of text for people.")),
        _global(["-q", "--quiet"], is_flag=True, help=_("Say only what was asked for, and what goes wrong.")),
        _global(["-v", "--verbose"], count=True, help=_("Say more about what is done and what is left as it is.")),
        _global(["--no-lock"], is_flag=True, help=_("Read without a lock, for a repository that is read-only.")),
        _global(
            ["--retry-lock"],
            metavar=_("SECONDS"),
            type=Seconds(),
            help=_("Wait so long for a repository that is locked; also 5m or 1h."),
        ),
        _global(["--no-cache"], is_flag=True, help=_("Keep nothing in the cache folder.")),
        _global(
            ["--cache-dir"],
            metavar=_("FOLDER"),
            type=click.Path(file_okay=False),
            help=_("Use this cache folder."),
        ),
    ]


def repository_command(
    *,
    help: str,
    examples: Sequence[tuple[str, str]] = (),
    parent: click.Group | None = None,
    name: str | None = None,
    **settings: Any,
) -> Callable[[Callable[..., int | None]], PivoriCommand]:
    """Make a command of ``function(session, **parameters)``, which returns an exit status, or None for 0.

    ``help`` and the meanings in ``examples`` (command line, meaning) are in the user's language already. ``parent`` is
    the group of a subcommand, ``name`` its name there. Other settings are click's.
    """

    def decorate(function: Callable[..., int | None]) -> PivoriCommand:
        @wraps(function)
        def call(**parameters: Any) -> int:
            session = start_session(click.get_current_context())
            try:
                return function(session, **parameters) or 0
            finally:
                session.close()

        make = click.command(
            name, cls=PivoriCommand, help=help, examples=examples, global_options=global_options(), **settings
        )
        command: PivoriCommand = make(call)
        if parent is not None:
            parent.add_command(command)
        return command

    return decorate


def repository_group(*, help: str) -> PivoriGroup:
    """A command that only has subcommands; these are made with ``@repository_command(parent=…, name=…)``."""
    return PivoriGroup(help=help, global_options=global_options())


def start_session(context: click.Context) -> Session:
    """The session of a command, from the global options met on the whole command line."""
    runtime: Runtime = context.find_object(Runtime)  # type: ignore[assignment]  # main always gives one
    choices = Choices(**runtime.choices)  # type: ignore[arg-type]  # names and types are those of Choices
    output = runtime.output
    output.quiet, output.verbose = choices.quiet, choices.verbose
    return Session(runtime, choices)


def _global(names: list[str], **settings: Any) -> click.Option:
    return click.Option(names, expose_value=False, callback=_note, **settings)


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Remember a global option; the one nearest to the end of the command line wins, and ``-v`` adds up."""
    runtime = context.find_object(Runtime)
    source = context.get_parameter_source(parameter.name or "")
    if runtime is None or source is not click.core.ParameterSource.COMMANDLINE:
        return
    name = parameter.name or ""
    if name == "verbose":
        value += runtime.choices.get(name, 0)
    runtime.choices[name] = value
