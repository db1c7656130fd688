"""Notes on this machine about our own locks: which process took each, told so that nobody else can be taken for it.

A lock names its holder by host and process number, as restic wants it. That is not enough to say that the holder is
dead: a container may carry the name of its host and still count its processes by itself. So whoever writes a lock
leaves a note beside, in a folder of this user on this machine, with the :class:`ProcessMark` of the process. The note
is there before the lock, so a lock of ours without a note is one whose note could not be written, or was lost; then
the rules for locks of strangers hold.

A note is named by the SHA-256 of the lock's record: whoever meets the lock finds the note without a search. The record
holds the moment to the nanosecond, so no two locks of this machine have the same.
"""

import hashlib
import os
from collections.abc import Collection
from contextlib import suppress
from enum import Enum
from pathlib import Path

import msgspec

from pivori.host import ProcessMark
from pivori.repository.ids import is_object_name


class Whereabouts(Enum):
    """What a note says about the process that took a lock."""

    RUNNING = "running"
    GONE = "gone"
    """It certainly does not run any more."""
    BEFORE = "before"
    """This machine was started anew since, unless another one passes for it and shares its notes."""
    ELSEWHERE = "elsewhere"
    """It counts its processes by itself (a container): nobody here can see whether it runs."""


class LockNotes:
    """The notes about the locks of one repository. Nothing here raises: without notes the other rules hold.

    ``directory`` is made when it is needed; None where this user has no place for notes. ``here`` is the mark of this
    process, None where the system has none: then there are no notes either.
    """

    def __init__(self, directory: Path | None = None, here: ProcessMark | None = None) -> None:
        self._directory = directory if here is not None else None
        self._here = here

    def write(self, record: bytes) -> None:
        """Note that this process is about to write the lock with this record."""
        if self._directory is None:
            return
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self._directory / _name(record), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
            )
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(msgspec.json.encode(self._here))

    def remove(self, record: bytes) -> None:
        """Forget the lock with this record: it is gone."""
        if self._directory is not None:
            _remove(self._directory / _name(record))

    def find(self, record: bytes) -> Whereabouts | None:
        """What is noted about the lock with this record; None without a note that tells."""
        if self._directory is None:
            return None
        mark = _read(self._directory / _name(record))
        return None if mark is None else self._judge(mark)

    def tidy(self, present: Collection[bytes]) -> None:
        """Remove what dead processes have noted about locks that are not ``present`` (their records) any more."""
        if self._directory is None:
            return
        try:
            found = set(os.listdir(self._directory))  # noqa: PTH208 - names, not paths
        except OSError:
            return
        for name in filter(is_object_name, found - set(map(_name, present))):
            mark = _read(self._directory / name)
            # A note may be there before its lock is.
            if mark is not None and self._judge(mark) in (Whereabouts.GONE, Whereabouts.BEFORE):
                _remove(self._directory / name)

    def _judge(self, mark: ProcessMark) -> Whereabouts | None:
        here = self._here
        if here is None:
            return None
        if mark.is_here(here):
            return Whereabouts.RUNNING if mark.is_running() else Whereabouts.GONE
        if mark.is_before(here):
            return Whereabouts.BEFORE
        # Otherwise of another machine that shares this folder: then the lock itself has to tell.
        return Whereabouts.ELSEWHERE if mark.boot == here.boot else None


def _name(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()


def _read(file: Path) -> ProcessMark | None:
    """The mark in a note; None when there is no note, or a torn one."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=ProcessMark)
    except (OSError, ValueError):
        return None


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()
