"""Runs `pivori` in this process and writes how long the capture of its git component took, in seconds.

Command line: `python benchmarks/timed_capture.py FILE ARGUMENT…`, with the arguments of `pivori`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pivori.__main__ import main
from pivori.components.base import Report, Sink, Surroundings
from pivori.components.git.component import GitComponent


def tell_time(note: Path) -> None:
    """From now on every capture of a git component writes its seconds into `note`."""
    capture = GitComponent.capture

    def timed(component: GitComponent, sink: Sink, surroundings: Surroundings) -> Report:
        started = time.perf_counter()
        report = capture(component, sink, surroundings)
        note.write_text(repr(time.perf_counter() - started))
        return report

    GitComponent.capture = timed


if __name__ == "__main__":
    tell_time(Path(sys.argv.pop(1)))
    sys.exit(main())
