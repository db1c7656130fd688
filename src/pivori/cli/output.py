"""The only place that prints: what people read, what programs read, and what goes wrong.

- ``say``     information along the way: standard output; silent with ``--quiet`` and ``--json``
- ``result``  what the command was asked for, as text; silent with ``--json``
- ``table``   the same, as a table
- ``record``  the same, as JSON, one object per line; silent without ``--json``
- ``detail``  information for ``--verbose``
- ``warn``    something is not as it should be: standard error, always

Whatever text comes in, no control character reaches the terminal: file names and messages may come from somebody
else's machine.
"""

import io
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import BinaryIO, TextIO

from pivori.cli import table
from pivori.cli.wording import safe_cell, safe_text, show_number, show_path
from pivori.errors import PivoriError
from pivori.translation import N_, _

_BOLD, _RED, _YELLOW, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
_USUAL_WIDTH = 80

Cell = str | int | bytes | None


class OutputFailed(PivoriError):
    """Standard output takes nothing more, so what was asked for did not arrive."""

    code = "output-failed"
    message = N_("Writing to standard output failed: {reason}.")
    hint = N_("Check where the output is redirected to.")


class Output:
    """Standard output and standard error, in the way the user asked for.

    ``columns`` is the width of the terminal where it is known better than the terminal knows it itself; ``is_dumb``
    says that the terminal cannot move its cursor. A BrokenPipeError is let through: the reader has gone, which is not
    a failure to report.
    """

    def __init__(
        self,
        *,
        stdout: TextIO,
        stderr: TextIO,
        json: bool = False,
        quiet: bool = False,
        verbose: int = 0,
        color: bool = False,
        columns: int | None = None,
        is_dumb: bool = False,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.color = color
        self.stdout = stdout
        self.stderr = stderr
        self.is_dumb = is_dumb
        self._columns = columns
        self._above: Callable[[str], None] | None = None
        self._listener: Callable[[str], None] | None = None
        for stream in (stdout, stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name outside the terminal's encoding is shown with escapes instead of ending the program.
                stream.reconfigure(encoding="utf-8" if json else None, errors="backslashreplace")

    def say(self, text: str = "") -> None:
        """Information along the way."""
        if not self.quiet and not self.json:
            self._write(safe_text(text))

    def detail(self, text: str) -> None:
        """Information that is shown with ``--verbose``."""
        if self.verbose:
            self.say(text)

    def result(self, text: str) -> None:
        """What the command was asked for."""
        if not self.json:
            self._write(safe_text(text))

    def script(self, text: str) -> None:
        """A text another program reads, exactly as it is, with ``--json`` too."""
        self._write(text)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Collection[int] = ()) -> None:
        """What the command was asked for, as a table. Numbers are written for people; bytes are file names.

        ``right`` has the numbers of the columns that are aligned to the right.
        """
        if self.json:
            return
        cells = [[show_cell(cell) for cell in row] for row in rows]
        names = [safe_cell(header) for header in headers]
        width = self.width if self.stdout_is_terminal else None
        lines = table.lay_out(names, cells, right=right, width=width)
        if self._listener is not None:
            # Neither folded nor in bold: it is no terminal.
            for line in table.lay_out(names, cells, right=right):
                self._listener(line)
        if self.color and self.stdout_is_terminal:
            lines[0] = f"{_BOLD}{lines[0]}{_PLAIN}"
        for line in lines:
            self._put(line)

    def record(self, value: object, *, flush: bool = False) -> None:
        """What the command was asked for, as one line of JSON. :mod:`pivori.cli.record` says how values are written."""
        if not self.json:
            return
        from pivori.cli.record import encode  # json is not needed on the way to a help text

        self._write(encode(value))
        if flush:
            self.flush()

    def warn(self, text: str, **facts: object) -> None:
        """Something is not as it should be. With ``--json`` a ``warning`` object with ``facts`` in it."""
        if self.json:
            self.failure_record({"message_type": "warning", "message": text, **facts})
            return
        self._complain(safe_text(text), _YELLOW)

    def note(self, text: str) -> None:
        """A line for whoever follows a log, on standard error; silent with ``--quiet`` and ``--json``."""
        if not self.quiet and not self.json:
            self._complain(safe_text(text), "")

    def failure(self, message: str, hint: str) -> None:
        """Why the command ends without having done its work, and what to do, on standard error."""
        self._complain(_("Error: {message}").format(message=safe_text(message)), _RED)
        if hint:
            self._complain(_("Hint: {hint}").format(hint=safe_text(hint)), "")

    def who_to_call(self, contacts: Sequence[str]) -> None:
        """Who can help, on standard error, below the failure; nothing when there is nobody."""
        if contacts:
            self._complain(_("Who to call: {contacts}").format(contacts=safe_text(" · ".join(contacts))), "")

    def failure_record(self, value: object) -> None:
        """One line of JSON on standard error."""
        from pivori.cli.record import encode  # json is not needed on the way to a help text

        self._complain(encode(value), "")

    def binary(self) -> BinaryIO:
        """Standard output for raw bytes; what was said before is flushed first."""
        self.flush()
        return self.stdout.buffer

    def flush(self) -> None:
        """Hand everything to the system. Raises OutputFailed and BrokenPipeError."""
        try:
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(reason=error.strerror or str(error)) from None

    def show_above(self, write: Callable[[str], None] | None) -> None:
        """While a progress bar is on the terminal, lines for the terminal go through ``write``, which keeps it last."""
        self._above = write

    def ask(self, question: str) -> None:
        """A question whose answer is typed behind it, on standard output; also with ``--quiet``."""
        self.stdout.write(f"{safe_text(question)} ")
        self.flush()

    def copy_to(self, listener: Callable[[str], None] | None) -> None:
        """Let somebody else hear all that is written but the bytes of :meth:`binary`: a log. None ends it."""
        self._listener = listener

    @property
    def stdout_is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return self.stdout.isatty()

    @property
    def stderr_is_terminal(self) -> bool:
        """Whether standard error is a terminal."""
        return self.stderr.isatty()

    @property
    def width(self) -> int:
        """The width of the terminal in columns."""
        if self._columns is not None:
            return self._columns
        for stream in (self.stdout, self.stderr):
            with suppress(OSError, ValueError):
                return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
        return _USUAL_WIDTH

    def _write(self, text: str) -> None:
        if self._listener is not None:
            self._listener(text)
        self._put(text)

    def _put(self, text: str) -> None:
        if self._above is not None and self.stdout_is_terminal:
            self._above(text)
            return
        try:
            print(text, file=self.stdout)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(reason=error.strerror or str(error)) from None

    def _complain(self, text: str, color: str) -> None:
        if self._listener is not None:
            self._listener(text)
        if color and self.color and self.stderr_is_terminal:
            text = f"{color}{text}{_PLAIN}"
        # Nobody can be told that standard error is closed; the exit status still says what happened.
        with suppress(OSError, ValueError):
            self.stdout.flush()
        with suppress(OSError, ValueError):
            if self._above is not None and self.stderr_is_terminal:
                self._above(text)
            else:
                print(text, file=self.stderr, flush=True)


def show_cell(cell: Cell) -> str:
    """A cell of a table as text: a number for people, bytes as a file name, None as nothing."""
    if cell is None:
        return ""
    if isinstance(cell, bytes):
        return show_path(cell)
    return show_number(cell) if isinstance(cell, int) else safe_cell(cell)


def open_standard_streams() -> tuple[TextIO, TextIO]:
    """Standard output and standard error, opened on the null device where the caller closed them.

    A closed descriptor 1 or 2 would otherwise be given to the next file that is opened, a pack for instance, and
    messages would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    streams = [
        stream if stream is not None else io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False))
        for descriptor, stream in ((1, sys.stdout), (2, sys.stderr))
    ]
    return streams[0], streams[1]


def silence_standard_output() -> None:
    """Send what is left in the buffers to the null device, after the reader of a pipe has gone."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(descriptor, 1)
    finally:
        os.close(descriptor)
