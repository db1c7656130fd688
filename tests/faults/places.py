"""Places of a whole run where a signal may come: Python looks for one when a function begins and after every call.

``tests/interrupting.py`` raises at every place of one module; here the program's own handler is met, at some of the
many thousand places of all modules, which the program tells first.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_FUNCTIONS = 3
"""So many functions, the innermost ones, tell one place from another."""


@dataclass(frozen=True)
class Place:
    """A place and the how manieth time the program comes by; ``record`` names a file for all places instead."""

    name: str = ""
    turn: int = 1
    record: str = ""

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        """Within this context the program, in this thread, gets SIGTERM at the place, or its places are recorded."""
        seen: Counter[str] = Counter()

        def record(frame: FrameType, event: str, argument: object) -> None:
            if event != "c_call":
                seen[_name(frame, event, argument)] += 1

        def interrupt(frame: FrameType, event: str, argument: object) -> None:
            if event == "c_call" or _name(frame, event, argument) != self.name:
                return
            seen[self.name] += 1
            if seen[self.name] == self.turn and _is_handled():
                sys.setprofile(None)
                signal.raise_signal(signal.SIGTERM)

        sys.setprofile(record if self.record else interrupt)
        try:
            yield
        finally:
            sys.setprofile(None)
        if self.record:
            Path(self.record).write_text(json.dumps(seen))


def recorded(file: Path) -> list[Place]:
    """The places that a run has recorded, each at the first, the last and a middle time that it was passed."""
    return [
        Place(name, turn)
        for name, times in sorted(json.loads(file.read_text()).items())
        for turn in sorted({1, (times + 1) // 2, times})
    ]


def _is_handled() -> bool:
    """Whether the program has taken over: before and after, the signal would only end the process."""
    return getattr(signal.getsignal(signal.SIGTERM), "__module__", "") == "pivori.cli.interruption"


def _name(frame: FrameType | None, event: str, argument: object) -> str:
    parts = [event, getattr(argument, "__name__", "") if event.startswith("c_") else ""]
    while frame is not None and len(parts) < _FUNCTIONS + 2:
        code = frame.f_code
        parts.append(f"{code.co_filename}:{code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return "|".join(parts)
