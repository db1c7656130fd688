"""The inside of a worker process: see :mod:`pivori.host.workers`."""

import contextlib
import signal
import sys
from typing import Any

from pivori.host.memory import collect_rarely, forbid_core_dumps, keep_large_buffers

PARENT_DECIDES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that leave a worker alone."""


def main(descriptor: int) -> int:
    """Run what the parent sends over the socket ``descriptor``; returns the exit status."""
    # Not for the parent, which takes the signals from this module.
    from multiprocessing.connection import Connection

    # These reach the whole group of processes (Ctrl-C, a closed terminal) or the whole service (systemd stops with
    # SIGTERM): it is the parent that decides what happens then. It started this process with them blocked.
    for number in PARENT_DECIDES:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENT_DECIDES)
    forbid_core_dumps()
    keep_large_buffers()
    collect_rarely()
    connection: Connection[Any, Any] = Connection(descriptor)
    try:
        serve, arguments = connection.recv()
        serve(connection, *arguments)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 1  # the parent has gone: there is nobody to tell
    except Exception as error:  # noqa: BLE001 - every error is handed to the parent, which shows it
        with contextlib.suppress(OSError):
            connection.send(_sendable(error))
        return 1
    return 0


def _sendable(error: Exception) -> Exception:
    # The traceback does not travel; the place where it happened is worth keeping.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        error.add_note(f"in a worker, {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
    return error


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
