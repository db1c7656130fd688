"""Makes ``docs/run.svg``, the picture in the README, from a real run.

``.venv/bin/python scripts/picture.py HOME FOLDER``: HOME is an empty directory that the run takes for the user's own,
FOLDER one in it to back up. Needs tmux. What the terminal shows while the first backup runs, and at the end, is drawn
by rich.
"""

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "run.svg"
COLUMNS, LINES = 90, 40
PATIENCE = 120.0
PROMPT = "$ "


class Terminal:
    """A tmux of its own, with a plain shell in it."""

    def __init__(self, home: Path, socket: Path) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        path = f"{ROOT}:{os.environ['PATH']}"
        variables = {"HOME": str(home), "PATH": path, "PS1": PROMPT, "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        shell = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "sh"]
        size = ["-x", str(COLUMNS), "-y", str(LINES)]
        self._run("new-session", "-d", *size, "-c", str(home), shlex.join(shell))

    def _run(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        """End it and what runs in it."""
        self._run("kill-server")

    def screen(self) -> str:
        """What it shows, with colours."""
        return self._run("capture-pane", "-p", "-e").rstrip()

    def type(self, line: str) -> None:
        """Type a line."""
        self._run("send-keys", "-l", line)
        self._run("send-keys", "Enter")

    def wait_for(self, pattern: str) -> str:
        """The screen, once its end matches."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            screen = self.screen()
            if re.search(pattern, screen):
                return screen
            time.sleep(0.05)
        raise SystemExit(f"the terminal did not show {pattern!r}")


def record(terminal: Terminal, folder: str) -> list[str]:
    """The pictures: while the first backup runs, and at the end."""
    ready = re.escape(PROMPT) + r"?$"
    terminal.wait_for(ready)
    terminal.type(f"pivori backup {folder}")
    running = terminal.wait_for(r"[3-8]\d ?%")
    terminal.wait_for(r"saved\.\n" + ready)
    for line in (
        f"echo '// changed' >> {folder}/package.json",
        f"pivori backup {folder}",
        "pivori restore latest --target back",
        "pivori verify --read-data",
    ):
        terminal.type(line)
        terminal.wait_for(re.escape(line) + r"[^$]*" + ready)
    return [running, terminal.screen().removesuffix(PROMPT.rstrip()).rstrip()]


def draw(screens: list[str]) -> str:
    """The pictures, one below the other, as SVG; no font is fetched from anywhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"\x1b[0m\n{'─' * COLUMNS}\n".join(screens)))
    svg = console.export_svg(title="pivori", unique_id="run")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def main() -> None:
    """Record and write."""
    home, folder = Path(sys.argv[1]).resolve(), sys.argv[2]
    with tempfile.TemporaryDirectory() as place:
        terminal = Terminal(home, Path(place) / "socket")
        try:
            screens = record(terminal, folder)
        finally:
            terminal.close()
    OUTPUT.write_text(draw(screens))


if __name__ == "__main__":
    main()
