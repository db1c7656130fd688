"""The door: ``python -m pivori`` and the installed ``pivori`` command both call :func:`main`."""

# The C module under `signal`: that one brings `enum` with it, which takes longer than all the rest of `--version`.
import _signal  # type: ignore[import-not-found]  # the type stubs leave it out
import os
import sys

from pivori import __version__

_INTERRUPTED = 130


def main() -> int:
    """Run the program on the command line; return its exit status.

    ``--version`` is answered before anything else is imported.
    """
    for number in (_signal.SIGINT, _signal.SIGTERM):
        # What the caller had set to be ignored stays ignored.
        if _signal.getsignal(number) is not _signal.SIG_IGN:
            _signal.signal(number, _leave)
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"pivori {__version__}\n")
        return 0
    try:
        from pivori.cli.main import run

        return run(sys.argv[1:], process_ends=True)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _leave(_number: int, _frame: object) -> None:
    """End at once. Until ``cli/interruption.py`` takes over, nothing has been done that would have to be undone."""
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
