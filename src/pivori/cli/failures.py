"""The one place that decides exit statuses and how the end of a command is told.

    0    done                              3    incomplete (a command returns it)
    1    error, also of the program        10   no repository
    2    the command line is wrong         11   locked
    130  interrupted                       12   wrong password
    141  the reader of the output has gone

With ``--json`` the error is one object on standard error: restic's ``exit_error`` with its ``code`` (the exit status)
and ``message``, and besides these ``name`` (the stable kebab-case code), ``hint`` and ``details``.
"""

import os
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pivori.cli.output import Output, OutputFailed, silence_standard_output
from pivori.cli.wording import show_bytes, show_path
from pivori.clock import Clock
from pivori.errors import PivoriError
from pivori.translation import N_, ByteCount, Phrase, _, filled

DONE = 0
ERROR = 1
USAGE = 2
INCOMPLETE = 3
INTERRUPTED = 130
READER_GONE = 141

STATUSES: Mapping[int, str] = {
    DONE: N_("done"),
    ERROR: N_("error"),
    USAGE: N_("the command line is wrong"),
    INCOMPLETE: N_("incomplete: some files could not be read, or something damaged was found"),
    10: N_("there is no repository"),
    11: N_("the repository is locked"),
    12: N_("wrong password"),
    INTERRUPTED: N_("interrupted"),
}


class UsageError(PivoriError):
    """The command line cannot be understood; ``reason`` is already in the user's language."""

    code = "usage"
    message = "{reason}"
    hint = N_("Run `{command} --help` to see what it accepts.")
    exit_status = USAGE


class InterruptedByUser(PivoriError):
    """Ctrl-C or a request to stop."""

    code = "interrupted"
    message = N_("Interrupted.")
    exit_status = INTERRUPTED


class OutOfMemory(PivoriError):
    """The machine has no memory left."""

    code = "out-of-memory"
    message = N_("There is not enough memory.")
    hint = N_("Close other programs, or run the command on a smaller part at a time.")


class SystemRefused(PivoriError):
    """The operating system refused something nobody has foreseen at that place."""

    code = "system-error"
    message = N_("The system refused an operation on {path}: {reason}.")
    hint = N_("Check the path, its permissions and the free space; details are in {report}.")


class InternalError(PivoriError):
    """A fault of this program."""

    code = "internal-error"
    message = N_("An internal error occurred ({kind}); this is a fault of Pivori, not yours.")
    hint = N_("Please report it with the file {report}, which holds no file contents, names or passwords.")


def conclude(
    error: BaseException,
    output: Output,
    clock: Clock,
    cache_directory: Path | None,
    contacts: Mapping[str, str] | None = None,
) -> int:
    """Tell the user why the command ends, and return its exit status. ``contacts`` are who to call about it, if any."""
    if isinstance(error, (BrokenPipeError, OutputFailed)):
        # The interpreter would try once more at its end, and complain in its own words.
        with suppress(OSError):
            silence_standard_output()
    if isinstance(error, BrokenPipeError):
        return READER_GONE
    known = understood(error, clock, cache_directory)
    message, hint = wording(known)
    # Who mistyped something, or stopped it, needs nobody.
    called = contacts if contacts and known.exit_status not in (USAGE, INTERRUPTED) else {}
    if output.json:
        output.failure_record(
            {
                "message_type": "exit_error",
                "code": known.exit_status,
                "name": known.code,
                "message": message,
                "hint": hint,
                "details": known.details,
                **({"contacts": called} if called else {}),
            }
        )
    else:
        output.failure(message, hint)
        output.who_to_call(list(called.values()))
    return known.exit_status


def understood(error: BaseException, clock: Clock, cache_directory: Path | None) -> PivoriError:
    """The error as one a person can be told; what nobody has foreseen is written to a report first."""
    if isinstance(error, PivoriError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return InterruptedByUser()
    if isinstance(error, MemoryError):
        return OutOfMemory()
    report = write_report(error, clock, cache_directory)
    where = str(report) if report is not None else "-"
    if isinstance(error, OSError) and error.strerror:
        name = error.filename if isinstance(error.filename, (str, bytes)) else "-"
        return SystemRefused(path=os.fsencode(name), reason=error.strerror, report=where)
    return InternalError(kind=type(error).__name__, report=where)


def wording(error: PivoriError) -> tuple[str, str]:
    """Message and hint of an error in the user's language."""
    return fill(error.message, error.details), fill(error.hint, error.details)


_SENTENCE_PARTS = frozenset({"reason", "operation", "mode"})
"""The details that are words of the sentence, so that the catalogue may have them; all others are names."""


_IDS = frozenset({"id", "pack"})
"""The details that name an object by 64 digits; the first ones are enough for every command."""
_DIGITS_OF_AN_ID = 64
_SHOWN_DIGITS = 8


def fill(template: str, details: Mapping[str, object]) -> str:
    """A template translated, then filled in; a translation that does not fit gives way to the English text."""
    if not template:
        return ""
    shown = {name: _shown(value, is_id=name in _IDS) for name, value in details.items()}
    for name in _SENTENCE_PARTS & shown.keys():
        if not isinstance(details[name], Phrase):
            shown[name] = _(str(shown[name])) if shown[name] else ""
    for text in (_(template), template):
        with suppress(KeyError, IndexError, ValueError, AttributeError):
            return filled(text, shown)
    return template


def write_report(error: BaseException, clock: Clock, cache_directory: Path | None) -> Path | None:
    """Write where in the program an error arose to a private file; returns its path, None when that is impossible.

    Only types and lines of the program's own text are written: neither messages nor the values of variables, which
    could hold a password, a key or the name of a file.
    """
    if cache_directory is None:
        return None
    moment = clock.now().astimezone(UTC)
    path = cache_directory / "errors" / f"{moment:%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(_report_text(error, moment))
    except OSError:
        return None
    return path


def _report_text(error: BaseException, moment: datetime) -> str:
    """The chain of errors, each with its frames."""
    import platform

    from pivori import __version__

    lines = [f"pivori {__version__}, Python {platform.python_version()}, {platform.platform()}, {moment.isoformat()}\n"]
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        lines.append(f"\n{type(link).__module__}.{type(link).__qualname__}\n")
        if isinstance(link, OSError):
            lines.append(f"  errno {link.errno}\n")
        if isinstance(link, PivoriError):
            lines.append(f"  {link.code}\n")
        lines.extend(traceback.format_tb(link.__traceback__))
        link = link.__cause__ or link.__context__
    return "".join(lines)


def _shown(value: object, *, is_id: bool = False) -> str | int:
    """A detail as people read it; numbers stay numbers, so that a template can say how they are written."""
    if is_id and isinstance(value, str) and len(value) == _DIGITS_OF_AN_ID:
        return value[:_SHOWN_DIGITS]
    if isinstance(value, ByteCount):
        return show_bytes(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        return show_path(value)
    if isinstance(value, os.PathLike):
        return show_path(os.fsencode(value))
    if isinstance(value, PivoriError):
        return wording(value)[0]
    return fill(value.template, value.details) if isinstance(value, Phrase) else str(value)
