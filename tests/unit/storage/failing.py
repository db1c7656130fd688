"""System calls that fail, processes that die, and what they leave."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def failing(number: int, times: int = -1, real: Callable[..., object] | None = None) -> Callable[..., object]:
    """A system call that fails ``times`` times, for ever when negative, then works."""
    left = times

    def call(*arguments: object) -> object:
        nonlocal left
        if left == 0 and real is not None:
            return real(*arguments)
        left -= 1
        raise OSError(number, os.strerror(number))

    return call


def temporary_files(repository: Path) -> list[Path]:
    return list((repository / "tmp").iterdir())


def run_program(program: str, repository: Path, check: bool = True) -> str:
    """What a Python program prints; its first argument is the repository, and it finds the package as the test does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", program, str(repository)]
    return subprocess.run(command, capture_output=True, text=True, check=check, env=environment).stdout
