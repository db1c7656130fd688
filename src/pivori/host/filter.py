"""Programs that content streams through, with a secret beside it that no argument list and no environment shows."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from io import FileIO
from types import TracebackType
from typing import IO, Final, Self, cast

from pivori.host.process import CommandNotStarted

_TAIL: Final = 8 << 10
_PATIENCE: Final = 5.0
_SECRET: Final = "{secret}"  # noqa: S105 - the place of a descriptor's number


class Filter:
    """A running program. A context manager: a program that still runs when it is left is killed.

    ``stdin`` and ``stdout`` are the streams that were asked for, None for those that go elsewhere.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take charge of a started program. Others use :func:`start_filter`."""
        self._process = process
        self.stdin = cast(FileIO | None, process.stdin)
        self.stdout = cast(FileIO | None, process.stdout)
        self._errors = bytearray()
        self._reader = threading.Thread(target=self._keep_errors, args=(process.stderr,), daemon=True)
        self._reader.start()

    def _keep_errors(self, stream: IO[bytes]) -> None:
        with stream:
            while part := stream.read(_TAIL):
                self._errors += part
                del self._errors[:-_TAIL]

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
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
) -> Filter:
    """Start a program whose error output is kept.

    ``secret`` waits for it in a pipe, whose number takes the place of ``{secret}`` in the command. ``stdin`` and
    ``stdout`` are files of the caller's; None makes a pipe. ``first`` is all that its standard input will ever be,
    for programs that ask for a password there. Raises CommandNotStarted.
    """
    descriptor = None if secret is None else _pipe_with(secret)
    if first is not None:
        stdin = _pipe_with(first)
    try:
        process = subprocess.Popen(
            [word.replace(_SECRET, str(descriptor)) for word in command],
            stdin=subprocess.PIPE if stdin is None else stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=directory,
            env=None if variables is None else os.environ | variables,
            pass_fds=() if descriptor is None else (descriptor,),
        )
    except OSError as error:
        raise CommandNotStarted(command=command[0], reason=error.strerror or str(error)) from None
    finally:
        for own in (descriptor, stdin if first is not None else None):
            if isinstance(own, int):
                os.close(own)
    return Filter(process)


def _pipe_with(content: bytes) -> int:
    """The reading end of a pipe that holds some bytes, which are fewer than a pipe takes."""
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
    finally:
        os.close(writing)
    return reading
