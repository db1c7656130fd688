"""A command that prints a secret. What it says, on either output, is in no error: nobody knows what that would tell."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pivori.components.base import ComponentFailed, Finding, failure_of
from pivori.components.secrets.found_files import MOST
from pivori.host import CommandNotStarted, capture_output
from pivori.translation import N_


class SecretCommandFailed(ComponentFailed):
    """The command ended with a failure."""

    code = "secret-command-failed"
    message = N_(
        "{program}, which prints the secret {secret} of the component {component}, ended with status {status}."
    )
    hint = N_("Run it by hand to see what is wrong. What it says is not repeated here, because it may hold a secret.")


class SecretCommandStopped(SecretCommandFailed):
    """The command took too long or printed too much."""

    code = "secret-command-stopped"
    message = N_(
        "{program}, which prints the secret {secret} of the component {component}, was stopped: it took longer than"
        " {timeout} seconds or printed more than 16 MiB."
    )
    hint = N_("Run it by hand to see what it waits for, or give it more time with its option `timeout`.")


class SecretCommandSilent(SecretCommandFailed):
    """The command ended well and printed nothing."""

    code = "secret-command-silent"
    message = N_("{program}, which should print the secret {secret} of the component {component}, printed nothing.")
    hint = N_("Run it by hand: it has to print the secret on its standard output.")


@dataclass(frozen=True, kw_only=True)
class SecretCommand:
    """A command, as words, whose output is the secret ``name``. ``timeout`` is in seconds."""

    name: str
    words: Sequence[str]
    timeout: float = 60.0

    def missing(self, root: Path) -> Sequence[Finding]:
        """A finding when its program is not there."""
        program = self.words[0]
        if shutil.which(root / program if "/" in program else program) is not None:
            return []
        return [failure_of(CommandNotStarted(command=program, reason=N_("there is no such program")))]

    def run(self, root: Path, component: str) -> bytes:
        """What it prints when it is run in a folder.

        Raises SecretCommandFailed, SecretCommandStopped, SecretCommandSilent, CommandNotStarted.
        """
        done = capture_output(self.words, timeout=self.timeout, most=MOST, directory=os.fsencode(root))
        shown = {"component": component, "program": self.words[0], "secret": self.name}
        if done.status is None:
            raise SecretCommandStopped(timeout=f"{self.timeout:g}", **shown)
        if done.status:
            # As a shell counts: a signal is 128 and its number.
            raise SecretCommandFailed(status=done.status if done.status > 0 else 128 - done.status, **shown)
        if not done.output.strip():
            raise SecretCommandSilent(**shown)
        return done.output
