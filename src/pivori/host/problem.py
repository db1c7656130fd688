"""What could not be done to a file's metadata: reported, because the file's content is right all the same."""

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that a restored file lacks."""

    path: bytes
    """The file, as the caller named it."""
    what: str
    """``owner``, ``mode``, ``times``, or the name of an extended attribute."""
    error: OSError
    """Why the system refused."""


def as_system_error(error: Exception, number: int) -> OSError:
    """``error`` as an OSError: a value that Python refuses before the system sees it gets ``number`` as its errno."""
    return error if isinstance(error, OSError) else OSError(number, str(error))
