"""``pivori key list|add|remove|passwd``: who can open the repository.

With ``--json``: ``list`` prints one array of objects as restic does (``current``, ``id``, ``userName``, ``hostName``,
``created``); the others one ``key`` object with ``action`` (``added``, ``removed``, ``changed``), ``id``, and after
``passwd`` ``key_file`` where the generated key file was given the new password.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pivori.app import Access, App
from pivori.cli.failures import UsageError
from pivori.cli.node_display import show_moment
from pivori.cli.options import repository_command, repository_group
from pivori.cli.session import Session
from pivori.cli.snapshot_options import short_id, warn_of_damage
from pivori.errors import PivoriError
from pivori.repository import format_time, parse_time
from pivori.repository.keyring import KeyDescription, add_password, change_password, keys, remove_password
from pivori.settings import Secret
from pivori.settings.credentials import (
    NoNewPassword,
    NoPassword,
    fits_key_file,
    read_password_file,
    replace_key_file,
    run_password_command,
)
from pivori.translation import _

command = repository_group(
    help=_(
        "List, add, remove and change the passwords of the repository.\n\n"
        "Each password opens everything. Removing one does not lock out whoever has made a copy of its key object "
        "and knows the password."
    )
)


def new_password_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the places a new password can come from."""
    file = click.option(
        "--new-password-file",
        metavar=_("FILE"),
        type=click.Path(dir_okay=False),
        help=_("Read the new password from a file."),
    )
    program = click.option(
        "--new-password-command", metavar=_("COMMAND"), help=_("Take the new password from a command.")
    )
    return file(program(function))


@repository_command(
    parent=command,
    name="list",
    help=_("List the keys; a star marks the one in use."),
    examples=[("pivori key list", _("who can open the repository"))],
)
def list_command(session: Session) -> None:
    """List; a damaged key object is told, and left out."""
    with session.app.open_repository(Access.INSPECT, index=False) as (repository, _lock):
        found = keys(repository, on_damage=warn_of_damage(session.output))
    session.output.record([_record(key) for key in found])
    rows = [
        ["*" if key.current else "", short_id(key.name), key.username, key.hostname, _created(key)] for key in found
    ]
    session.output.table(["", _("Id"), _("User"), _("Host"), _("Created")], rows)


@repository_command(
    parent=command,
    name="add",
    help=_("Add a password. The new one is asked for, unless it is given."),
    examples=[("pivori key add --new-password-file ~/second.key", _("a second key file"))],
)
@new_password_options
@click.option("--user", metavar=_("NAME"), help=_("Record this user with the key."))
@click.option("--host", metavar=_("NAME"), help=_("Record this host with the key."))
def add_command(
    session: Session,
    new_password_file: str | None,
    new_password_command: str | None,
    user: str | None,
    host: str | None,
) -> None:
    """Add, and read back."""
    app = session.app
    with app.open_repository(Access.APPEND, index=False) as (repository, _lock):
        password = _new_password(session, new_password_file, new_password_command)
        identity = app.identity
        name = add_password(
            repository,
            password.reveal(),
            username=user or identity.username,
            hostname=host or identity.hostname,
            created=_now(app),
        )
    _done(session, "added", name, _("Added key {id}.").format(id=short_id(name)))


@repository_command(
    parent=command,
    name="remove",
    help=_("Remove a key, named by the first digits of its id. The one that opens the repository stays."),
    examples=[("pivori key remove 4f1c22aa", _("what it opened stays open to the others"))],
)
@click.argument("name", metavar=_("KEY"))
def remove_command(session: Session, name: str) -> None:
    """Remove."""
    with session.app.open_repository(Access.CHANGE, index=False) as (repository, _lock):
        removed = remove_password(repository, name)
    _done(session, "removed", removed, _("Removed key {id}.").format(id=short_id(removed)))


@repository_command(
    parent=command,
    name="passwd",
    help=_(
        "Replace the password that opens the repository.\n\n"
        "The new one is stored and tried before the old one is removed. The other keys stay as they are."
    ),
    examples=[("pivori key passwd", _("asks for the old and the new password"))],
)
@new_password_options
def passwd_command(session: Session, new_password_file: str | None, new_password_command: str | None) -> None:
    """Add, read back, remove the old one."""
    app = session.app
    with app.open_repository(Access.CHANGE, index=False) as (repository, _lock):
        key_file = _key_file_with(app.password(), session)
        password = _new_password(session, new_password_file, new_password_command)
        fits = fits_key_file(password)
        identity = app.identity
        name = change_password(
            repository,
            password.reveal(),
            username=identity.username,
            hostname=identity.hostname,
            created=_now(app),
            # The default repository is opened with what is in its key file: it has to know before the old one goes.
            before_removal=lambda: replace_key_file(key_file, password) if key_file and fits else None,
        )
    text = _("The password is changed; the new key is {id}.").format(id=short_id(name))
    if key_file is not None and fits:
        note = _("The key file {path} holds the new password; replace the copy of it that you keep elsewhere.")
        text += "\n" + note.format(path=key_file)
    _done(session, "changed", name, text, key_file=key_file if fits else None)
    if key_file is not None and not fits:
        text = _("The key file {path} no longer opens the repository: from now on, give the new password.")
        session.output.warn(text.format(path=key_file), name="key-file-out-of-date", path=key_file)


def _key_file_with(password: Secret, session: Session) -> Path | None:
    """The key file of the default repository, if that is the one and this is what the file holds.

    Whoever gives the password in another way, or names the file, opens the repository with the file the next time.
    """
    path = session.settings.key_file
    if path is None:
        return None
    try:
        return path if read_password_file(path) == password else None
    except PivoriError:
        return None  # it opens nothing as it is


def _new_password(session: Session, file: str | None, program: str | None) -> Secret:
    if file is not None and program is not None:
        reason = _("--new-password-file and --new-password-command exclude each other.")
        raise UsageError(reason=reason, command="pivori key")
    if file is not None:
        return read_password_file(Path(file))
    if program is not None:
        return run_password_command(program)
    try:
        return session.ask_password(True, session.app.storage().location)
    except NoPassword as error:
        raise NoNewPassword(**error.details) from None


def _now(app: App) -> str:
    return format_time(app.clock.now_ns())


def _done(session: Session, action: str, name: str, text: str, *, key_file: Path | None = None) -> None:
    record = {"message_type": "key", "action": action, "id": name}
    session.output.record(record if key_file is None else record | {"key_file": str(key_file)})
    session.output.result(text)


def _created(key: KeyDescription) -> str:
    try:
        return show_moment(parse_time(key.created))
    except PivoriError:
        return key.created


def _record(key: KeyDescription) -> dict[str, object]:
    return {
        "current": key.current,
        "id": key.name,
        "userName": key.username,
        "hostName": key.hostname,
        "created": key.created,
    }
