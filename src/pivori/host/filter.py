"""Programs that content streams through, with a secret beside it that no argument list and no environment shows."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from io import FileIO
from types import TracebackType
from typing import IO, Final, Self, cast

from pivori.host.process import CommandNotStarted

_TAIL: Final = 8 << 10
_PATIENCE: Final = 5.0
_PIPE_SIZE: Final = 1 << 20
"""Bytes the system holds between the program and its reader."""
NOWHERE: Final = subprocess.DEVNULL
"""For an output that nobody wants."""
_SECRET: Final = "{secret}"  # noqa: S105 - the place of a descriptor's number


class Filter:
    """A running program. A context manager: a program that still runs when it is left is killed.

    So is one whose filter is dropped without that. ``stdin`` and ``stdout`` are the streams that were asked for, None
    for those that go elsewhere.
    """

    def __init__(self, process: subprocess.Popen[bytes], *, with_children: bool = False) -> None:
        """Take charge of a started program. Others use :func:`start_filter`."""
        self._process = process
        self._with_children = with_children
        self._guard = weakref.finalize(self, _drop, process, with_children)
        self.stdin = cast(FileIO | None, process.stdin)
        self.stdout = cast(FileIO | None, process.stdout)
        self._errors = bytearray()
        # The thread does not know the filter, which it would keep alive.
        self._reader = threading.Thread(target=_keep_errors, args=(process.stderr, self._errors), daemon=True)
        self._reader.start()

    def finish(self) -> tuple[int, str]:
        """Close its input, wait for its end: the exit status, and the end of what it said on standard error."""
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
        status = self._process.wait()
        self._reader.join(_PATIENCE)
        return status, self._errors.decode(errors="replace")

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill it, with its children where it was started so; what reads and writes its streams goes on to their end.

        May be called by another thread.
        """
        _kill(self._process, self._with_children)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _kill(self._process, self._with_children)
        self._guard.detach()
        self._reader.join(_PATIENCE)
        for stream in (self.stdin, self.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def start_filter(
    command: Sequence[str],
    *,
    secret: bytes | None = None,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    first: bytes | None = None,
    directory: bytes | None = None,
    variables: Mapping[str, str] | None = None,
    with_children: bool = False,
    descriptors: Sequence[int] = (),
    owner: tuple[int, int] | None = None,
) -> Filter:
    """Start a program whose error output is kept.

    ``secret`` waits for it in a pipe, whose number takes the place of ``{secret}`` in the command. ``stdin`` and
    ``stdout`` are files of the caller's, or NOWHERE; None makes a pipe. ``first`` is all that its standard input will
    ever be, for programs that ask for a password there. ``with_children`` gives it a session of its own, without the
    terminal: when it is killed, so is everything it started. ``descriptors`` are open files that it inherits under
    their numbers; ``owner`` is the user and the group it runs as, which only root can choose. Raises CommandNotStarted.
    """
    descriptor = None if secret is None else _pipe_with(secret)
    if first is not None:
        stdin = _pipe_with(first)
    try:
        process = subprocess.Popen(
            list(command) if descriptor is None else [word.replace(_SECRET, str(descriptor)) for word in command],
            stdin=subprocess.PIPE if stdin is None else stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=directory,
            env=None if variables is None else os.environ | variables,
            pass_fds=(*descriptors,) if descriptor is None else (*descriptors, descriptor),
            start_new_session=with_children,
            user=owner[0] if owner else None,
            group=owner[1] if owner else None,
            extra_groups=() if owner else None,
        )
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CommandNotStarted(command=command[0], reason=reason) from None
    finally:
        for own in (descriptor, stdin if first is not None else None):
            if isinstance(own, int):
                os.close(own)
    _widen(process.stdout)
    return Filter(process, with_children=with_children)


def _widen(stream: IO[bytes] | None) -> None:
    """Let a program write ahead while its reader works: the default of 64 KiB costs a switch per 64 KiB."""
    if stream is not None and sys.platform == "linux":
        import fcntl  # absent where there are no such pipes

        with contextlib.suppress(OSError):
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


def _keep_errors(stream: IO[bytes], errors: bytearray) -> None:
    """Read a stream to its end, keeping the last bytes."""
    with stream:
        while part := stream.read(_TAIL):
            errors += part
            del errors[:-_TAIL]


def _drop(process: subprocess.Popen[bytes], with_children: bool) -> None:
    """End a program that nobody has any more."""
    _kill(process, with_children)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _kill(process: subprocess.Popen[bytes], with_children: bool) -> None:
    """Kill a program that was not waited for, and wait for it. Until then its number belongs to nobody else."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if with_children:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _pipe_with(content: bytes) -> int:
    """The reading end of a pipe that holds some bytes, which are fewer than a pipe takes."""
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
    finally:
        os.close(writing)
    return reading
