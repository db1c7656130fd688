"""Ctrl-C and SIGTERM end a command in an orderly way: once, and without breaking the clean-up; SIGHUP does not.

The first signal raises :class:`Interrupted` where the program is; locks are released and unfinished files removed on
the way out. Signals that follow only say that this is going on. A signal the caller had set to be ignored (``nohup``,
a background job of a shell) stays ignored.

Raised once, an interruption may hit a clean-up but not the second attempt at it: that is how code that must not leave
anything behind is written. It must not get lost either. Where Python runs code of its own accord (a finalizer, a weak
reference that dies) an exception goes nowhere; an interruption that ends there is repeated a moment later.

Nor may it be raised just anywhere. Python's own locks are let go by Python code: an exception on the first or last
instruction of ``threading.Condition.__exit__`` leaves a lock taken that nobody will give back, and the clean-up, or a
thread, waits for it for ever. Within such modules a signal is put off until they have done their work. Only waits last
there, and a wait bears an exception.
"""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from pivori.translation import N_, _

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))
# `restic unlock` asks whether the process of a lock on its own machine is alive by sending it SIGHUP, so a program that
# holds locks has to survive that signal.
_SURVIVED = tuple(getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name))
_SHORTLY = 0.01
_UNBEARING = frozenset(
    {
        "concurrent.futures._base",
        "concurrent.futures.thread",
        "coverage.collector",  # takes a lock at a call of any function, where the program is being measured
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "multiprocessing.process",
        "queue",
        "subprocess",
        "threading",
    }
)
"""Modules that keep locks, or start processes, and do not get over an exception at any instruction."""
_PUT_OFF_AT_MOST = 100
"""After a second in such a module the program waits there for something: a lock's turn, a thread or a process."""
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
    state = _Interruption()
    previous_hook, sys.unraisablehook = sys.unraisablehook, state.save_lost(sys.unraisablehook)
    previous = {number: signal.getsignal(number) for number in (*_SURVIVED, *_SIGNALS)}
    try:
        for number, handler in previous.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _survive if number in _SURVIVED else state.interrupt)
        state.begin()
        yield
    finally:
        state.finish()
        for number, handler in previous.items():
            if process_ends:
                signal.signal(number, signal.SIG_IGN)
            elif handler is not signal.SIG_IGN:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        sys.unraisablehook = previous_hook


class _Interruption:
    """Raised once; a second time only when the first got lost."""

    def __init__(self) -> None:
        self._begun = False
        self._finished = False
        self._raised = False
        self._put_off = 0

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals."""
        if self._finished:
            return
        if self._raised:
            _say(_(_PATIENCE))
            return
        is_bad_moment = not self._begun or _is_unbearing(frame)
        if is_bad_moment and self._put_off < _PUT_OFF_AT_MOST and _send_again(number):
            self._put_off += 1
            return
        self._raised = True
        raise Interrupted(number)

    def begin(self) -> None:
        """From now on there is somebody to catch what is raised."""
        self._begun = True

    def finish(self) -> None:
        """Raise nothing any more: what was to be interrupted has ended."""
        self._finished = True

    def save_lost(
        self, others: "Callable[[sys.UnraisableHookArgs], object]"
    ) -> "Callable[[sys.UnraisableHookArgs], None]":
        """A hook for exceptions that go nowhere, which sends a lost interruption again; others go to ``others``."""

        def hook(unraisable: "sys.UnraisableHookArgs") -> None:
            lost = unraisable.exc_value
            if not isinstance(lost, Interrupted):
                others(unraisable)
                return
            # Not from here, where it would be lost again.
            self._raised = False
            _send_again(lost.number)

        return hook


def _is_unbearing(frame: FrameType | None) -> bool:
    """Whether the program is within a module that an exception would break."""
    while frame is not None:
        if frame.f_globals.get("__name__") in _UNBEARING:
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> bool:
    """Have a signal come again shortly; False when that is not possible."""
    try:
        # Not by `threading`, whose own locks may be held at this moment.
        _thread.start_new_thread(_send_shortly, (number,))
    except RuntimeError:
        return False
    return True


def is_interruption(error: BaseException) -> bool:
    """Whether an error is an interruption, or came of one: a clean-up that was hit by it may fail in its own way."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        if isinstance(link, KeyboardInterrupt):
            return True
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return False


def _send_shortly(number: int) -> None:
    threading.Event().wait(_SHORTLY)
    os.kill(os.getpid(), number)


def _survive(_number: int, _frame: FrameType | None) -> None:
    """Do nothing. Unlike SIG_IGN this is not inherited by the commands that are started (``pg_dump``, say)."""


def _say(text: str) -> None:
    """Write to the terminal from a signal handler, where buffered streams may not be entered a second time."""
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, f"\n{text}\n".encode())
