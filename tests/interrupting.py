"""An interruption at a chosen line of a module, as a signal may come between any two."""

import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self


class InterruptionAtLine:
    """Within the context, KeyboardInterrupt is raised at the line that is the ``number``-th one run in a module.

    Once, and in this thread, as the program's own handler does it; the context swallows it. ``came`` tells whether
    that many lines were run at all.
    """

    def __init__(self, number: int, module: Path) -> None:
        self._left = number
        self._module = str(module)
        self.came = False

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        sys.settrace(self._before)
        return isinstance(error, KeyboardInterrupt)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != self._module:
            return None
        if event == "line" and not self.came:
            if self._left == 0:
                self.came = True
                raise KeyboardInterrupt
            self._left -= 1
        return self._trace
