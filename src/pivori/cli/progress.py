"""Shows how far a verb has come: a bar on a terminal, a plain line now and then elsewhere, JSON lines with ``--json``.

The engine calls :meth:`ProgressDisplay.update` as often as it likes: while nothing is due this costs one look at the
clock. The bar is drawn on standard error, so that standard output can be redirected; the JSON lines are restic's
``status`` messages, on standard output as restic's are.
"""

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from pivori.cli.output import Output
from pivori.cli.wording import display_width, shorten, show_bytes, show_duration, show_number, show_path, show_percent
from pivori.clock import Clock
from pivori.events import Event, Progress
from pivori.translation import _, ngettext

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

_BAR_EVERY = 0.1
_BAR_FIRST = 0.3
_LINE_EVERY = 30.0
_LINE_FIRST = 10.0
_STATUS_EVERY = 1.0
_RATE_WINDOW = 15.0
"""Seconds over which the rate is an average: short enough to follow, long enough not to jump."""


class _View(Protocol):
    """One way of showing progress."""

    first: float
    every: float

    def show(self, progress: Progress, pace: "Pace") -> None:
        """Show this state; called when it is due."""

    def close(self) -> None:
        """Leave the output clean."""


class Pace:
    """Rate and remaining time, from the states that were shown."""

    def __init__(self, started: float) -> None:
        self.elapsed = 0.0
        self._started = started
        self._seen: deque[tuple[float, int]] = deque([(started, 0)])

    def note(self, now: float, bytes_done: int) -> None:
        """Take in how many bytes were done at a moment."""
        self.elapsed = now - self._started
        self._seen.append((now, bytes_done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_WINDOW:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Bytes per second, lately."""
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start) if end > start else 0.0

    def remaining(self, progress: Progress) -> float | None:
        """Seconds still to go; None while nobody can tell."""
        rate = self.rate
        if not progress.bytes_total or rate <= 0 or self.elapsed < 1:
            return None
        return max(progress.bytes_total - progress.bytes_done, 0) / rate


class ProgressDisplay:
    """What a command gives the engine to report to; a context manager, so that the terminal is clean afterwards."""

    def __init__(self, output: Output, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._view = _view_for(output)
        started = self._monotonic()
        self._pace = Pace(started)
        self._due = started + self._view.first if self._view is not None else float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._view is not None:
            self._view.close()

    def update(self, event: Event) -> None:
        """Take an event from the engine; everything but Progress is left to others."""
        now = self._monotonic()
        if now < self._due or not isinstance(event, Progress):
            return
        view = self._view
        assert view is not None  # noqa: S101 - without a view nothing is ever due
        self._due = now + view.every
        self._pace.note(now, event.bytes_done)
        view.show(event, self._pace)

    __call__ = update


class _Lines:
    """One plain line now and then, for logs."""

    first = _LINE_FIRST
    every = _LINE_EVERY

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, progress: Progress, pace: Pace) -> None:
        """Print one line on standard error."""
        self._output.note(", ".join(summary_parts(progress, pace)))

    def close(self) -> None:
        """Nothing stays on the output that would have to go."""


class _StatusRecords:
    """restic's ``status`` messages."""

    first = _STATUS_EVERY
    every = _STATUS_EVERY

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, progress: Progress, pace: Pace) -> None:
        """Write one status object. The names are restic's; what is not known is left out."""
        remaining = pace.remaining(progress)
        status = {
            "message_type": "status",
            "seconds_elapsed": int(pace.elapsed),
            "seconds_remaining": None if remaining is None else int(remaining),
            "percent_done": fraction_done(progress) or 0.0,
            "total_files": progress.files_total,
            "files_done": progress.files_done,
            "total_bytes": progress.bytes_total,
            "bytes_done": progress.bytes_done,
            "error_count": progress.errors or None,
            "current_files": [progress.current] if progress.current else None,
        }
        self._output.record({name: value for name, value in status.items() if value is not None}, flush=True)

    def close(self) -> None:
        """The last status stays; the command's own records follow."""


class _Bar:
    """A bar of two lines that lives at the bottom of the terminal."""

    first = _BAR_FIRST
    every = _BAR_EVERY

    def __init__(self, output: Output) -> None:
        self._output = output
        self._live: Live | None = None

    def show(self, progress: Progress, pace: Pace) -> None:
        """Draw the state."""
        if self._live is None:
            self._live = self._start()
        self._live.update(self._picture(progress, pace), refresh=True)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._live is not None:
            self._output.show_above(None)
            live, self._live = self._live, None
            live.stop()

    def _start(self) -> "Live":
        # rich takes a tenth of a second to import: only who sees a bar pays for it.
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(
            file=self._output.stderr,
            force_terminal=True,
            no_color=not self._output.color,
            highlight=False,
            markup=False,
            emoji=False,
            width=self._output.width,
        )
        live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
        live.start()
        self._output.show_above(lambda text: console.print(Text.from_ansi(text), soft_wrap=True))
        return live

    def _picture(self, progress: Progress, pace: Pace) -> "Group":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        width = self._output.width
        text = " · ".join(summary_parts(progress, pace))
        room = width - display_width(text) - 2
        fraction = fraction_done(progress)
        line = Table.grid(padding=(0, 1, 0, 0))
        if fraction is None or room < 10:
            line.add_row(Text(shorten(text, width), no_wrap=True))
        else:
            bar = ProgressBar(total=1.0, completed=fraction, width=min(room, 40))
            line.add_row(bar, Text(text, no_wrap=True))
        return Group(line, Text(shorten(show_path(progress.current), width), style="dim", no_wrap=True))


def summary_parts(progress: Progress, pace: Pace) -> list[str]:
    """What a person wants to know of a state, the most important first."""
    parts = []
    fraction = fraction_done(progress)
    if fraction is not None:
        parts.append(show_percent(fraction))
    parts.append(_count_of_files(progress))
    if progress.bytes_total is None:
        parts.append(show_bytes(progress.bytes_done))
    else:
        done, total = show_bytes(progress.bytes_done), show_bytes(progress.bytes_total)
        parts.append(_("{done} of {total}").format(done=done, total=total))
    parts.append(_("{size}/s").format(size=show_bytes(int(pace.rate))))
    remaining = pace.remaining(progress)
    if remaining is not None:
        parts.append(_("{duration} left").format(duration=show_duration(round(remaining))))
    if progress.errors:
        errors = ngettext("{count} error", "{count} errors", progress.errors)
        parts.append(errors.format(count=show_number(progress.errors)))
    return parts


def fraction_done(progress: Progress) -> float | None:
    """Between 0 and 1, by bytes, or by files where there are no bytes to count; None while the total is not known."""
    if progress.bytes_total:
        return min(progress.bytes_done / progress.bytes_total, 1.0)
    if progress.files_total:
        return min(progress.files_done / progress.files_total, 1.0)
    return None


def _count_of_files(progress: Progress) -> str:
    if progress.files_total is None:
        text = ngettext("{count} file", "{count} files", progress.files_done)
        return text.format(count=show_number(progress.files_done))
    text = ngettext("{done} of {total} file", "{done} of {total} files", progress.files_total)
    return text.format(done=show_number(progress.files_done), total=show_number(progress.files_total))


def _view_for(output: Output) -> _View | None:
    """The way that fits the output; None with ``--quiet``."""
    if output.quiet:
        return None
    if output.json:
        return _StatusRecords(output)
    return _Bar(output) if output.stderr_is_terminal and not output.is_dumb else _Lines(output)
