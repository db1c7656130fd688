"""Putting the rows of a dump into a database while it streams: in one stream, or in two that take different tables.

A table is loaded by one session of the server, which keeps one processor busy. Two streams read the dump twice, and
each passes over what the other one takes: that costs less than the second processor gives.
"""

import os
import selectors
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from pivori.components.postgres.archive import Archive, Entry
from pivori.components.postgres.dumping import failure_of, start_client
from pivori.components.postgres.facts import CapturedDatabase
from pivori.components.postgres.programs import Programs
from pivori.components.postgres.server import Access
from pivori.host.filter import Filter

_WORTH_IT: Final = 10
"""One part in so many of the rows has to be left for the second stream."""


def load_rows(
    programs: Programs,
    access: Access,
    archive: Archive,
    captured: CapturedDatabase,
    options: Sequence[str],
    again: Iterator[bytes] | None,
) -> None:
    """Load the rows of a dump, whose definitions are there already; ``again`` is the dump from its start, for a second
    stream.

    Raises ProgramFailed, CommandNotStarted, and what reading the dump raises.
    """
    apart = second_share(archive.entries, captured) if again is not None else []
    numbers = {entry.number for entry in apart}
    shares = [[entry for entry in archive.entries if entry.number not in numbers], *([apart] if apart else [])]
    contents = [archive.content(), again or iter(())]
    with ExitStack() as stack:
        running = []
        for number, share in enumerate(shares):
            chosen = archive.write_list(share, f"list-{number}")
            words = [*options, "--section=data", f"--use-list={chosen}"]
            running.append(stack.enter_context(start_client(programs, access, "pg_restore", words)))
        feed_all(list(zip(running, contents, strict=False)))


def second_share(entries: Iterable[Entry], captured: CapturedDatabase) -> list[Entry]:
    """The tables of a second stream, so that both have about as much to do; none when one table is nearly all."""
    texts = {f"TABLE DATA {table.schema} {table.name} {table.owner}": table for table, _rows in captured.tables}
    tables = [(captured.weight(texts[entry.text]), entry) for entry in entries if entry.text in texts]
    first = second = 0
    taken = []
    for weight, entry in sorted(tables, key=lambda pair: -pair[0]):
        if first <= second:
            first += weight
        else:
            second += weight
            taken.append(entry)
    return sorted(taken, key=lambda entry: entry.number) if second * _WORTH_IT > first + second else []


def feed_all(running: Sequence[tuple[Filter, Iterator[bytes]]]) -> None:
    """Give several programs their input at the same time, as fast as each takes it, and wait for their ends.

    One that needs no more may stop reading. Raises ProgramFailed for the first that ends badly.
    """
    with selectors.DefaultSelector() as selector:
        for process, content in running:
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE, _Feeding(process, content))
        while selector.get_map():
            for key, _events in selector.select():
                if not key.data.give(key.fd):
                    selector.unregister(key.fileobj)
                    key.data.end()


class _Feeding:
    """A program that is being given its input."""

    def __init__(self, process: Filter, content: Iterator[bytes]) -> None:
        self._process = process
        self._content = content
        self._rest = memoryview(b"")

    def give(self, descriptor: int) -> bool:
        """Write as much as it takes now; whether there is more to give."""
        if not self._rest:
            piece = next(self._content, None)
            if piece is None:
                return False
            self._rest = memoryview(piece)
        try:
            self._rest = self._rest[os.write(descriptor, self._rest) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return True

    def end(self) -> None:
        """Wait for its end. Raises ProgramFailed."""
        status, said = self._process.finish()
        if status:
            raise failure_of("pg_restore", status, said)
