"""What has to be undone whatever happens: written down before it is done, struck out when it is undone.

A service that is stopped for a backup must start again, also when the backup is killed. So the command line that undoes
something is in a file of its own, on the disk, before that something is begun; the file goes when the line has run
well. Files of processes that do not run any more are what the next run undoes.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from pivori.errors import PivoriError
from pivori.host import ProcessMark
from pivori.host.durable import remove_durably, write_durably
from pivori.translation import N_

_ENDING: Final = ".json"
_DIGITS: Final = 8


class UndoUnreadable(PivoriError):
    """A file that says what to undo cannot be read."""

    code = "undo-unreadable"
    message = N_("What a run that was killed has left cannot be read from {path}: {reason}.")
    hint = N_("Look into the file, undo by hand what it says, then remove it.")


class Owner(Enum):
    """Whose an undo is."""

    RUNNING = "running"
    """A run's that is at work, perhaps this one: it is undone there."""
    DEAD = "dead"
    """A run's that is certainly over, or gave it up."""
    UNSEEN = "unseen"
    """A run's on another machine or in a container: nobody here can see whether it is at work."""


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """A command line that undoes something, and the folder it runs in (in Base64: its name may be no text).

    ``timeout`` is in seconds, ``component`` is empty for the whole stack.

    ``run`` is the process that will run it; None when that one tried in vain, so that the next run shall.
    """

    line: str
    directory: bytes
    timeout: float
    stack: str
    component: str
    run: ProcessMark | None


class Noted:
    """An undo and its file."""

    def __init__(self, path: Path, undo: Undo) -> None:
        self.path = path
        self.undo = undo

    @property
    def name(self) -> str:
        """A name that no other undo has: the command line that it undoes runs under it."""
        return self.path.stem


class UndoJournal:
    """The undos of one stack on this machine, each in a file."""

    def __init__(self, folder: Path, here: ProcessMark | None = None) -> None:
        """``folder`` is private and there. ``here`` is the mark of this process; found out when it is not given."""
        self._folder = folder
        # Where the system has no marks, a process is told by its number: it may be taken for alive, never for dead.
        self._here = here or ProcessMark.current() or ProcessMark("", "", "", os.getpid(), 0)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def prepare(self, *, line: str, directory: Path, timeout: float, stack: str, component: str) -> Noted:
        """An undo of this process that is not written yet. Raises OSError."""
        undo = Undo(
            line=line, directory=bytes(directory), timeout=timeout, stack=stack, component=component, run=self._here
        )
        number = 1 + max((int(path.name[:_DIGITS]) for path in self._files()), default=0)
        return Noted(self._folder / f"{number:0{_DIGITS}d}-{secrets.token_hex(8)}{_ENDING}", undo)

    def write(self, noted: Noted) -> None:
        """Write an undo: when this returns, whatever happens, somebody undoes it. Raises OSError."""
        write_durably(noted.path, msgspec.json.encode(noted.undo))

    def is_written(self, noted: Noted) -> bool:
        """Whether it stands there: it was written, and is not struck out."""
        return noted.path.exists()

    def strike(self, noted: Noted) -> None:
        """It is undone. Raises OSError."""
        remove_durably(noted.path)

    def give_up(self, noted: Noted) -> None:
        """This process could not undo it: the next run shall. That this cannot be noted is no loss once it ended."""
        with suppress(OSError):
            write_durably(noted.path, msgspec.json.encode(msgspec.structs.replace(noted.undo, run=None)))

    def left(self) -> Iterator[Noted | UndoUnreadable]:
        """All undos that stand there, the latest first. Raises OSError."""
        for path in sorted(self._files(), reverse=True):
            try:
                yield Noted(path, msgspec.json.decode(path.read_bytes(), type=Undo))
            except FileNotFoundError:
                continue  # undone meanwhile
            except (OSError, msgspec.MsgspecError) as error:
                yield UndoUnreadable(path=path, reason=getattr(error, "strerror", None) or str(error))

    def owner(self, noted: Noted) -> Owner:
        """Whose an undo is."""
        run, here = noted.undo.run, self._here
        if run is None:
            return Owner.DEAD
        if run.is_here(here):
            return Owner.RUNNING if run.is_running() else Owner.DEAD
        return Owner.DEAD if run.is_before(here) else Owner.UNSEEN

    def _files(self) -> list[Path]:
        return [path for path in self._folder.glob(f"*{_ENDING}") if path.name[:_DIGITS].isdecimal()]
