"""Where the password comes from, and the generated key file.

A password file is read as restic reads one (``textfile.Read`` and ``strings.TrimSpace`` of its ``resolvePassword``):
a byte order mark is honoured, white space at both ends is dropped, everything else, further lines included, belongs to
the password. So a file serves both programs. Of a password command the first line counts, trimmed the same way.

A regular file that others may read, or that belongs to somebody else, is refused. What is not a regular file (a pipe,
``/dev/fd/63`` of a process substitution) has no permissions that mean anything, and is read as it is.
"""

import base64
import codecs
import errno
import getpass
import os
import secrets
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pivori.errors import PivoriError
from pivori.host import PasswordCommandFailed, capture_first_line
from pivori.settings.model import PasswordFrom, PasswordSource
from pivori.settings.secret import Secret
from pivori.translation import N_

_LARGEST_PASSWORD = 64 << 10
_GENERATED_BYTES = 32
_COMMAND_SECONDS = 300.0
"""How long a password command may take: somebody may have to find the smart card first."""
# The characters Go's unicode.IsSpace accepts, which is what restic trims; Python's strip() takes a few more.
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_WHITE_SPACE += "\u2028\u2029\u202f\u205f\u3000"
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

__all__ = [
    "EmptyPassword",
    "KeyFileMissing",
    "KeyFileNotWritten",
    "KeyFileOwner",
    "KeyFilePermissions",
    "NoNewPassword",
    "NoPassword",
    "NoSecondPassword",
    "NothingTyped",
    "PasswordCommandFailed",
    "PasswordFileUnreadable",
    "PasswordsDiffer",
    "ask_at_terminal",
    "find_password",
    "fits_key_file",
    "is_private",
    "make_key_file",
    "read_password_file",
    "replace_key_file",
    "run_password_command",
]

Ask = Callable[[bool], Secret]
"""Asks a person for the password, twice when the argument is true."""


class NoPassword(PivoriError):
    """Nobody gave a password, and there is no terminal to ask at."""

    code = "no-password"
    message = N_("There is no password for {repository}.")
    hint = N_("Give one with --password-file, --password-command or PIVORI_PASSWORD_FILE, or run this at a terminal.")


class NoSecondPassword(NoPassword):
    """The same of the second repository of a command."""

    hint = N_("Give one with --to-password-file or --to-password-command, or run this at a terminal.")


class NoNewPassword(NoPassword):
    """The same of a password that is to be set beside the present one."""

    message = N_("There is no new password for {repository}.")
    hint = N_("Give one with --new-password-file or --new-password-command, or run this at a terminal.")


class EmptyPassword(PivoriError):
    """The place a password should come from holds nothing."""

    code = "empty-password"
    message = N_("The password from {origin} is empty.")
    hint = N_("Put the password there; a repository without a password is not offered.")


class NothingTyped(EmptyPassword):
    """A person was asked for the password and typed none."""

    message = N_("No password was typed.")
    hint = N_("Type the password; a repository without a password is not offered.")


class PasswordFileUnreadable(PivoriError):
    """The password file cannot be read."""

    code = "password-file-unreadable"
    message = N_("The password file {path} cannot be read: {reason}.")
    hint = N_("Check the path and its permissions.")


class KeyFileMissing(PivoriError):
    """The default repository is there and its key file is not."""

    code = "key-file-missing"
    message = N_("There is a repository in {repository}, but its key file {path} is missing.")
    hint = N_("Put the key file back from where you keep its copy, or give the password with --password-file.")


class KeyFileNotWritten(PivoriError):
    """The key file could not take the new password; nothing was taken away before."""

    code = "key-file-not-written"
    message = N_(
        "The key file {path} could not be written: {reason}. The old and the new password both open the repository now."
    )
    hint = N_("Write the new password into it yourself (chmod 600), or remove the new key with `pivori key remove`.")


class KeyFilePermissions(PivoriError):
    """Others than its owner may read or write the password."""

    code = "key-file-permissions"
    message = N_("Others may read or change the password file {path} (its mode is {mode}).")
    hint = N_("Take their access away: chmod 600 {path}")


class KeyFileOwner(PivoriError):
    """The password file belongs to somebody who is neither this user nor root."""

    code = "key-file-owner"
    message = N_("The password file {path} belongs to another user (number {owner}).")
    hint = N_("Make it yours, or use a copy of your own: chown {user} {path}")


class PasswordsDiffer(PivoriError):
    """The two entries of a new password are not the same."""

    code = "passwords-differ"
    message = N_("The two passwords are not the same.")
    hint = N_("Type the same password twice.")


def find_password(source: PasswordSource, repository: str, *, ask: Ask, new: bool = False) -> Secret:
    """The password from ``source``; ``new`` when it is about to be set, so that a person types it twice.

    Raises the errors of this module, of which NoPassword when there is nobody to ask, and what looking it up raises
    where the configuration says that it is.
    """
    if source.kind is PasswordFrom.FILE and source.path is not None:
        return read_password_file(source.path)
    if source.kind is PasswordFrom.COMMAND and source.command is not None:
        return run_password_command(source.command)
    if source.kind is PasswordFrom.ENVIRONMENT and source.value is not None:
        return source.value
    if source.kind is PasswordFrom.CONFIGURATION and source.reveal is not None:
        return Secret(source.reveal())
    if source.kind is PasswordFrom.KEY_FILE and source.path is not None:
        if not source.path.exists():
            raise KeyFileMissing(repository=repository, path=source.path)
        return read_password_file(source.path)
    if source.kind is PasswordFrom.TERMINAL:
        return ask(new)
    raise NoPassword(repository=repository)


