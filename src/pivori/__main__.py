"""The door: ``python -m pivori`` and the installed ``pivori`` command both call :func:`main`."""

import sys

from pivori import __version__


def main() -> int:
    """Run the program on the command line; return its exit status.

    ``--version`` is answered before anything else is imported.
    """
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"pivori {__version__}\n")
        return 0
    try:
        from pivori.cli.main import run

        return run(sys.argv[1:], process_ends=True)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
