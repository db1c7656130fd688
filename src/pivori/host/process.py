"""Other programs, and this process among them. Programs are started here and in ``capture`` and ``filter`` alone."""

import contextlib
import errno
import os
import shlex
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from types import TracebackType
from typing import IO, Self, cast

from pivori.errors import PivoriError
from pivori.host.owners import user_name
from pivori.translation import N_

_TAIL = 4 << 10
"""Bytes of a program's error output that are kept."""

_PIPE_SIZE = 1 << 20
"""Bytes the system holds between the program and its reader: the default of 64 KiB costs a switch per 64 KiB."""

_PATIENCE = 5.0
"""Seconds between asking a program to end and making it."""


class CommandNotStarted(PivoriError):
    """The program of a command cannot be run."""

    code = "command-not-started"
    message = N_("The command {command} could not be started: {reason}.")
    hint = N_("Check that the program is installed, executable and spelled right.")


class PasswordCommandFailed(PivoriError):
    """The password command ended with a failure. What it printed on its output is never part of the error."""

    code = "password-command-failed"
    message = N_('The password command {command} ended with status {status}, saying "{stderr}".')
    hint = N_("Run the command by hand: it has to print the password as its first line and end with status 0.")


class PasswordCommandFailedMutely(PasswordCommandFailed):
    """The password command ended with a failure and did not say why."""

    message = N_("The password command {command} ended with status {status}.")


class PasswordCommandUnusable(PasswordCommandFailed):
    """The password command cannot be understood or started."""

    message = N_("The password command {command} cannot be run: {reason}.")


class PasswordCommandSlow(PasswordCommandFailed):
    """The password command did not end in time."""

    message = N_("The password command {command} did not end within {timeout} seconds.")


class PasswordCommandSilent(PasswordCommandFailed):
    """The password command ended well without printing a password."""

    message = N_("The password command {command} printed an empty first line.")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Who and where this process is, as locks and snapshots record it."""

    hostname: str
    username: str
    uid: int
    gid: int
    pid: int

    @classmethod
    def current(cls) -> Self:
        """The identity of this process; the name is empty when the machine has none for the user."""
        uid = os.getuid()
        return cls(os.uname().nodename, user_name(uid), uid, os.getgid(), os.getpid())


def available_processors() -> int:
    """How many processor cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_alive(pid: int) -> bool:
    """Whether a process of that number exists on this machine, whoever it belongs to."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


class StreamingProcess:
    """A running program whose output is read while it works.

    Read ``stdout`` to its end, then :meth:`finish` tells the exit status. A program that is left before (the context
    ends, the object is dropped, this process exits) is made to end.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take charge of a started program. Others use :func:`run_to_stream`."""
        self._process = process
        self._tail = bytearray()
        self._reader: threading.Thread | None = None
        self.stdout = cast(FileIO, process.stdout)
        """The program's output: a readable, unbuffered binary stream; ``readinto`` takes up to 1 MiB at a time."""
        if process.stderr is not None:
            self._reader = threading.Thread(target=keep_tail, args=(process.stderr, self._tail), daemon=True)
            self._reader.start()
        self._guard = weakref.finalize(self, end_program, process)

    def finish(self) -> int:
        """Wait for the program to end by itself: its exit status, or minus the number of the signal that ended it.

        What is left of its output is thrown away.
        """
        while not self.stdout.closed and self.stdout.read(_PIPE_SIZE):
            pass
        status = self._process.wait()
        self.close()
        return status

    def close(self) -> None:
        """Make the program end if it still runs, and release its streams."""
        self._guard()
        if self._reader is not None:
            self._reader.join(_PATIENCE)
        self.stdout.close()

    @property
    def stderr_tail(self) -> str:
        """The end of the error output, where it was captured: whole after :meth:`finish`."""
        return as_text(self._tail)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_program(command: Sequence[str]) -> None:
    """Find the program of a command without running it. Raises CommandNotStarted where there is none."""
    if shutil.which(command[0]) is None:
        number = errno.EACCES if os.path.isfile(command[0]) else errno.ENOENT
        raise CommandNotStarted(command=command[0], reason=os.strerror(number))


def run_to_stream(command: Sequence[str], *, capture_errors: bool = False) -> StreamingProcess:
    """Start a program with its arguments and read its output as it comes. It gets nothing on its standard input.

    Its error output goes where ours goes, unless ``capture_errors`` keeps the end of it for ``stderr_tail``.
    Raises CommandNotStarted.
    """
    errors = subprocess.PIPE if capture_errors else None
    process = _start(command, stdin=subprocess.DEVNULL, stderr=errors)
    if sys.platform == "linux" and process.stdout is not None:
        import fcntl  # absent where there are no such pipes

        with contextlib.suppress(OSError):
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return StreamingProcess(process)


def capture_first_line(command_line: str | Sequence[str], *, timeout: float) -> bytes:
    """The first line a password command prints, without its line end; never empty.

    A string is split into words as a shell does, but nothing in it is expanded. The command may ask on the terminal.
    ``timeout`` is in seconds. Raises PasswordCommandFailed or one of its kinds; neither its message nor its details
    hold the output or the arguments.
    """
    command = _split(command_line)
    try:
        process = _start(command, stdin=None, stderr=subprocess.PIPE)
    except CommandNotStarted as error:
        raise PasswordCommandUnusable(**error.details) from None
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # From None: the timeout's own record holds what the command had printed.
        raise PasswordCommandSlow(command=command[0], timeout=f"{timeout:g}") from None
    finally:
        end_program(process)
        if process.stderr is not None:
            process.stderr.close()
    line = output.split(b"\n", 1)[0].removesuffix(b"\r")
    if status := process.returncode:
        # As a shell counts: a signal is 128 and its number.
        shown = status if status > 0 else 128 - status
        if not (said := as_text(errors)):
            raise PasswordCommandFailedMutely(command=command[0], status=shown)
        raise PasswordCommandFailed(command=command[0], status=shown, stderr=said)
    if not line:
        raise PasswordCommandSilent(command=command[0])
    return line


def _split(command_line: str | Sequence[str]) -> list[str]:
    """The words of a command."""
    try:
        command = shlex.split(command_line) if isinstance(command_line, str) else list(command_line)
    except ValueError:
        # What follows the first word may hold a password.
        first = str(command_line).split()[0]
        reason = N_("its last character is a backslash")
        if not str(command_line).endswith("\\"):
            reason = N_("a quotation mark is not closed")
        raise PasswordCommandUnusable(command=first, reason=reason) from None
    if not command:
        raise PasswordCommandUnusable(command="''", reason=os.strerror(errno.ENOENT))
    return command


def _start(command: Sequence[str], *, stdin: int | None, stderr: int | None) -> subprocess.Popen[bytes]:
    """Start a program with its output in an unbuffered pipe."""
    try:
        return subprocess.Popen(list(command), stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, bufsize=0)
    except (OSError, ValueError, IndexError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CommandNotStarted(command=command[0] if command else "", reason=reason) from None


def end_program(process: subprocess.Popen[bytes]) -> None:
    """Make a program end and close its pipes: asked first, then killed."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def keep_tail(stream: IO[bytes], tail: bytearray) -> None:
    """Read a stream to its end, keeping the last bytes, so that the program never waits for a reader."""
    with stream:
        while part := stream.read(_TAIL):
            tail += part
            del tail[:-_TAIL]


def as_text(output: bytes | bytearray) -> str:
    """The end of some output as text for a person, without control characters."""
    text = bytes(output[-_TAIL:]).decode(errors="replace").strip()
    return "".join(letter if letter.isprintable() else " " for letter in text)