def read_password_file(path: Path) -> Secret:
    """The password in a file. Raises PasswordFileUnreadable, KeyFilePermissions, KeyFileOwner and EmptyPassword."""
    try:
        with path.open("rb") as file:
            _refuse_loose(path, os.fstat(file.fileno()))
            data = file.read(_LARGEST_PASSWORD + 1)
    except OSError as error:
        raise PasswordFileUnreadable(path=path, reason=error.strerror or str(error)) from None
    if len(data) > _LARGEST_PASSWORD:
        raise PasswordFileUnreadable(path=path, reason=N_("it is far too large to be a password"))
    return _password_in(data, str(path))


def run_password_command(command: str) -> Secret:
    """The first line a command prints; the command is split as a shell would, but no shell runs it.

    It may ask at the terminal: only its output is captured. Raises PasswordCommandFailed and EmptyPassword.
    """
    return _password_in(capture_first_line(command, timeout=_COMMAND_SECONDS), command.split()[0])


def ask_at_terminal(prompt: str, again: str | None, repository: str) -> Secret:
    """Ask a person, without echo, and once more with ``again`` when it is given.

    Raises PasswordsDiffer, NothingTyped, and NoPassword when there is no terminal that can hide what is typed.
    """
    first = _ask_once(prompt, repository)
    if not first:
        raise NothingTyped()
    if again is not None and _ask_once(again, repository) != first:
        raise PasswordsDiffer()
    return first


def make_key_file(path: Path) -> bool:
    """Write a generated key file; False when one is there already, which is left as it is.

    The file appears whole, readable by its owner alone, and is durable when this returns.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = base64.urlsafe_b64encode(secrets.token_bytes(_GENERATED_BYTES)) + b"\n"
    with _written_beside(path, text) as temporary:
        made = _name_it(temporary, path)
    _sync_directory(path.parent)
    return made


def fits_key_file(password: Secret) -> bool:
    """Whether a key file can hold a password: white space at its ends and a byte order mark would be lost."""
    try:
        return _password_in(_as_written(password), "") == password
    except (EmptyPassword, UnicodeEncodeError):
        return False


def replace_key_file(path: Path, password: Secret) -> None:
    """Let an existing key file hold another password, at once and durably: whoever reads it gets the old or the new.

    A symbolic link stays, and what it points to is replaced. Raises KeyFileNotWritten.
    """
    try:
        real = path.resolve(strict=True)
        with _written_beside(real, _as_written(password)) as temporary:
            temporary.rename(real)
        _sync_directory(real.parent)
    except OSError as error:
        raise KeyFileNotWritten(path=path, reason=error.strerror or str(error)) from None


def _as_written(password: Secret) -> bytes:
    return password.reveal().encode("utf-8", "surrogateescape") + b"\n"


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    """A durable file with this content beside ``path``, readable by its owner alone; removed if it is not renamed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _name_it(temporary: Path, path: Path) -> bool:
    """Give a finished file its name; False when the name is taken."""
    try:
        # A link, unlike a rename, never replaces the key that another first run has just made.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        if path.exists():  # a file system without links
            return False
        temporary.rename(path)
    return True


def is_private(path: Path) -> bool:
    """Whether :func:`read_password_file` would take a file, as far as its owner and permissions go."""
    try:
        _refuse_loose(path, path.stat())
    except (KeyFileOwner, KeyFilePermissions, OSError):
        return False
    return True


def _refuse_loose(path: Path, status: os.stat_result) -> None:
    """Refuse a regular file that others may read, or that belongs to somebody else."""
    if not stat.S_ISREG(status.st_mode):
        return
    user = os.geteuid()
    if status.st_uid not in (user, 0):
        raise KeyFileOwner(path=path, owner=status.st_uid, user=user)
    if status.st_mode & 0o077:
        raise KeyFilePermissions(path=path, mode=f"{stat.S_IMODE(status.st_mode):04o}")


def _password_in(data: bytes, origin: str) -> Secret:
    """The password in what a file or a command gave. Bytes that are not UTF-8 are kept as surrogates."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
            break
    else:
        text = data.decode("utf-8", "surrogateescape")
    password = text.strip(_WHITE_SPACE)
    if not password:
        raise EmptyPassword(origin=origin)
    return Secret(password)


def _ask_once(prompt: str, repository: str) -> Secret:
    """One entry without echo; refuses rather than let the password show on the screen."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return Secret(getpass.getpass(prompt))
    except EOFError:
        raise NothingTyped() from None
    except (OSError, getpass.GetPassWarning):
        raise NoPassword(repository=repository) from None


def _sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
