"""Envelopes around whole archives: GPG with a password (AES-256), and age to recipients.

An envelope is a stream: what is written into it comes out sealed at the other side, and is never on the disk in clear.
To be read, an archive is unsealed into a file without a name, which is gone when it is closed, whatever happens.

GPG is the ``gpg`` program, in a home directory of its own, so that neither the user's configuration nor an agent takes
part (RFC 4880; S2K iterated and salted with SHA-512). age is the format of age-encryption.org/v1, through ``pyrage``:
whoever writes for recipients cannot read what was written.
"""

import errno
import io
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

from pivori.archives.container import (
    ArchiveDamaged,
    NotAnArchive,
    PasswordNeeded,
    WrongArchivePassword,
)
from pivori.errors import PivoriError
from pivori.host.filter import Filter, start_filter
from pivori.translation import N_

AGE_MAGIC: Final = b"age-encryption.org/v1"
_PART: Final = 1 << 20
_GPG_OPTIONS: Final = (
    "--batch",
    "--no-tty",
    "--no-options",
    "--no-symkey-cache",
    "--pinentry-mode",
    "loopback",
    "--status-fd",
    "2",
    "--passphrase-fd",
    "{secret}",
)
_GPG_SEAL: Final = (
    "--symmetric",
    "--cipher-algo",
    "AES256",
    "--s2k-mode",
    "3",
    "--s2k-digest-algo",
    "SHA512",
    "--s2k-count",
    "65011712",
    "--compress-algo",
    "none",
)
_SYMMETRIC_TAGS: Final = (0x8C, 0xC3)
"""How an OpenPGP message begins that a password opens: a packet of tag 3, in the old and in the new way of writing."""
_ARMOR: Final = b"-----BEGIN PGP MESSAGE-----"
_FULL: Final = {"No space left": errno.ENOSPC, "Disk quota exceeded": errno.EDQUOT}
_SYSTEM_ERROR: Final = re.compile(r"\[Errno (\d+)\]")


class Envelope(StrEnum):
    """The envelopes, by the ending that they add to an archive's name."""

    GPG = "gpg"
    AGE = "age"


class GpgMissing(PivoriError):
    """The gpg program is not installed."""

    code = "gpg-missing"
    message = N_("GPG envelopes need the program `gpg`, which is not on this machine.")
    hint = N_("Install it (Debian, Ubuntu: apt install gpg), or encrypt with `--encrypt aes` or `--recipient`.")


class SealingFailed(PivoriError):
    """An envelope could not be made."""

    code = "sealing-failed"
    message = N_("The archive could not be encrypted: {reason}.")
    hint = N_("Nothing was left behind; try again, or choose another encryption.")


class BadRecipient(PivoriError):
    """A text is no recipient of age."""

    code = "bad-recipient"
    message = N_("`{recipient}` is no age recipient.")
    hint = N_("Recipients look like age1… or ssh-ed25519 …; `age-keygen` makes one. A file of them works as well.")
    exit_status = 2


class BadIdentity(PivoriError):
    """A file holds no identity of age."""

    code = "bad-identity"
    message = N_("{path} holds no age identity: {reason}.")
    hint = N_("Give the file that `age-keygen` wrote, or an SSH private key without a passphrase.")


def envelope_of(path: Path) -> Envelope | None:
    """The envelope around an archive, by its first bytes. Raises OSError."""
    with path.open("rb") as file:
        beginning = file.read(len(_ARMOR))
    if beginning.startswith(AGE_MAGIC) or beginning.startswith(b"-----BEGIN AGE"):
        return Envelope.AGE
    if beginning.startswith(_ARMOR) or (beginning and beginning[0] in _SYMMETRIC_TAGS):
        return Envelope.GPG
    return None


# Sealing


class _Sealed(io.RawIOBase):
    """What is written here goes into the envelope; closing it ends the envelope."""

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


