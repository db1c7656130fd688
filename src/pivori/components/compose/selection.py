"""Which of a project's volumes or bound paths are wanted."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_MACHINES: Final = ("/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/usr", "/bin", "/lib", "/var/lib/docker")
"""What monitoring services look at: a backup of a project must not begin to copy the machine, or itself."""
_MACHINES_ALONE: Final = (
    *("/", "/etc", "/var", "/var/lib", "/var/log", "/home", "/root", "/etc/localtime"),
    "/tmp",  # noqa: S108 - compared with, never written to
)
_MACHINES_FILES: Final = ("/etc/timezone", "/etc/machine-id", "/etc/hosts", "/etc/passwd", "/etc/group")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """All, unless ``only`` names some (an empty one: nothing), but never those in ``without``.

    Of bound paths, both mean a path and everything in it.
    """

    only: Sequence[str] | None = None
    without: Sequence[str] = ()

    @property
    def names(self) -> Sequence[str]:
        """Every name that is written down."""
        return [*(self.only or ()), *self.without]

    def wants(self, name: str) -> bool:
        """Whether a volume is wanted, by its key."""
        return (self.only is None or name in self.only) and name not in self.without

    def wants_path(self, path: str) -> bool:
        """Whether a bound path is wanted."""
        return (self.only is None or _is_in(path, self.only)) and not _is_in(path, self.without)

    @property
    def excluded_inside(self) -> Sequence[str]:
        """Patterns of the paths that are left out of the bound paths they lie in; nothing in them is a wildcard."""
        return [re.sub(r"([*?\[\\])", r"\\\1", path) for path in self.without]


def is_machines(path: str) -> bool:
    """Whether a bound path is the machine's own, and is never part of a project."""
    return path in _MACHINES_ALONE or path in _MACHINES_FILES or _is_in(path, _MACHINES)


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)
