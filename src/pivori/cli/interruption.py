"""Ctrl-C and SIGTERM end a command in an orderly way: once, and without breaking the clean-up; SIGHUP does not.

The first signal raises :class:`Interrupted` where the program is; locks are released and unfinished files removed on
the way out. Signals that follow only say that this is going on. A signal the caller had set to be ignored (``nohup``,
a background job of a shell) stays ignored.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from pivori.translation import N_, _

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))
# `restic unlock` asks whether the process of a lock on its own machine is alive by sending it SIGHUP, so a program that
# holds locks has to survive that signal.
_SURVIVED = tuple(getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name))
_PATIENCE = N_("Stopping: unfinished work is being cleaned up.")


class Interrupted(KeyboardInterrupt):
    """Somebody asked the program to stop; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def interruptions(*, process_ends: bool = False) -> Iterator[None]:
    """Within this context SIGINT and SIGTERM raise Interrupted, in the main thread and once; SIGHUP does nothing.

    Afterwards everything is as before; where the ``process_ends`` with the context, the signals are ignored instead:
    what was to be done is done, and the status that tells it must not be replaced by a death on the last metres.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            _say(_(_PATIENCE))
            return
        interrupted = True
        raise Interrupted(number)

    previous = {number: signal.getsignal(number) for number in (*_SURVIVED, *_SIGNALS)}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _survive if number in _SURVIVED else interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            if process_ends:
                signal.signal(number, signal.SIG_IGN)
            elif handler is not signal.SIG_IGN:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _survive(_number: int, _frame: FrameType | None) -> None:
    """Do nothing. Unlike SIG_IGN this is not inherited by the commands that are started (``pg_dump``, say)."""


def _say(text: str) -> None:
    """Write to the terminal from a signal handler, where buffered streams may not be entered a second time."""
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, f"\n{text}\n".encode())
