"""The envelope of age, to recipients (age-encryption.org/v1), through ``pyrage``.

Whoever writes for recipients cannot read what was written. The library is loaded on demand: few archives are for
recipients.
"""

import os
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from pivori.archives.container import ArchiveDamaged, PasswordNeeded, WrongArchivePassword
from pivori.archives.sealing import BAD_ENVELOPE, SealedStream, SealingFailed, system_error
from pivori.errors import PivoriError
from pivori.translation import N_

_PART: Final = 1 << 20
_SYSTEM_ERROR: Final = re.compile(r"\[Errno (\d+)\]")


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


def age_seal(recipients: Sequence[str]) -> tuple[Callable[[BinaryIO], BinaryIO], Any]:
    """What puts an age envelope around a stream, and an identity that opens it as long as this process lives.

    With the identity, which is nowhere but in memory, a new archive is read back and compared before it gets its name;
    then nobody but the recipients can open it. Raises BadRecipient.
    """
    import pyrage  # loaded here: see above

    own = pyrage.x25519.Identity.generate()
    parsed = [*(parse_recipient(each) for each in recipients), own.to_public()]
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


def parse_recipient(text: str) -> Any:
    """A recipient as the library knows it. Raises BadRecipient."""
    import pyrage  # loaded here: see above

    for kind in (pyrage.x25519.Recipient, pyrage.ssh.Recipient):
        with suppress(Exception):  # each kind has an error of its own
            return kind.from_str(text)
    raise BadRecipient(recipient=text)


def open_age(path: Path, plain: BinaryIO, keys: Sequence[Any]) -> None:
    """Write into ``plain`` what an envelope holds, opened with one of the identities.

    Raises PasswordNeeded without identities, WrongArchivePassword, ArchiveDamaged, OSError.
    """
    import pyrage  # loaded here: see above

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
            raise ArchiveDamaged(archive=archive, reason=BAD_ENVELOPE) from None


def read_identities(path: Path) -> list[Any]:
    """The identities in a file: lines of ``age-keygen``, or one SSH key. Raises BadIdentity."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadIdentity(path=str(path), reason=error.strerror or str(error)) from None
    return parse_identities(content, str(path))


def parse_identities(content: bytes, path: str) -> list[Any]:
    """The identities in the content of a file, which is called ``path`` in what is raised. Raises BadIdentity."""
    import pyrage  # loaded here: see above

    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except Exception as error:  # noqa: BLE001 - every kind has an error of its own
        raise BadIdentity(path=path, reason=str(error)) from None
    if not found:
        raise BadIdentity(path=path, reason=N_("it is empty"))
    return found


class _AgeWriter(SealedStream):
    """A pipe to a thread in which age seals; the library pulls where we push."""

    def __init__(self, out: BinaryIO, recipients: Sequence[Any]) -> None:
        super().__init__()
        reading, writing = os.pipe()
        self._pipe = os.fdopen(writing, "wb", buffering=_PART)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._seal, args=(reading, out, recipients), daemon=True)
        self._thread.start()

    def _seal(self, reading: int, out: BinaryIO, recipients: Sequence[Any]) -> None:
        import pyrage  # loaded here: see above

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
        return system_error(int(number[1])) if number else SealingFailed(reason=text)
