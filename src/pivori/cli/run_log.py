"""The log of what the old script's commands and the menu did: all they said, each line with its time.

It is appended to, and set aside when it is long; a few of these are kept. No password can be in it: the arguments of a
command are not written. A log that cannot be written is told of and hinders nothing.
"""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import safe_cell, show_duration
from pivori.clock import Clock
from pivori.settings.archives import log_directory
from pivori.translation import N_, _

FILE_NAME: Final = "pivori-backup.log"
_LONGEST: Final = 4 << 20
_KEPT: Final = 5
_TAIL: Final = 64 << 10


class RunLog:
    """A log file; a path of None keeps nothing."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self.path = path
        self._clock = clock

    def record(self, name: str, output: Output, act: Callable[[], int]) -> int:
        """Do something that returns an exit status, and write what ``output`` says meanwhile, under a name."""
        started = self._clock.monotonic()
        self._add(name, _("started"))
        output.copy_to(lambda text: self._add(name, text))
        try:
            status = act()
        finally:
            output.copy_to(None)
        duration = show_duration(self._clock.monotonic() - started)
        self._add(name, _("ended with status {status} after {duration}").format(status=status, duration=duration))
        return status

    def _add(self, name: str, text: str) -> None:
        if self.path is None:
            return
        head = f"{self._clock.now().isoformat(timespec='seconds')} {name}[{os.getpid()}]: "
        lines = "".join(f"{head}{safe_cell(line)}\n" for line in text.splitlines() or [""])
        with suppress(OSError):  # the disk is full, say: that is told by what the command itself cannot write
            descriptor = _open(self.path)
            try:
                os.write(descriptor, lines.encode("utf-8", "backslashreplace"))
            finally:
                os.close(descriptor)


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log. Raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return file.read().decode(errors="replace").splitlines()[-count:]


def open_log(session: Session) -> RunLog:
    """The log in its directory; elsewhere, and that is told, when it cannot be written there."""
    wanted = log_directory(session.runtime.environment)
    state = session.runtime.environment.state_directory
    reason = ""
    for directory in (wanted, state):
        if directory is None:
            continue
        try:
            _prepare(directory)
        except OSError as error:
            reason = reason or error.strerror or str(error)
            continue
        if directory is not wanted:
            _tell_place(session.output, wanted, reason, N_("The log is in {place} instead."), directory)
        return RunLog(directory / FILE_NAME, session.clock)
    _tell_place(session.output, wanted, reason, N_("There is no log of this run."), None)
    return RunLog(None, session.clock)


def _tell_place(output: Output, wanted: Path, reason: str, consequence: str, place: Path | None) -> None:
    first = _("The log cannot be written to {directory}: {reason}.").format(directory=wanted, reason=_(reason))
    way_out = _("Give yourself the right to write there, or name another directory in PIVORI_LOG_DIR.")
    output.warn(f"{first} {_(consequence).format(place=place)} {way_out}", name="log-elsewhere", directory=wanted)


def _prepare(directory: Path) -> None:
    """Make the directory and the file, and set a long file aside. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / FILE_NAME
    descriptor = _open(path)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Whoever waited for the lock may hold a file that is set aside by now.
        if os.fstat(descriptor).st_size > _LONGEST and path.samefile(f"/proc/self/fd/{descriptor}"):
            for number in range(_KEPT, 0, -1):
                older = path.with_name(f"{FILE_NAME}.{number - 1}") if number > 1 else path
                with suppress(FileNotFoundError):
                    older.replace(path.with_name(f"{FILE_NAME}.{number}"))
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
