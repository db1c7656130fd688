"""What an RDB file looks like from outside, and what Redis' own program says of one."""

import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from pivori.components.base import ComponentFailed, Finding, Gravity, ReadInto
from pivori.host.filter import Filter, start_filter
from pivori.host.process import CommandNotStarted, require_program
from pivori.translation import N_, Phrase

FILENAME: Final = "dump.rdb"
CHECKER: Final = "redis-check-rdb"
_MAGIC: Final = re.compile(rb"(?:REDIS[0-9]{4}|VALKEY[0-9]{3})")
_HEAD: Final = 9
_TAIL: Final = 9
"""The opcode of the end, and eight bytes of a checksum."""
_END: Final = 0xFF
_SHORTEST: Final = _HEAD + _TAIL
_SAID: Final = 1 << 20


class DumpNotWhole(ComponentFailed):
    """What the server sent is no whole RDB file."""

    code = "redis-dump-not-whole"
    message = N_("What the Redis server {server} sent is no whole dump: {reason}.")
    hint = N_("Look at the server's own log, then run the command again.")


class CapturedDumpDamaged(ComponentFailed):
    """The dump of a capture is not whole, which is found before anything is replaced."""

    code = "redis-capture-damaged"
    message = N_("The capture is damaged, and nothing was changed: {reason}.")
    hint = N_("Choose an earlier recovery point with --at.")


class Ends:
    """The first and the last bytes of a file that passes by."""

    def __init__(self) -> None:
        self.size = 0
        self._head = bytearray()
        self._tail = bytearray()

    def feed(self, piece: bytes | memoryview) -> None:
        """The next piece of it."""
        self.size += len(piece)
        self._head += piece[: _HEAD - len(self._head)]
        self._tail += piece[-_TAIL:]
        del self._tail[:-_TAIL]

    @property
    def version(self) -> str:
        """The version of its format; empty when it has none."""
        return bytes(self._head[5:]).decode("ascii", "replace") if self.fault is None else ""

    @property
    def fault(self) -> str | None:
        """Why it is no RDB file, as a part of a sentence; None when nothing speaks against it."""
        if self.size < _SHORTEST or not _MAGIC.match(self._head):
            return N_("it does not begin as an RDB file does")
        if self._tail[0] != _END:
            return N_("its end is missing")
        return None


def watched(read: ReadInto, ends: Ends, server: str) -> ReadInto:
    """Reads what ``read`` gives, and raises DumpNotWhole in place of an end where that is no whole file."""

    def reading(buffer: memoryview) -> int:
        count = read(buffer)
        ends.feed(buffer[:count])
        if not count and ends.fault is not None:
            raise DumpNotWhole(server=server, reason=ends.fault)
        return count

    return reading


def check(pieces: Iterable[bytes]) -> tuple[list[Finding], int | None]:
    """Look through a file, with ``redis-check-rdb`` where that is on this machine: findings, and how many keys it has.

    Without that program only the two ends are looked at, which is a finding, and the keys are None.
    """
    ends = Ends()
    try:
        require_program([CHECKER])
    except CommandNotStarted:
        for piece in pieces:
            ends.feed(piece)
        return _findings(ends, Phrase(N_("{program} is not on this machine"), program=CHECKER)), None
    # From a pipe, so that nothing of it comes to the disk. What it says goes there: sums, and where a fault is.
    with tempfile.TemporaryFile() as said:
        with start_filter([CHECKER, "/dev/stdin"], stdout=said, with_children=True) as checker:
            for piece in pieces:
                ends.feed(piece)
                _give(checker, piece)
            status, _errors = checker.finish()
        said.seek(0)
        text = said.read(_SAID).decode(errors="replace")
    if ends.fault is not None:
        return _findings(ends, None), None
    if status and "RDB version" in text:
        return _findings(ends, Phrase(N_("{program} is older than the file"), program=CHECKER)), None
    if status:
        lines = [line for line in text.splitlines() if "---" not in line and line.strip()]
        reason = next((line for line in lines if "rror" in line or "ncorrect" in line or "nexpected" in line), "")
        return [_failure(reason.strip("[]- ") or Phrase(N_("status {status}"), status=status))], None
    keys = re.search(r"(\d+) keys read", text)
    return [], int(keys[1]) if keys else None


def _give(checker: Filter, piece: bytes) -> None:
    """Give the program a piece; it may have seen enough before the end."""
    with suppress(BrokenPipeError):
        view = memoryview(piece)
        while view and checker.stdin is not None:
            view = view[checker.stdin.write(view) :]


def _findings(ends: Ends, unchecked: Phrase | None) -> list[Finding]:
    if ends.fault is not None:
        return [_failure(ends.fault)]
    if unchecked is None:
        return []
    return [
        Finding(
            gravity=Gravity.WARNING,
            message=Phrase(
                N_("The checksum within {file} was not looked at: {reason}."), file=FILENAME, reason=unchecked
            ),
            hint=Phrase(N_("Install the programs of Redis on this machine.")),
        )
    ]


def _failure(reason: object) -> Finding:
    return Finding(
        gravity=Gravity.FAILURE,
        message=Phrase(N_("The file {file} is damaged: {reason}."), file=FILENAME, reason=reason),
        hint=Phrase(N_("Choose an earlier recovery point with --at.")),
    )
