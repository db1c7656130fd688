"""Lines that a person wrote for the shell: the commands around a restore. Nothing else is ever run by a shell."""

import os
import subprocess
import tempfile
from typing import Final

from pivori.host.process import CommandNotStarted

_TAIL: Final = 4 << 10
"""Bytes of what a line prints that are kept."""
_PATIENCE: Final = 5.0
"""Seconds between asking a program to end and making it."""


def run_command_line(line: str, *, directory: bytes) -> tuple[int, str]:
    """Run a line that a person wrote for the shell: its exit status, and the end of what it printed.

    What it leaves running in the background is not waited for. Raises CommandNotStarted.
    """
    # Into a file: a service that was started would hold a pipe open for ever.
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", line], stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=directory
            )
        except OSError as error:
            raise CommandNotStarted(command=line, reason=error.strerror or str(error)) from None
        try:
            status = process.wait()
        finally:
            _stop(process)
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
        return status, said.read().decode(errors="replace").strip()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a shell that still runs, because this program was interrupted: asked first, then killed."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
