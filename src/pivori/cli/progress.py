"""Shows how far a verb has come: a bar on a terminal, a plain line now and then elsewhere, JSON lines with ``--json``.

The engine calls :meth:`ProgressDisplay.update` as often as it likes: while nothing is due this costs one look at the
clock. The bar is drawn on standard error, so that standard output can be redirected; the JSON lines are restic's
``status`` messages, on standard output as restic's are.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from pivori.cli.output import Output
from pivori.cli.wording import display_width, shorten, show_bytes, show_duration, show_number, show_path, show_percent
from pivori.clock import Clock
from pivori.events import Event, Progress, Unit
from pivori.translation import _, ngettext

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.table import Table

_BAR_EVERY = 0.1
_BAR_FIRST = 0.3
_SHORTEST_BAR = 10
_LONGEST_BAR = 40
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
        """Seconds still to go; None while nobody can tell, and when all is done."""
        rate, total = self.rate, progress.bytes_total
        if not total or progress.bytes_done >= total or rate <= 0 or self.elapsed < 1:
            return None
        return (total - progress.bytes_done) / rate


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

    @property
    def is_due(self) -> bool:
        """Whether a state would be shown now: what takes time to find out can wait until then."""
        return self._monotonic() >= self._due

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
        """Write one status object. The names are restic's for files; what is not known is left out."""
        remaining = pace.remaining(progress)
        status: dict[str, object] = {
            "message_type": "status",
            "seconds_elapsed": int(pace.elapsed),
            "seconds_remaining": None if remaining is None else int(remaining),
            "percent_done": fraction_done(progress),
        }
        if progress.unit is not Unit.NOTHING:
            status[f"total_{progress.unit.value}"] = _believed(progress.files_done, progress.files_total)
            status[f"{progress.unit.value}_done"] = progress.files_done
        status |= {
            "total_bytes": _believed(progress.bytes_done, progress.bytes_total),
            "bytes_done": progress.bytes_done,
            "error_count": progress.errors or None,
            "current_files": [progress.current] if progress.current else None,
        }
        self._output.record({name: value for name, value in status.items() if value is not None}, flush=True)

    def close(self) -> None:
        """The last status stays; the command's own records follow."""


class _Bar:
    """A bar with two lines of what is done and what is being done, that lives at the bottom of the terminal."""

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
        from rich.text import Text

        width = self._output.width
        fraction = fraction_done(progress)
        lines: list[Table | Text] = [] if fraction is None else [_bar_line(fraction, progress, pace, width)]
        lines.append(Text(_fitting(_count_parts(progress, pace), width), no_wrap=True))
        if progress.current:
            lines.append(Text(shorten(show_path(progress.current), width), style="dim", no_wrap=True))
        return Group(*lines)


def _bar_line(fraction: float, progress: Progress, pace: Pace, width: int) -> "Table":
    """The bar, as wide as there is room for beside the share that is done and the time that is left."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    text = _fitting([show_percent(fraction), *_remaining_part(progress, pace)], width - _SHORTEST_BAR - 1)
    line = Table.grid(padding=(0, 1, 0, 0))
    room = max(width - display_width(text) - 2, 1)
    line.add_row(ProgressBar(total=1.0, completed=fraction, width=min(room, _LONGEST_BAR)), Text(text, no_wrap=True))
    return line


def _fitting(parts: list[str], width: int) -> str:
    """As many of the parts as ``width`` has room for, whole ones, and the first of them always."""
    shown, *others = parts
    for part in others:
        longer = f"{shown} · {part}"
        if display_width(longer) > width:
            break
        shown = longer
    return shorten(shown, width)


def summary_parts(progress: Progress, pace: Pace) -> list[str]:
    """All that is known of a state."""
    fraction = fraction_done(progress)
    share = [] if fraction is None else [show_percent(fraction)]
    return [*share, *_count_parts(progress, pace), *_remaining_part(progress, pace)]


def _remaining_part(progress: Progress, pace: Pace) -> list[str]:
    remaining = pace.remaining(progress)
    if remaining is None:
        return []
    return [_("{duration} left").format(duration=show_duration(math.ceil(remaining), whole=True))]


def _count_parts(progress: Progress, pace: Pace) -> list[str]:
    """What is done, the most important first."""
    parts = [] if progress.unit is Unit.NOTHING else [_count(progress)]
    has_bytes = bool(progress.bytes_done or progress.bytes_total or not parts)
    if has_bytes:
        total = _believed(progress.bytes_done, progress.bytes_total)
        done = show_bytes(progress.bytes_done)
        text = done if total is None else _("{done} of {total}").format(done=done, total=show_bytes(total))
        parts.append(text)
    if progress.errors:
        errors = ngettext("{count} error", "{count} errors", progress.errors)
        parts.append(errors.format(count=show_number(progress.errors)))
    if has_bytes:
        parts.append(_("{size}/s").format(size=show_bytes(int(pace.rate))))
    return parts


def fraction_done(progress: Progress) -> float | None:
    """Between 0 and 1, by bytes, or by files where there are no bytes to count; None while the total is not known."""
    done, total = progress.bytes_done, progress.bytes_total
    if not total:
        done, total = progress.files_done, progress.files_total
    total = _believed(done, total)
    return done / total if total else None


def _believed(done: int, total: int | None) -> int | None:
    """The total, unless more than that is done already: it was an estimate, and wrong."""
    return None if total is None or done > total else total


_COUNTED: Mapping[Unit, Callable[[int], str]] = {
    Unit.FILES: lambda count: ngettext("{count} file", "{count} files", count),
    Unit.FOLDERS: lambda count: ngettext("{count} folder", "{count} folders", count),
    Unit.PACKS: lambda count: ngettext("{count} pack", "{count} packs", count),
    Unit.SNAPSHOTS: lambda count: ngettext("{count} snapshot", "{count} snapshots", count),
}
_COUNTED_OF: Mapping[Unit, Callable[[int], str]] = {
    Unit.FILES: lambda total: ngettext("{done} of {total} file", "{done} of {total} files", total),
    Unit.FOLDERS: lambda total: ngettext("{done} of {total} folder", "{done} of {total} folders", total),
    Unit.PACKS: lambda total: ngettext("{done} of {total} pack", "{done} of {total} packs", total),
    Unit.SNAPSHOTS: lambda total: ngettext("{done} of {total} snapshot", "{done} of {total} snapshots", total),
}


def _count(progress: Progress) -> str:
    done, total = progress.files_done, _believed(progress.files_done, progress.files_total)
    if total is None:
        return _COUNTED[progress.unit](done).format(count=show_number(done))
    return _COUNTED_OF[progress.unit](total).format(done=show_number(done), total=show_number(total))


def _view_for(output: Output) -> _View | None:
    """The way that fits the output; None with ``--quiet``."""
    if output.quiet:
        return None
    if output.json:
        return _StatusRecords(output)
    return _Bar(output) if output.stderr_is_terminal and not output.is_dumb else _Lines(output)
