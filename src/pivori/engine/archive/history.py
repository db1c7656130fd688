"""What was done with archives on this machine: one line of JSON for each finished run.

Estimates of size and time come from here instead of from fixed guesses, and so does the knowledge of which archives
were verified. Lines that cannot be read are passed over; only the end of a long file is read.
"""

import fcntl
import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

FILE_NAME: Final = "history.jsonl"
_READ: Final = 4 << 20
_KEPT: Final = 8 << 20
"""A longer file loses its older half."""
_TELLS_OF: Final = 100
"""How many times its own content a run tells of: what a few bytes took is headers and the start of the program."""
_RUNS: Final = 5
_MARGIN: Final = 1.1


class Operation(StrEnum):
    """What was done."""

    CREATE = "create"
    VERIFY = "verify"
    RESTORE = "restore"
    IMPORT = "import"


class Outcome(StrEnum):
    """How it ended: all well, something missing, something damaged or failed."""

    OK = "ok"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished run.

    ``time`` is RFC 3339, when it ended. ``bytes`` is content, ``archive_bytes`` the length of the archive. ``archive``
    is the file's absolute path; ``tested`` says that it was read back and compared when it was made; ``base`` the file
    name of what it is relative to.
    """

    time: str
    operation: Operation
    outcome: Outcome
    archive: str = ""
    strategy: str = ""
    format: str = ""
    root: str = ""
    files: int = 0
    bytes: int = 0
    archive_bytes: int = 0
    seconds: float = 0.0
    tested: bool = False
    base: str = ""


class History:
    """The history in a folder; a folder of None keeps and knows nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE_NAME

    def add(self, run: Run) -> None:
        """Add a line. What cannot be written is lost: a backup does not fail for it."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with open(descriptor, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                length = os.fstat(descriptor).st_size
                if length > _KEPT:
                    rest = os.pread(descriptor, length, length // 2).partition(b"\n")[2]
                    file.truncate(0)
                    file.write(rest)
                file.write(msgspec.json.encode(run) + b"\n")
        except OSError:
            return

    def runs(self) -> list[Run]:
        """What is known, the oldest first."""
        if self._path is None:
            return []
        try:
            with self._path.open("rb") as file:
                length = os.fstat(file.fileno()).st_size
                file.seek(max(0, length - _READ))
                content = file.read()
        except OSError:
            return []
        return list(_decoded(content.split(b"\n")))


def _decoded(lines: Iterable[bytes]) -> Iterable[Run]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Run)
        except msgspec.MsgspecError:
            continue


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a run will take, as earlier ones did: bytes of archive, and seconds."""

    archive_bytes: int
    seconds: float


def estimate(runs: Sequence[Run], *, strategy: str, container: str, content: int, root: str = "") -> Estimate | None:
    """What an archive of so much content will take; None when no earlier run tells.

    The last runs of the same strategy and format count, those of the same root alone when there are any. The size is
    on the safe side: it goes by the run that compressed least.
    """
    made = [
        run
        for run in runs
        if run.operation is Operation.CREATE
        and run.strategy == strategy
        and run.format == container
        and run.bytes > 0
        and run.bytes * _TELLS_OF >= content
        and run.archive_bytes > 0
    ]
    same = [run for run in made if run.root == root] or made
    if not same:
        return None
    last = same[-_RUNS:]
    ratio = max(run.archive_bytes / run.bytes for run in last)
    pace = sum(run.seconds for run in last) / sum(run.bytes for run in last)
    return Estimate(archive_bytes=int(content * ratio * _MARGIN), seconds=content * pace)


def expect(runs: Sequence[Run], *, strategy: str, root: str) -> Estimate | None:
    """What the next archive of a directory will take if it is as large as at the last one; None without one."""
    made = [run for run in runs if run.operation is Operation.CREATE and run.strategy == strategy and run.root == root]
    if not made:
        return None
    return estimate(runs, strategy=strategy, container=made[-1].format, content=made[-1].bytes, root=root)


def expect_seconds(runs: Sequence[Run], operation: Operation, archive_bytes: int) -> float | None:
    """How long an archive of so many bytes will take to verify or restore, as the last ones did."""
    last = [run for run in runs if run.operation is operation and run.archive_bytes > 0 and run.seconds > 0][-_RUNS:]
    return archive_bytes * sum(run.seconds for run in last) / sum(run.archive_bytes for run in last) if last else None


def verdicts(runs: Iterable[Run]) -> dict[str, Run]:
    """The last run that says whether an archive is whole, by its path: a verification, or its creation with a test."""
    found: dict[str, Run] = {}
    for run in runs:
        if run.operation is Operation.VERIFY or (run.operation is Operation.CREATE and run.tested):
            found[run.archive] = run
    return found
