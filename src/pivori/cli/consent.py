"""Asking somebody at the terminal whether to go on with what has just been shown."""

import sys

from pivori.cli.session import Session
from pivori.errors import PivoriError
from pivori.translation import N_, _

_YES = N_("y yes")
"""The answers that agree, separated by spaces."""


class ConsentNeeded(PivoriError):
    """Somebody has to agree, and nobody is there."""

    code = "consent-needed"
    message = N_("Nobody can be asked here, so nothing was changed.")
    hint = N_("Add --yes to agree beforehand, or run the command at a terminal.")


class NotAgreed(PivoriError):
    """Somebody was asked and did not agree."""

    code = "not-agreed"
    message = N_("You did not agree, so nothing was changed.")


def require_consent(session: Session, question: str) -> None:
    """Ask a question that is answered by yes or no. Raises ConsentNeeded and NotAgreed."""
    environment, output = session.runtime.environment, session.output
    if output.json or not (environment.stdin_is_terminal and environment.stdout_is_terminal):
        raise ConsentNeeded()
    output.ask(_("{question} [y/N]").format(question=question))
    answer = sys.stdin.readline().strip().casefold()
    if answer not in _(_YES).split():
        raise NotAgreed()
