"""An interruption at a chosen place of a module, where a signal may come."""

import dis
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Within the context, KeyboardInterrupt is raised at the place that is the ``number``-th one reached in a module.

    Or ``act`` is done there, such as sending a signal.

    Places are those where Python runs the handlers of signals: after a call, and where a function begins. (Between
    other steps it does not: the end of ``with lock:`` cannot be hit before the lock is released.)

    It comes once, and in this thread, as the program's own handler does it; the context swallows it. ``came`` tells
    whether that many places were reached at all.
    """

    def __init__(self, number: int, module: Path, act: Callable[[], object] | None = None) -> None:
        self._left = number
        self._module = str(module)
        self._act = act or _interrupt
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
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode" and not self.came and frame.f_lasti in places(frame.f_code):
            if self._left == 0:
                self.came = True
                self._act()
            self._left -= 1
        return self._trace


def _interrupt() -> None:
    raise KeyboardInterrupt


@functools.cache
def places(code: CodeType) -> frozenset[int]:
    """The offsets of the instructions before which handlers of signals may have run."""
    found = set()
    handled = False
    for instruction in dis.get_instructions(code):
        if handled:
            found.add(instruction.offset)
        handled = instruction.opname == "RESUME" or (
            instruction.opname.startswith("CALL") and "INTRINSIC" not in instruction.opname
        )
    return frozenset(found)
