"""How far down a walk goes that knows the path of every directory it is in.

A tree may name another one without end, and the paths of all the levels together grow with the square of the depth.
The bounds are far more than any program can back up, and keep the memory small that a hostile tree takes.
"""

from typing import Final

from pivori.errors import PivoriError
from pivori.translation import N_

MOST_LEVELS: Final = 4096
LONGEST_PATH: Final = 1 << 15


class NestedTooDeeply(PivoriError):
    """A directory lies deeper than any file system's paths reach."""

    code = "nested-too-deeply"
    message = N_("What is in the folder is nested too deeply: {levels} levels down.")
    hint = N_("Begin there, with SNAPSHOT:/path.")


def demand_reachable(levels: int, path: bytes) -> None:
    """Refuse a directory whose path is ``path``, so many levels below the start of a walk. Raises NestedTooDeeply."""
    if levels >= MOST_LEVELS or len(path) > LONGEST_PATH:
        raise NestedTooDeeply(levels=levels)
