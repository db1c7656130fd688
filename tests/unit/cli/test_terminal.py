"""At a real terminal: the prompt for a password hides what is typed, and the error of a wrong one is coloured."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

from tests.conftest import Pivori


def at_terminal(pivori: Pivori, *arguments: str, answers: list[str]) -> tuple[int, str]:
    """Run the program with a terminal of its own; each answer is typed after the next prompt."""
    with_terminal = [
        sys.executable, "-c",
        "import os, sys, fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.argv[1], sys.argv[1:])",
    ]  # fmt: skip
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*with_terminal, *pivori.command, *arguments],
        env=pivori.environment | {"TERM": "xterm-256color"}, stdin=terminal, stdout=terminal, stderr=terminal,
        cwd=pivori.home,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    waiting = list(answers)
    try:
        while select.select([controller], [], [], 60)[0]:
            try:
                part = os.read(controller, 4096)
            except OSError:  # the terminal has gone with the program
                break
            shown += part
            if waiting and shown.endswith(b": "):
                os.write(controller, waiting.pop(0).encode() + b"\n")
        return process.wait(60), shown.decode()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(controller)


def test_a_new_password_is_typed_twice_and_never_shown(pivori: Pivori) -> None:
    status, shown = at_terminal(pivori, "init", "-r", "r", answers=["hunter2", "hunter2"])
    assert status == 0, shown
    assert "hunter2" not in shown
    assert "New password for" in shown
    assert (Path(pivori.home) / "r" / "config").exists()


def test_two_different_entries_make_nothing(pivori: Pivori) -> None:
    status, shown = at_terminal(pivori, "init", "-r", "r", answers=["one", "two"])
    assert status == 1
    assert "not the same" in shown
    assert "\x1b[31mError:" in shown
    assert not (Path(pivori.home) / "r" / "config").exists()


def test_a_repository_opens_with_what_is_typed(pivori: Pivori) -> None:
    pivori("init", "-r", "r", cwd=pivori.home, PIVORI_PASSWORD="hunter2")
    status, shown = at_terminal(pivori, "snapshots", "-r", "r", answers=["hunter2"])
    assert status == 0, shown
    assert "hunter2" not in shown
    status, shown = at_terminal(pivori, "snapshots", "-r", "r", answers=["another"] * 3)
    assert status == 12, shown


def test_a_repository_opens_with_the_file_that_the_environment_names(pivori: Pivori) -> None:
    file = pivori.home / "word"
    file.write_text("hunter2\n")
    file.chmod(0o600)
    pivori("init", "-r", "r", cwd=pivori.home, PIVORI_PASSWORD="hunter2")
    pivori("snapshots", "-r", "r", cwd=pivori.home, PIVORI_PASSWORD_FILE=str(file))
    file.write_text("another\n")
    pivori("snapshots", "-r", "r", cwd=pivori.home, PIVORI_PASSWORD_FILE=str(file), expect=12)
