"""The command line: ``run`` takes the arguments and returns the exit status.

Looking to add a command? Two steps:

1. Add a line to ``TABLE`` in ``cli/command_table.py``: name, module, section of the help, one sentence.
2. Write ``cli/commands/<module>.py`` with a ``command``::

       @repository_command(
           help=_("List the snapshots."),
           examples=[("pivori snapshots --tag nightly", _("only those with a tag"))],
       )
       @click.option("--tag", help=_("Only snapshots with this tag."))
       def command(session: Session, tag: str | None) -> int | None:
           with session.app.open_repository(Access.READ) as (repository, lock):
               ...
           session.output.table([_("Id"), _("Size")], rows, right={1})     # people
           session.output.record({"message_type": "snapshot", ...})        # programs, with --json
           return None                                                     # or an exit status, INCOMPLETE for one

The language is selected before a command's module is imported, so ``_()`` may be used at its top level. Errors are
raised, never printed: ``failures.conclude`` decides what is said and which status ends the program. A verb that takes
its time reports to ``with session.progress() as progress``. Subcommands: ``command = repository_group(help=…)`` and
``@repository_command(parent=command, name="list", …)``; where they are many, each in its module, a ``LazyGroup``.

Loading is kept lazy: ``--version`` imports nothing, ``--help`` imports click and the table, a command what it needs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pivori import __version__, translation
from pivori.clock import Clock, SystemClock
from pivori.settings.load import COMPLETION_VARIABLE, PROGRAM, Environment, load_environment

if TYPE_CHECKING:
    import click

    from pivori.app import Storage
    from pivori.cli.group import Program
    from pivori.cli.output import Output
    from pivori.cli.session import Runtime


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What tests put in place of the machine's own."""

    environment: Environment
    clock: Clock
    storage: "Storage | None" = None


def run(arguments: list[str], surroundings: Surroundings | None = None, *, process_ends: bool = False) -> int:
    """Run the program with ``arguments`` (without the program's name); return its exit status. Raises nothing.

    ``process_ends`` says that nothing comes after it in this process, so that signals are of no use any more.
    """
    if surroundings is None:
        surroundings = Surroundings(environment=load_environment(), clock=SystemClock())
    environment = surroundings.environment
    # First of all: click takes the translation function at its import.
    translation.select(list(environment.languages))
    from pivori.cli.failures import conclude
    from pivori.cli.interruption import interruptions
    from pivori.cli.session import Runtime

    output = _open_output(arguments, environment)
    clock = surroundings.clock
    runtime = Runtime(environment=environment, output=output, clock=clock, storage=surroundings.storage)

    def end(error: BaseException) -> int:
        return conclude(in_our_words(error), output, clock, runtime.report_directory, runtime.contacts)

    try:
        with interruptions(process_ends=process_ends):
            try:
                status = _dispatch(arguments, runtime)
                output.flush()
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where everything ends
                return end(error)
            return status
    except KeyboardInterrupt as error:  # on the doorstep, before the first line in there or after the last
        return end(error)


def _dispatch(arguments: list[str], runtime: "Runtime") -> int:
    """Parse the command line and call the command."""
    import click

    environment = runtime.environment
    program = build_program()
    if environment.completion is not None:
        return _complete(program, environment.completion)
    try:
        with program.make_context(PROGRAM, [*arguments] or ["--help"], obj=runtime) as context:
            status: int = program.invoke(context)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    return status


def _complete(program: "Program", instruction: str) -> int:
    """Answer a completing shell. What fails there fails in silence: a message would be written into the prompt."""
    from click.shell_completion import shell_complete  # only a completing shell needs it

    try:
        return shell_complete(program, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    except Exception:  # noqa: BLE001 - whatever it is, the prompt is no place for it
        return 1


def build_program() -> "Program":
    """The root of the command tree; commands hang on it by name only."""
    import click

    from pivori.cli.command_table import TABLE
    from pivori.cli.group import Program
    from pivori.cli.options import global_options
    from pivori.translation import _

    version = click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_show_version,
        help=_("Show the version and exit."),
    )
    return Program(
        name=PROGRAM,
        table=TABLE,
        help=_("Encrypted, deduplicated backups that are proven to come back; restic reads them too."),
        params=[version],
        global_options=global_options(),
        options_metavar=_("[OPTIONS]"),
        context_settings={"max_content_width": 100},
    )


def _show_version(context: "click.Context", _parameter: "click.Parameter", value: bool) -> None:
    if value and not context.resilient_parsing:
        context.obj.output.script(f"{PROGRAM} {__version__}")
        context.exit()


def _open_output(arguments: list[str], environment: Environment) -> "Output":
    """The output in the way the arguments ask for, known even when they turn out to be wrong."""
    from pivori.cli.output import Output, open_standard_streams

    stdout, stderr = open_standard_streams()
    is_dumb = environment.terminal_type in ("", "dumb")
    return Output(
        stdout=stdout,
        stderr=stderr,
        json="--json" in _before_double_dash(arguments),
        color=not environment.no_color and not is_dumb,
        columns=environment.columns,
        is_dumb=is_dumb,
    )


def _before_double_dash(arguments: list[str]) -> list[str]:
    """The arguments that are ours; after ``--`` come those of another command, or file names."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def in_our_words(error: BaseException) -> BaseException:
    """click's errors as ours; every other one as it is."""
    import re

    import click

    from pivori.cli.failures import InterruptedByUser, UsageError
    from pivori.cli.interruption import is_interruption
    from pivori.errors import PivoriError

    if is_interruption(error):
        return InterruptedByUser()
    if isinstance(error, click.UsageError):
        context = error.ctx
        # click lays some lists out with tabs and line breaks.
        reason = re.sub("[ \t\n]+", " ", error.format_message())
        return UsageError(reason=reason, command=context.command_path if context else PROGRAM)
    if isinstance(error, click.ClickException):
        return PivoriError(reason=error.format_message())
    return InterruptedByUser() if isinstance(error, click.Abort) else error
