"""Where a stack keeps what it has to remember on this machine: private folders, made when they are asked for."""

from pathlib import Path
from typing import Final

_STACKS: Final = "stacks"
_COMPONENTS: Final = "components"
_JOURNAL: Final = "undo"
_RECOVERIES: Final = "recoveries"
_PRIVATE: Final = 0o700


class StackState:
    """The folder of one stack. Everything in it is readable by its owner alone."""

    def __init__(self, base: Path) -> None:
        """``base`` is the stack's own folder; see :meth:`of`."""
        self._base = base

    @classmethod
    def of(cls, state_directory: Path, stack: str) -> "StackState":
        """The folder of the stack of that name, below the user's state directory."""
        return cls(state_directory / _STACKS / stack)

    @classmethod
    def every(cls, state_directory: Path) -> "list[StackState]":
        """The folders of all stacks there are. Raises OSError."""
        folder = state_directory / _STACKS
        return [cls(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []

    @property
    def base(self) -> Path:
        """The folder of the stack; perhaps it is not there yet."""
        return self._base

    def component(self, name: str) -> Path:
        """The folder of a component. Raises OSError."""
        return self._made(self._base / _COMPONENTS / name)

    @property
    def journal(self) -> Path:
        """Where runs note what they have to undo. Raises OSError."""
        return self._made(self._base / _JOURNAL)

    @property
    def recoveries(self) -> Path:
        """Where recoveries keep their notes. Raises OSError."""
        return self._made(self._base / _RECOVERIES)

    def _made(self, folder: Path) -> Path:
        """The folder, with those above it up to the stack's own: each 0700 from its first moment on."""
        self._base.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        for part in (self._base, folder.parent, folder):
            part.mkdir(mode=_PRIVATE, exist_ok=True)
        return folder