class _GpgWriter(_Sealed):
    """A stream into gpg, which writes to ``out`` itself."""

    def __init__(self, out: BinaryIO, password: str) -> None:
        super().__init__()
        self._ended = False
        self._home = tempfile.TemporaryDirectory(prefix="pivori-gpg-")
        out.flush()
        try:
            self._running = _start_gpg(self._home.name, _GPG_SEAL, password, stdin=None, stdout=out.fileno())
        except BaseException:
            self._home.cleanup()
            raise

    def write(self, content: Any) -> int:
        assert self._running.stdin is not None  # noqa: S101 - a pipe was asked for
        view = memoryview(content).cast("B")
        size = len(view)
        try:
            while view:
                view = view[self._running.stdin.write(view) or 0 :]
        except BrokenPipeError:
            raise _sealing_failure(self._end()[1]) from None
        return size

    def close(self) -> None:
        """End the envelope. Raises SealingFailed, and OSError for a full disk."""
        if self.closed:
            return
        super().close()
        status, errors = self._end()
        if status:
            raise _sealing_failure(errors)

    def _end(self) -> tuple[int, str]:
        """End the program and what it had; the first time, also how it ended."""
        if self._ended:
            return 0, ""
        self._ended = True
        with self._running, self._home:
            return self._running.finish()


class _AgeWriter(_Sealed):
    """A pipe to a thread in which age seals; the library pulls where we push."""

    def __init__(self, out: BinaryIO, recipients: Sequence[Any]) -> None:
        super().__init__()
        reading, writing = os.pipe()
        self._pipe = os.fdopen(writing, "wb", buffering=_PART)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._seal, args=(reading, out, recipients), daemon=True)
        self._thread.start()

    def _seal(self, reading: int, out: BinaryIO, recipients: Sequence[Any]) -> None:
        import pyrage  # loaded here: few archives are for recipients

        with os.fdopen(reading, "rb", buffering=_PART) as source:
            try:
                pyrage.encrypt_io(source, out, list(recipients))
            except Exception as error:  # noqa: BLE001 - raised where the stream is written
                self._error = error

    def write(self, content: Any) -> int:
        try:
            return self._pipe.write(content)
        except BrokenPipeError:
            self._thread.join()
            raise self._failure() from None

    def close(self) -> None:
        """End the envelope. Raises SealingFailed, and the OSError of the output."""
        if self.closed:
            return
        super().close()
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._thread.join()
        if self._error is not None:
            raise self._failure()

    def _failure(self) -> Exception:
        text = str(self._error)
        # The library makes a text of what the output raised.
        number = _SYSTEM_ERROR.search(text)
        return _system_error(int(number[1])) if number else SealingFailed(reason=text)


def gpg_seal(password: str) -> Callable[[BinaryIO], BinaryIO]:
    """What puts a GPG envelope around a stream. The stream is a file of the system. Raises GpgMissing."""
    _gpg()
    return lambda out: _GpgWriter(out, password)  # type: ignore[return-value]  # a raw stream is enough of one


def age_seal(recipients: Sequence[str]) -> tuple[Callable[[BinaryIO], BinaryIO], Any]:
    """What puts an age envelope around a stream, and an identity that opens it as long as this process lives.

    With the identity, which is nowhere but in memory, a new archive is read back and compared before it gets its name;
    then nobody but the recipients can open it. Raises BadRecipient.
    """
    import pyrage  # loaded here: few archives are for recipients

    own = pyrage.x25519.Identity.generate()
    parsed = [*(_recipient(each) for each in recipients), own.to_public()]
    return lambda out: _AgeWriter(out, parsed), own  # type: ignore[return-value]  # a raw stream is enough of one


