"""A new age identity: the private key that opens what is sealed to its recipient."""

import os
from contextlib import suppress
from pathlib import Path

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
    The folder must be there. Raises IdentityNotWritten, also when the file is there already.
    """
    import pyrage  # loaded on demand: few runs seal

    forbid_core_dumps()
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    descriptor = None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, f"{identity}\n# public key: {recipient}\n".encode())
        os.fsync(descriptor)
    except BaseException as error:
        if descriptor is not None:
            with suppress(OSError):
                path.unlink()
        if isinstance(error, OSError):
            raise IdentityNotWritten(path=str(path), reason=error.strerror or str(error)) from None
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return recipient
