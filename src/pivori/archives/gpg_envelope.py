"""The envelope of GPG with a password: AES-256 (RFC 4880; S2K iterated and salted with SHA-512).

GPG is the ``gpg`` program, in a home directory of its own, so that neither the user's configuration nor an agent takes
part.
"""

import errno
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

from pivori.archives.container import ArchiveDamaged, NotAnArchive, PasswordNeeded, WrongArchivePassword
from pivori.archives.sealing import BAD_ENVELOPE, SealedStream, SealingFailed, system_error
from pivori.errors import PivoriError
from pivori.host.filter import Filter, start_filter
from pivori.translation import N_

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
_FULL: Final = {"No space left": errno.ENOSPC, "Disk quota exceeded": errno.EDQUOT}


class GpgMissing(PivoriError):
    """The gpg program is not installed."""

    code = "gpg-missing"
    message = N_("GPG envelopes need the program `gpg`, which is not on this machine.")
    hint = N_("Install it (Debian, Ubuntu: apt install gpg), or encrypt with `--encrypt aes` or `--recipient`.")


def gpg_seal(password: str) -> Callable[[BinaryIO], BinaryIO]:
    """What puts a GPG envelope around a stream. The stream is a file of the system. Raises GpgMissing."""
    _gpg()
    return lambda out: _GpgWriter(out, password)  # type: ignore[return-value]  # a raw stream is enough of one


def open_gpg(path: Path, plain: BinaryIO, password: Callable[[str], str | None]) -> None:
    """Write into ``plain`` what an envelope holds; ``password`` is called with the name of the archive.

    Raises PasswordNeeded when it gives none, WrongArchivePassword, NotAnArchive, ArchiveDamaged, GpgMissing, OSError.
    """
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
        raise ArchiveDamaged(archive=archive, reason=BAD_ENVELOPE)


class _GpgWriter(SealedStream):
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
    return next((system_error(number) for words, number in _FULL.items() if words in errors), None)


def _last_words(errors: str) -> str:
    """The last thing gpg said to people."""
    said = [line.removeprefix("gpg: ") for line in errors.splitlines() if line and not line.startswith("[GNUPG:]")]
    return said[-1] if said else "gpg"
