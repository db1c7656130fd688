"""Envelopes around whole archives: GPG with a password (AES-256), and age to recipients.

An envelope is a stream: what is written into it comes out sealed at the other side, and is never on the disk in clear.
To be read, an archive is unsealed into a file without a name, which is gone when it is closed, whatever happens.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from pivori.archives.age_envelope import open_age, read_identities
from pivori.archives.gpg_envelope import open_gpg

AGE_MAGIC: Final = b"age-encryption.org/v1"
_SYMMETRIC_TAGS: Final = (0x8C, 0xC3)
"""How an OpenPGP message begins that a password opens: a packet of tag 3, in the old and in the new way of writing."""
_ARMOR: Final = b"-----BEGIN PGP MESSAGE-----"


class Envelope(StrEnum):
    """The envelopes, by the ending that they add to an archive's name."""

    GPG = "gpg"
    AGE = "age"


def envelope_of(path: Path) -> Envelope | None:
    """The envelope around an archive, by its first bytes. Raises OSError."""
    with path.open("rb") as file:
        beginning = file.read(len(_ARMOR))
    if beginning.startswith(AGE_MAGIC) or beginning.startswith(b"-----BEGIN AGE"):
        return Envelope.AGE
    if beginning.startswith(_ARMOR) or (beginning and beginning[0] in _SYMMETRIC_TAGS):
        return Envelope.GPG
    return None


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
            open_gpg(path, plain, password)
        else:
            keys = [key for identity in identities for key in read_identities(identity)]
            open_age(path, plain, keys if own is None else [*keys, own])
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
