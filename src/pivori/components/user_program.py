"""Programs that the user names: run in the folder of the stack, with secrets that nothing they say may show."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer
from typing import Final
from urllib.parse import quote

from pivori.components.base import ComponentFailed, Finding, Gravity, Reveal
from pivori.host import CommandNotStarted
from pivori.host.filter import Filter, start_filter
from pivori.host.process import as_text
from pivori.translation import N_, Phrase

_HIDDEN: Final = "…"
_TELLING: Final = 4
"""Characters of a secret's end that are hidden at the start of what a program said, which may begin within it."""


class CommandFailed(ComponentFailed):
    """The user's program ended with a failure."""

    code = "user-command-failed"
    message = N_('{program} of the component {component} ended with status {status}, saying "{stderr}".')
    hint = N_("Run it by hand to see what is wrong.")


class CommandFailedMutely(CommandFailed):
    """The user's program ended with a failure and did not say why."""

    message = N_("{program} of the component {component} ended with status {status} and did not say why.")


class CommandSlow(ComponentFailed):
    """The user's program did not end in time."""

    code = "user-command-slow"
    message = N_("{program} of the component {component} did not end within {timeout} seconds and was stopped.")
    hint = N_("See what it waits for, or give it more time with the option `timeout`.")


@dataclass(frozen=True, kw_only=True)
class UserProgram:
    """A program of a component: its words, and the folder it runs in. It has no terminal.

    ``variables`` are set in its environment and in no other. ``timeout`` is in seconds.
    """

    component: str
    words: Sequence[str]
    directory: Path
    timeout: float
    variables: Mapping[str, Reveal] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The first of its words, which is all that is ever shown of them."""
        return self.words[0]

    def missing(self, gravity: Gravity) -> Sequence[Finding]:
        """A finding when the program is not there, or cannot be run."""
        path = self.directory / self.name
        if shutil.which(path if "/" in self.name else self.name) is not None:
            return []
        reason = N_("it cannot be run") if "/" in self.name and path.exists() else N_("there is no such program")
        failed = CommandNotStarted(command=self.name, reason=Phrase(reason))
        return [Finding(gravity=gravity, message=failed.as_reason, hint=Phrase(failed.hint))]

    @contextmanager
    def running(self, *, first: bytes | None = None, stdout: int | None = None) -> Iterator["RunningProgram"]:
        """The program while it runs; ``first`` and ``stdout`` are as of ``start_filter``.

        Whatever it started is killed with it when the context is left before its end. Raises CommandNotStarted, and
        what looking up a secret raises.
        """
        values = {name: reveal() for name, reveal in self.variables.items()}
        with start_filter(
            self.words,
            first=first,
            stdout=stdout,
            directory=os.fsencode(self.directory),
            variables=values,
            with_children=True,
        ) as process:
            running = RunningProgram(self, process, list(values.values()))
            timer = Timer(self.timeout, running.stop_late)
            timer.daemon = True
            try:
                timer.start()
                yield running
            finally:
                timer.cancel()


class RunningProgram:
    """A run of a user's program."""

    def __init__(self, program: UserProgram, process: Filter, secrets: Sequence[str]) -> None:
        """Take charge of a started program. Others use :meth:`UserProgram.running`."""
        self._program = program
        self._process = process
        self._secrets = secrets
        self._late = Event()

    def read(self, buffer: memoryview) -> int:
        """Fill a buffer with its output; 0 at the end of that."""
        stdout = self._process.stdout
        return (stdout.readinto(buffer) or 0) if stdout is not None else 0

    def give(self, piece: bytes) -> bool:
        """Write to its input: whether it took all of it."""
        stdin = self._process.stdin
        view = memoryview(piece)
        try:
            while view and stdin is not None:
                view = view[stdin.write(view) :]
        except BrokenPipeError:
            return False
        return True

    def stop_late(self) -> None:
        """End it because its time is over."""
        self._late.set()
        self._process.kill()

    def end(self) -> int:
        """Wait for its end: its status, which is 0. Raises CommandSlow, CommandFailed."""
        status, errors = self._process.finish()
        shown = {"component": self._program.component, "program": self._program.name}
        if self._late.is_set():
            raise CommandSlow(timeout=f"{self._program.timeout:g}", **shown)
        if status:
            status = status if status > 0 else 128 - status  # as a shell counts
            if not (said := as_text(without_secrets(errors, self._secrets).encode(errors="replace"))):
                raise CommandFailedMutely(status=status, **shown)
            raise CommandFailed(status=status, stderr=said, **shown)
        return status


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """A text in which ``…`` stands for secrets, also for single lines of them and as an address spells them.

    It may be the end of a longer text that begins in the middle of a secret.
    """
    spellings = {secret for secret in secrets if secret.strip()}
    spellings |= {line for secret in spellings for line in secret.splitlines() if len(line.strip()) >= _TELLING}
    spellings |= {quote(spelling, safe="") for spelling in spellings}
    # Longer ones first: one may be a part of another.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, _HIDDEN)
        cut = next((at for at in range(1, len(spelling) - _TELLING + 1) if text.startswith(spelling[at:])), None)
        if cut is not None:
            text = _HIDDEN + text[len(spelling) - cut :]
    return text
