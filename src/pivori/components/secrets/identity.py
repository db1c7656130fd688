"""A new age identity: the private key that opens what is sealed to its recipient."""

import errno
import os
from pathlib import Path
from typing import NoReturn

from pivori.components.private_file import PrivateFile
from pivori.errors import PivoriError
from pivori.host import forbid_core_dumps
from pivori.translation import N_


class IdentityNotWritten(PivoriError):
    """The file of a new private key could not be made."""

    code = "identity-not-written"
    message = N_("The private key could not be written to {path}: {reason}.")
    hint = N_("Choose a place that can be written to and where no file of that name is.")


def new_identity(path: Path) -> str:
    """Make a private key, write it to a new file that only its owner may read, and return its recipient (age1…).

    The key is the first line, so that it counts wherever the first line of a file does; ``age -i`` reads the file.
    Missing folders are made. Raises IdentityNotWritten, also when the file is there already.
    """
    import pyrage  # loaded on demand: few runs seal

    forbid_core_dumps()
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    try:
        with PrivateFile(path) as file:
            file.write(f"{identity}\n# public key: {recipient}\n".encode())
            file.put(_refuse)
    except OSError as error:
        raise IdentityNotWritten(path=str(path), reason=error.strerror or str(error)) from None
    return recipient


def _refuse(path: Path) -> NoReturn:
    """A private key is never moved away: something may be sealed to it."""
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
