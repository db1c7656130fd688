"""Running a command of this program from another one, as if it had been typed: for the menu and for the old script."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import click

from pivori.cli.failures import conclude
from pivori.cli.interruption import interruptions
from pivori.cli.main import in_our_words
from pivori.cli.session import Runtime
from pivori.settings.load import PROGRAM


def attempt(context: click.Context, arguments: Sequence[str]) -> int:
    """Run the command line ``arguments`` (without the program's name) and return its exit status.

    What ends it early is told as at the end of the program. Raises nothing; Ctrl-C ends this command only.
    """
    outer: Runtime = context.find_object(Runtime)  # type: ignore[assignment]  # main always gives one
    runtime = replace(outer, choices=dict(outer.choices))
    program = context.find_root().command

    def act() -> int:
        with program.make_context(PROGRAM, [*arguments], obj=runtime) as inner:
            status: int = program.invoke(inner)
            return status

    return told(runtime, act)


def told(runtime: Runtime, act: Callable[[], int]) -> int:
    """Do something that returns an exit status; what ends it early is told. Raises nothing."""
    try:
        with interruptions():
            status = act()
            runtime.output.flush()
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - as at the end of the program
        return conclude(in_our_words(error), runtime.output, runtime.clock, runtime.report_directory)
    return status
