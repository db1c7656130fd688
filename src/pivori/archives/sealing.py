"""What the envelopes have in common: streams that come out sealed at the other side, and how they fail."""

import io
import os
from typing import Final

from pivori.errors import PivoriError
from pivori.translation import N_

BAD_ENVELOPE: Final = N_("its envelope was changed, or ends early")


class SealingFailed(PivoriError):
    """An envelope could not be made."""

    code = "sealing-failed"
    message = N_("The archive could not be encrypted: {reason}.")
    hint = N_("Nothing was left behind; try again, or choose another encryption.")


class SealedStream(io.RawIOBase):
    """What is written here goes into the envelope; closing it ends the envelope."""

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False


def system_error(number: int) -> OSError:
    """The error that the operating system means by a number."""
    return OSError(number, os.strerror(number))
