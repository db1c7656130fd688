"""The one place that asks the time, so that tests and policies can be given any time they want."""

import sys
import time
from datetime import datetime
from typing import Final, Protocol

_CLOCK_REALTIME_COARSE: Final = 5
"""From linux/time.h; Python has no name for it."""


class Clock(Protocol):
    """What the engine knows of time."""

    def now(self) -> datetime:
        """The present moment, with the local time zone."""
        ...

    def now_ns(self) -> int:
        """The present moment in nanoseconds since the epoch."""
        ...

    def file_time_ns(self) -> int:
        """The earliest time a file can get that changes from now on, in nanoseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, with the local time zone."""
        return datetime.now().astimezone()

    def now_ns(self) -> int:
        """The present moment in nanoseconds since the epoch."""
        return time.time_ns()

    def file_time_ns(self) -> int:
        """The earliest time a file can get that changes from now on, in nanoseconds since the epoch.

        Linux stamps files with a clock of its own that is set at each tick of the timer (clock_gettime(2)). It is a
        few milliseconds behind, and far more while a busy or virtual machine does not get to its ticks.
        """
        now = time.time_ns()
        return min(now, time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)) if sys.platform == "linux" else now

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)
