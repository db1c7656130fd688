"""What the commands on archives have in common: the directory, the passwords, the history."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, wraps
from pathlib import Path
from typing import Any

import click

from pivori.archives.envelopes import unsealed
from pivori.cli.session import Session
from pivori.engine.archive.history import History, Operation, Outcome, Run
from pivori.engine.archive.opening import Keys
from pivori.settings.archives import ArchivePasswordChoices, archive_directory, archive_password
from pivori.settings.credentials import ask_at_terminal
from pivori.settings.secret import Secret
from pivori.translation import _


class ArchiveKeys:
    """The password of archives, found or asked for when it is first needed, and kept for the run; the identities."""

    def __init__(self, session: Session, choices: ArchivePasswordChoices, identities: Sequence[Path] = ()) -> None:
        self._session = session
        self._choices = choices
        self._identities = identities
        self._asked: Secret | None = None

    def keys(self, *, own: Any = None) -> Keys:
        """What opens archives that exist, and with ``own`` the one that was just made for recipients of age."""

        def open_envelope(path: Path) -> AbstractContextManager[Path]:
            return unsealed(path, password=self._existing, identities=self._identities, own=own)

        return Keys(password=self._existing, unsealed=open_envelope)

    def new_password(self) -> Secret:
        """The password of a new archive; a person types it twice. Raises NoPassword and what its place raises."""
        if self._asked is None:
            self._asked = self._found() or ask_at_terminal(
                _("New password for the archive: "), _("The same password again: "), _("the archive")
            )
        return self._asked

    def _existing(self, name: str) -> str | None:
        if self._asked is None:
            self._asked = self._found()
        if self._asked is None:
            environment = self._session.runtime.environment
            if not (environment.stdin_is_terminal or environment.stderr_is_terminal):
                return None
            self._asked = ask_at_terminal(_("Password for {repository}: ").format(repository=name), None, name)
        return self._asked.reveal()

    def _found(self) -> Secret | None:
        return archive_password(self._session.runtime.environment, self._choices, self._configured)

    def _configured(self) -> Secret | None:
        archives = self._session.archives
        return Secret(archives.password()) if archives is not None and archives.password is not None else None


def archive_key_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of archive passwords; its function gets ``keys``, called with the session."""

    @click.option(
        "--archive-password-file",
        metavar=_("FILE"),
        help=_("Read the archive's password from a file [PIVORI_ARCHIVE_PASSWORD_FILE]."),
    )
    @click.option(
        "--archive-password-command",
        metavar=_("COMMAND"),
        help=_("Take the archive's password from a command [PIVORI_ARCHIVE_PASSWORD_COMMAND]."),
    )
    @click.option(
        "--archive-password-keyring",
        metavar=_("SERVICE/NAME"),
        help=_("Take the archive's password from the desktop's keyring."),
    )
    @click.option(
        "--identity",
        multiple=True,
        metavar=_("FILE"),
        help=_("Open archives for recipients of age with the key in this file."),
    )
    @wraps(function)
    def call(
        *arguments: Any,
        archive_password_file: str | None,
        archive_password_command: str | None,
        archive_password_keyring: str | None,
        identity: tuple[str, ...],
        **parameters: Any,
    ) -> Any:
        choices = ArchivePasswordChoices(
            file=archive_password_file, command=archive_password_command, keyring=archive_password_keyring
        )
        session: Session = arguments[0]
        keys = ArchiveKeys(session, choices, [Path(each) for each in identity])
        return function(*arguments, keys=keys, **parameters)

    return call


def directory_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option ``--directory``; its function gets the text or None."""
    option = click.option(
        "-d",
        "--directory",
        metavar=_("DIRECTORY"),
        help=_("Where archives are [PIVORI_BACKUP_DIR, otherwise /backups]."),
    )
    return option(function)


def directory_of(session: Session, given: str | None) -> Path:
    """The directory of archives."""

    def configured() -> Path | None:
        return session.archives.directory if session.archives is not None else None

    return archive_directory(session.runtime.environment, given, configured)


def history_of(session: Session) -> History:
    """The history of runs on this machine."""
    return History(session.runtime.environment.state_directory)


def note_run(session: Session, operation: Operation, outcome: Outcome, started: float, **facts: Any) -> None:
    """Write a finished run into the history; ``started`` is when it began on the clock that never goes back."""
    clock = session.clock
    run = Run(
        time=clock.now().isoformat(),
        operation=operation,
        outcome=outcome,
        seconds=round(clock.monotonic() - started, 3),
        **facts,
    )
    history_of(session).add(run)


@cache
def workers() -> int:
    """How many processes work."""
    from pivori.host import available_processors

    return available_processors()


def absolute(path: str) -> Path:
    """A path as the user gave it, seen from here."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - a link stays what it is