def read_recipients(given: Sequence[str]) -> list[str]:
    """Recipients as they are given: texts, or the names of files with one a line and ``#`` before remarks.

    Raises BadRecipient, also for a file that cannot be read.
    """
    found: list[str] = []
    for text in given:
        if text.startswith(("age1", "ssh-")):
            found.append(text)
            continue
        try:
            lines = Path(text).read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            raise BadRecipient(recipient=text) from None
        found += [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return found


def _recipient(text: str) -> Any:
    import pyrage  # loaded here: few archives are for recipients

    for kind in (pyrage.x25519.Recipient, pyrage.ssh.Recipient):
        with suppress(Exception):  # each kind has an error of its own
            return kind.from_str(text)
    raise BadRecipient(recipient=text)


# Opening


@contextmanager
def unsealed(
    path: Path, *, password: Callable[[str], str | None], identities: Sequence[Path] = (), own: Any = None
) -> Iterator[Path]:
    """The path of the container inside an envelope; the archive itself when it has none.

    ``identities`` are files with those of age, ``own`` is one from :func:`age_seal`. ``password`` is called with the
    archive's name when one is needed. Raises PasswordNeeded, WrongArchivePassword, ArchiveDamaged, NotAnArchive,
    BadIdentity, GpgMissing, OSError.
    """
    envelope = envelope_of(path)
    if envelope is None:
        yield path
        return
    with _nameless(path.parent) as plain:
        if envelope is Envelope.GPG:
            _open_gpg(path, plain, password)
        else:
            keys = [key for identity in identities for key in _identities(identity)]
            _open_age(path, plain, keys if own is None else [*keys, own])
        plain.flush()
        # The other processes of this program find it too: it has no name anywhere else.
        yield Path(f"/proc/{os.getpid()}/fd/{plain.fileno()}")


@contextmanager
def _nameless(beside: Path) -> Iterator[BinaryIO]:
    """A file without a name, beside the archive or where the system has its temporary files."""
    try:
        file = tempfile.TemporaryFile(dir=beside, buffering=0)  # noqa: SIM115 - closed below
    except OSError:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
    with file:
        yield file


def _open_gpg(path: Path, plain: BinaryIO, password: Callable[[str], str | None]) -> None:
    archive = str(path)
    _gpg()
    secret = password(path.name)
    if secret is None:
        raise PasswordNeeded(archive=archive)
    with (
        path.open("rb", buffering=0) as sealed,
        tempfile.TemporaryDirectory(prefix="pivori-gpg-") as home,
        _start_gpg(home, ("--decrypt",), secret, stdin=sealed.fileno(), stdout=plain.fileno()) as running,
    ):
        status, errors = running.finish()
    if "BAD_PASSPHRASE" in errors:
        raise WrongArchivePassword(archive=archive)
    if "] NODATA" in errors:
        raise NotAnArchive(archive=archive, reason=N_("it is no OpenPGP message"))
    if full := _full_disk(errors):
        raise full
    # The content is good only when its authentication code is; a message that was cut off has none.
    if status or "] GOODMDC" not in errors:
        raise ArchiveDamaged(archive=archive, reason=N_("its envelope was changed, or ends early"))


def _open_age(path: Path, plain: BinaryIO, keys: Sequence[Any]) -> None:
    import pyrage  # loaded here: few archives are for recipients

    archive = str(path)
    if not keys:
        raise PasswordNeeded(archive=archive)
    with path.open("rb") as sealed:
        try:
            pyrage.decrypt_io(sealed, plain, list(keys))
        except OSError as error:
            if error.errno is not None:  # of the system; what the library finds wrong with the content has none
                raise
            raise ArchiveDamaged(archive=archive, reason=str(error)) from None
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                raise WrongArchivePassword(archive=archive) from None
            raise ArchiveDamaged(archive=archive, reason=N_("its envelope was changed, or ends early")) from None


def _identities(path: Path) -> list[Any]:
    """The identities in a file: lines of ``age-keygen``, or one SSH key."""
    import pyrage  # loaded here: few archives are for recipients

    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadIdentity(path=str(path), reason=error.strerror or str(error)) from None
    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except Exception as error:  # noqa: BLE001 - every kind has an error of its own
        raise BadIdentity(path=str(path), reason=str(error)) from None
    if not found:
        raise BadIdentity(path=str(path), reason=N_("it is empty"))
    return found


# The program


@cache
def _gpg() -> str:
    program = shutil.which("gpg") or shutil.which("gpg2")
    if program is None:
        raise GpgMissing()
    return program


def _start_gpg(home: str, verb: Sequence[str], password: str, *, stdin: int | None, stdout: int) -> Filter:
    command = [_gpg(), "--homedir", home, *_GPG_OPTIONS, *verb]
    return start_filter(command, secret=password.encode(), stdin=stdin, stdout=stdout, variables={"LC_ALL": "C.UTF-8"})


def _sealing_failure(errors: str) -> Exception:
    """The error that gpg's words stand for when it seals."""
    return _full_disk(errors) or SealingFailed(reason=_last_words(errors))


def _full_disk(errors: str) -> OSError | None:
    """What the system said to gpg when there was no space."""
    return next((_system_error(number) for words, number in _FULL.items() if words in errors), None)


def _system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _last_words(errors: str) -> str:
    """The last thing gpg said to people."""
    said = [line.removeprefix("gpg: ") for line in errors.splitlines() if line and not line.startswith("[GNUPG:]")]
    return said[-1] if said else "gpg"
