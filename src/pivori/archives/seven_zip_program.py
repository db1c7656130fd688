"""The 7-Zip program, where the machine has one: it is many times as fast as the library that stands in for it."""

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from pivori.archives.container import ArchiveDamaged, PasswordNeeded, WrongArchivePassword
from pivori.host.filter import Filter, start_filter
from pivori.translation import N_

_NAMES: Final = ("7zz", "7z", "7za")
_QUIET: Final = ("-bso0", "-bsp0", "-y", "-spd", "-scsUTF-8")
"""No output, no questions, no wildcards in names, lists of names in UTF-8."""

_QUESTIONS: Final = 8
"""More often than this it never asks for the password: opening, and twice for what is new."""


@cache
def seven_zip_program() -> str | None:
    """The path of the 7-Zip program, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def start_seven_zip(
    program: str,
    command: str,
    arguments: Sequence[str],
    *,
    password: str | None,
    directory: Path | None = None,
) -> Filter:
    """Start 7-Zip. It reads the password from its standard input, where no list of processes shows it.

    Without a password it gets an empty one, so that it never waits for somebody to answer.
    """
    answers = (("" if password is None else password) + "\n") * _QUESTIONS
    # When it adds, the switch makes it ask; when it unpacks, the same switch is an empty password.
    switches = [*_QUIET, *(["-p"] if password is not None and command == "a" else [])]
    return start_filter(
        [program, command, *switches, *arguments],
        first=answers.encode(),
        directory=None if directory is None else bytes(directory),
        # Names are bytes to us and UTF-8 to it, whatever the locale of a cron job is.
        variables={"LC_ALL": "C.UTF-8"},
    )


def failure_of(archive: str, errors: str, password: str | None) -> Exception:
    """The error that 7-Zip's words stand for."""
    if "password" in errors.lower():
        return PasswordNeeded(archive=archive) if password is None else WrongArchivePassword(archive=archive)
    reasons = [line.partition(":")[2].strip() or line.strip() for line in errors.splitlines() if "ERROR" in line]
    return ArchiveDamaged(archive=archive, reason=reasons[0] if reasons else N_("7-Zip cannot read it"))
