"""The one place that asks the time, so that tests and policies can be given any time they want."""

import time
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine knows of time."""

    def now(self) -> datetime:
        """The present moment, with the local time zone."""
        ...

    def now_ns(self) -> int:
        """The present moment in nanoseconds since the epoch."""
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

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)
