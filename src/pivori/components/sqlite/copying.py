"""A copy of a living database, as of one moment between transactions; and what is in a copy."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from pivori.clock import Clock
from pivori.components.sqlite.errors import DatabaseBusy, DatabaseCorrupt, DatabaseUnreadable
from pivori.translation import N_, Phrase

PATIENCE: Final = 60.0
"""Seconds that a locked database is waited for."""
_PAGES: Final = 2048
_RESTARTS: Final = 3
"""How often writers may make a copy begin anew before they have to wait for it."""
_COUNT_SECONDS: Final = 10.0
_MOST_TABLES: Final = 500
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_WAL: Final = b"\2\2"
_SIDES: Final = ("-wal", "-shm", "-journal")

_T = TypeVar("_T")


def side_files(path: Path) -> list[Path]:
    """The files that SQLite may keep beside a database, whether they are there or not."""
    return [path.with_name(path.name + ending) for ending in _SIDES]


@contextmanager
def copies_folder(state: Path) -> Iterator[Path]:
    """An empty private folder for copies, which is removed at the end."""
    remove_copies(state)
    folder = state / "copies"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        # An interruption hits a clean-up once at most.
        try:
            remove_copies(state)
        finally:
            remove_copies(state)


def remove_copies(state: Path) -> bool:
    """Remove what a run that was killed has left: whether there was something."""
    folder = state / "copies"
    if not folder.is_dir():
        return False
    shutil.rmtree(folder)
    return True


def copy_database(path: Path, copy: Path, component: str, clock: Clock, patience: float = PATIENCE) -> None:
    """Copy a database to a new file that only this user may read. Nothing beside the database is made or changed.

    Raises DatabaseBusy, DatabaseUnreadable, DatabaseCorrupt.
    """
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        if _lost_its_program(path):
            _copy_abandoned(path, copy, clock, patience)
        elif not _copy_unused(path, copy, clock, patience):
            try:
                _copy_used(path, copy, clock, patience)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                    raise
                _copy_abandoned(path, copy, clock, patience)
    except sqlite3.Error as error:
        raise _failure(error, path, component, patience) from None
    except OSError as error:
        raise DatabaseUnreadable(component=component, path=path, reason=error.strerror or str(error)) from None


def _failure(error: sqlite3.Error, path: Path, component: str, patience: float) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return DatabaseBusy(component=component, path=path, seconds=round(patience))
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseCorrupt(component=component, path=path, reason=str(error))
    return DatabaseUnreadable(component=component, path=path, reason=str(error))


def _lost_its_program(path: Path) -> bool:
    """Whether there is a write-ahead log that nobody has open: SQLite would make a file beside it to read it."""
    log, shared, _journal = side_files(path)
    return log.exists() and not shared.exists()


def _copy_unused(path: Path, copy: Path, clock: Clock, patience: float) -> bool:
    """Copy a database in WAL mode that nobody has open: whether that was so, all the while.

    Opening it in any other way would make files beside it.
    """
    before = _look(path)
    if before is None:
        return False
    try:
        with closing(_open(path, "mode=ro&immutable=1", patience)) as source:
            _backup(source, copy, clock, patience)
    except sqlite3.Error:
        if _look(path) == before:
            raise
    return _look(path) == before


def _look(path: Path) -> tuple[int, ...] | None:
    """What changes when somebody writes; None when the database is not in WAL mode, or is in use."""
    with path.open("rb") as file:
        facts, head = os.fstat(file.fileno()), file.read(20)
    if head[18:20] != _WAL or any(os.path.lexists(side) for side in side_files(path)):
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _copy_used(path: Path, copy: Path, clock: Clock, patience: float) -> None:
    with closing(_open(path, "mode=ro", patience)) as source:
        is_wal = source.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        # In WAL mode a reader holds nobody up; otherwise a long read would, so it is tried in pieces first.
        if is_wal or not _backup(source, copy, clock, patience, restarts=_RESTARTS):
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _backup(source, copy, clock, patience)


def _copy_abandoned(path: Path, copy: Path, clock: Clock, patience: float) -> None:
    """Copy a database whose program died in the middle: SQLite mends a copy of its files, not the files themselves."""
    files = [path, *side_files(path)]
    raw = copy.with_name("abandoned.db")
    sides = dict(zip(files, [raw, *side_files(raw)], strict=True))
    before = [_state(file) for file in files]
    try:
        for file, place in sides.items():
            if not file.name.endswith("-shm"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(file, place)
                    place.chmod(0o600)
        if before != [_state(file) for file in files]:
            raise OSError(0, N_("somebody began to use it while it was copied"))
        with closing(_open(raw, "mode=rw", patience)) as source:
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _backup(source, copy, clock, patience)
    finally:
        for place in sides.values():
            place.unlink(missing_ok=True)


def _state(path: Path) -> tuple[int, ...]:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return ()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


class _StopCopy(Exception):
    """Ends a copy from within."""


def _backup(source: sqlite3.Connection, copy: Path, clock: Clock, patience: float, restarts: int = 0) -> bool:
    """Copy with SQLite's own online backup: False when writers made it begin anew more often than that.

    Raises sqlite3.Error.
    """
    least, again, moved = -1, 0, clock.monotonic()
    stop = threading.Event()

    def progress(status: int, remaining: int, _total: int) -> None:
        nonlocal least, again, moved
        if stop.is_set():
            raise _StopCopy
        if status in _BUSY:
            if clock.monotonic() - moved > patience:
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = status
                raise error
            return
        moved = clock.monotonic()
        if 0 <= least < remaining:
            again += 1
            if restarts and again > restarts:
                raise _StopCopy
        least = remaining

    with closing(_open(copy, "mode=rw", patience)) as target:
        target.execute("PRAGMA synchronous=OFF")
        target.execute("PRAGMA journal_mode=OFF")
        try:
            _apart(lambda: source.backup(target, pages=_PAGES, progress=progress, sleep=0.05), stop.set)
        except _StopCopy:
            return False
    return True


def _open(path: Path, how: str, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{how}",
        uri=True,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _apart(work: Callable[[], _T], stop: Callable[[], object]) -> _T:
    """Do something long in a thread of its own, so that an interruption is heard at once: then it is stopped."""
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.5)
    finally:
        if thread.is_alive():
            stop()
            thread.join()
    if failed:
        raise failed[0]
    return done[0]


def check_copy(copy: Path, path: Path, component: str) -> int:
    """Check a copy of the database ``path``: how many rows miss what they refer to. Raises DatabaseCorrupt."""
    with closing(_open(copy, "mode=ro&immutable=1", PATIENCE)) as connection:
        connection.execute("PRAGMA cell_size_check=ON")
        try:
            said = _apart(lambda: connection.execute("PRAGMA integrity_check(5)").fetchall(), connection.interrupt)
        except sqlite3.Error as error:
            raise DatabaseCorrupt(component=component, path=path, reason=str(error)) from None
        if said != [("ok",)]:
            raise DatabaseCorrupt(component=component, path=path, reason=str(said[0][0]).replace("\n", " ")[:300])
        try:
            return _apart(
                lambda: sum(1 for _row in connection.execute("PRAGMA foreign_key_check")), connection.interrupt
            )
        except sqlite3.Error:
            # A schema that refers to what is not there: no damage, and nothing that can be counted.
            return 0


def count_rows(copy: Path, clock: Clock) -> Mapping[str, int]:
    """The rows of each table; of those that could be counted in some seconds."""
    counts: dict[str, int] = {}
    until = clock.monotonic() + _COUNT_SECONDS
    with closing(_open(copy, "mode=ro&immutable=1", PATIENCE)) as connection:
        connection.set_progress_handler(lambda: clock.monotonic() > until, 100_000)
        with suppress(sqlite3.Error):
            for table in _tables(connection):
                quoted = table.replace('"', '""')
                counts[table] = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608 - the name is quoted
    return counts


def _tables(connection: sqlite3.Connection) -> list[str]:
    """The ordinary tables: a virtual one is what its module makes of it."""
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND rootpage > 0 ORDER BY name LIMIT ?",
        (_MOST_TABLES,),
    )
    return [name for (name,) in rows.fetchall()]


def dangling_rows(path: Path, count: int) -> Phrase:
    """The warning about rows that miss what they refer to."""
    return Phrase(N_("{path}: rows that refer to rows that are not there: {count}"), path=str(path), count=count)
