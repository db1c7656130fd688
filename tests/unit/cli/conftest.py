"""The program run in the process of the test: quick, with any clock, at a terminal of any width, in any language."""

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pivori import translation
from pivori.cli.main import Surroundings, run
from pivori.clock import SystemClock
from pivori.settings import Environment


class HastyClock(SystemClock):
    """A second has passed whenever somebody looks: progress is due all the time, and nobody waits for it."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return float(self._looks)

    def sleep(self, seconds: float) -> None:
        pass


class Stream(io.TextIOWrapper):
    """A standard stream that is kept, and may say that it is a terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="surrogateescape", newline="\n")
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        """What was written."""
        self.flush()
        kept = self.buffer
        assert isinstance(kept, io.BytesIO)
        return kept.getvalue().decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Said:
    """How a run ended, and what it wrote."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Here:
    """The program, with a HOME of its own in which it is run."""

    home: Path
    patch: pytest.MonkeyPatch

    def __call__(
        self,
        *arguments: str | Path,
        expect: int | None = 0,
        terminal: bool = False,
        clock: SystemClock | None = None,
        **environment: Any,
    ) -> Said:
        """Run to the end. ``terminal``: both outputs are one. Further keywords are fields of the Environment."""
        out, err = Stream(is_terminal=terminal), Stream(is_terminal=terminal)
        facts: dict[str, Any] = {
            "home": self.home,
            "columns": 80,
            "terminal_type": "xterm",
            "no_color": True,
            "stderr_is_terminal": terminal,
            "stdin_is_terminal": False,
        }
        surroundings = Surroundings(
            environment=Environment(**(facts | environment)),
            clock=clock or (HastyClock() if terminal else SystemClock()),
        )
        with self.patch.context() as patch:
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            patch.chdir(self.home)
            try:
                status = run([os.fspath(argument) for argument in arguments], surroundings)
            finally:
                translation.select([])
        said = Said(status, out.text, err.text)
        assert expect is None or status == expect, said
        return said

    def json(self, *arguments: str | Path, **more: Any) -> list[Any]:
        """The documents of a command run with ``--json``."""
        return [json.loads(line) for line in self("--json", *arguments, **more).out.splitlines()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The program in this process, with an empty HOME."""
    home = tmp_path / "home"
    home.mkdir()
    return Here(home, monkeypatch)
