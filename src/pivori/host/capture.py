"""Programs that are run to their end, and what they say.

Never through a shell, but for the command lines that the user wrote for one: :func:`run_command_line`,
:func:`run_shell_line`.
"""

import contextlib
import os
import pwd
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

from pivori.host.process import CommandNotStarted, as_text, end_program, keep_tail

_TAIL = 4 << 10
"""Bytes of a program's output that are kept."""

_PART = 1 << 20
_PATIENCE = 5.0
"""Seconds that the threads get which read what a program says."""


class Captured(NamedTuple):
    """What a program said. ``status`` is None when it was stopped: it took too long, or printed too much."""

    status: int | None
    output: bytes
    errors: str


def capture_output(
    command: Sequence[str | bytes],
    *,
    timeout: float,
    most: int,
    stdin: bytes = b"",
    variables: Mapping[str, str | None] | None = None,
    directory: bytes | None = None,
) -> Captured:
    """Run a program to its end and take what it prints, up to ``most`` bytes and for ``timeout`` seconds.

    It runs in ``directory``. ``variables`` are set in its environment, those that are None are taken out. It has no
    terminal; when it is stopped, so is everything it started. Raises CommandNotStarted.
    """
    process = _start_apart(
        command, variables=variables, stdin=subprocess.PIPE, stderr=subprocess.PIPE, directory=directory
    )
    tail = bytearray()
    threads: list[threading.Thread] = [
        threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True),
        threading.Thread(target=keep_tail, args=(process.stderr, tail), daemon=True),
    ]
    late = threading.Event()
    timer = threading.Timer(timeout, _stop_late, (process, late))
    timer.daemon = True
    try:
        for thread in (*threads, timer):
            thread.start()
        output = _read_up_to(cast("IO[bytes]", process.stdout), most)
        if output is None:
            _kill_group(process)
        status = process.wait()
    finally:
        timer.cancel()
        _kill_group(process)
        for thread in threads:
            thread.join(_PATIENCE)
        cast("IO[bytes]", process.stdout).close()
    stopped = late.is_set() or output is None
    return Captured(None if stopped else status, output or b"", as_text(tail))


def run_to_end(
    command: Sequence[str],
    *,
    directory: bytes,
    variables: Mapping[str, str | None] | None = None,
    owner: tuple[int, int] | None = None,
) -> tuple[int, str]:
    """Run a program in a directory, however long it takes: its exit status, and the end of all that it printed.

    It has no terminal and nothing on its standard input; when this program is interrupted, it is killed. ``owner`` is
    the user and the group it runs as, in that user's home; only root can choose.
    Raises CommandNotStarted.
    """
    process = _start_apart(
        command,
        variables=dict(variables or {}) | _home_of(owner),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        directory=directory,
        owner=owner,
    )
    tail = bytearray()
    try:
        keep_tail(cast("IO[bytes]", process.stdout), tail)
        status = process.wait()
    finally:
        _kill_group(process)
    return status, as_text(tail)


def run_command_line(line: str, *, directory: bytes) -> tuple[int, str]:
    """Run a line that a person wrote for the shell: its exit status, and the end of what it printed.

    What it leaves running in the background is not waited for. Raises CommandNotStarted.
    """
    # Into a file: a service that was started would hold a pipe open for ever.
    with _scratch_file() as said:
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", line], stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=directory
            )
        except OSError as error:
            raise CommandNotStarted(command=line, reason=error.strerror or str(error)) from None
        try:
            status = process.wait()
        finally:
            end_program(process)
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
        return status, as_text(said.read())


def run_shell_line(
    line: str, *, directory: bytes, timeout: float, variables: Mapping[str, str] | None = None, name: str = "sh"
) -> tuple[int | None, str]:
    """Run a line that a person wrote for the shell: its exit status, None when it took longer than ``timeout`` seconds.

    And the end of what it printed. It runs in a session of its own; when its time is over, or this program is
    interrupted, it is killed with all that is in that session. What it leaves running when it ends stays.
    By its ``name`` :func:`kill_shell_line` finds it. Raises CommandNotStarted.
    """
    with _scratch_file() as said:  # for the same reason as above
        try:
            process = subprocess.Popen(
                [*_named_shell(name), line],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=directory,
                env={**os.environ, **(variables or {})},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise CommandNotStarted(command=line, reason=reason) from None
        status = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(timeout)
        finally:
            _kill_group(process)
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
        return status, as_text(said.read())


def _scratch_file() -> IO[bytes]:
    """A file for what a line prints. On a full disk the line is run all the same, and what it prints is lost."""
    # Imported here: no other function needs it, and it costs every start of the program some milliseconds.
    import tempfile

    try:
        return cast("IO[bytes]", tempfile.TemporaryFile())
    except OSError:
        return open(os.devnull, "w+b")


def kill_shell_line(name: str) -> bool:
    """Kill the line that a process which is dead now started with this ``name``, if it still runs: whether it did.

    Only where the system lists processes below ``/proc``; elsewhere it is not found.
    """
    wanted = b"".join(word.encode() + b"\0" for word in _named_shell(name))
    found = False
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(wanted):
                found |= _kill_leader(int(folder.name))
    return found


def _kill_leader(pid: int) -> bool:
    """Kill a process that is none of our children with its group, if it leads one, and wait until it is gone."""
    descriptor = os.pidfd_open(pid)
    try:
        if os.getpgid(pid) != pid:
            return False
        os.killpg(pid, signal.SIGKILL)
        select.select([descriptor], [], [], _PATIENCE)
        return True
    finally:
        os.close(descriptor)


def _named_shell(name: str) -> list[str]:
    """A shell that runs its last argument and stays until that has ended, so that it can be found by its name."""
    return ["/bin/sh", "-c", 'eval "$1"; exit "$?"', name]


def _start_apart(
    command: Sequence[str | bytes],
    *,
    variables: Mapping[str, str | None] | None,
    stdin: int,
    stderr: int,
    directory: bytes | None = None,
    owner: tuple[int, int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that it can be ended with all its children."""
    changed = variables or {}
    environment = {name: value for name, value in os.environ.items() if name not in changed}
    environment |= {name: value for name, value in changed.items() if value is not None}
    try:
        return subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            cwd=directory,
            env=environment,
            start_new_session=True,
            user=owner[0] if owner else None,
            group=owner[1] if owner else None,
            extra_groups=() if owner else None,
        )
    except (OSError, ValueError, IndexError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CommandNotStarted(command=command[0] if command else "", reason=reason) from None


def _home_of(owner: tuple[int, int] | None) -> dict[str, str | None]:
    """The variables that say who a program runs as."""
    if owner is None:
        return {}
    try:
        account = pwd.getpwuid(owner[0])
    except KeyError:
        return {"HOME": None, "USER": None, "LOGNAME": None}
    return {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}


def _read_up_to(stream: IO[bytes], most: int) -> bytes | None:
    """A stream to its end; None when there is more in it than ``most`` bytes."""
    parts = []
    size = 0
    while part := stream.read(_PART):
        parts.append(part)
        size += len(part)
        if size > most:
            return None
    return b"".join(parts)


def _feed(stream: IO[bytes], content: bytes) -> None:
    """Give a program its input; it may end without reading all of it."""
    with contextlib.suppress(OSError), stream:
        view = memoryview(content)
        while view:
            view = view[stream.write(view) :]


def _stop_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    """Stop a program whose time is over."""
    late.set()
    _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with everything it started, also what it left behind when it ended.

    Until it is waited for its number belongs to nobody else.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
