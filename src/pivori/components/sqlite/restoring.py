"""A database, from a capture to its place."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pivori.clock import SystemClock
from pivori.components.base import RestoreRequest, Source
from pivori.components.private_file import PrivateFile, partial_name
from pivori.components.sqlite.copying import check_copy, count_rows, side_files
from pivori.components.sqlite.errors import DatabaseDiffers, DatabaseUnreadable
from pivori.components.sqlite.facts import Database
from pivori.translation import N_, Phrase

_PIECE: Final = 1 << 20


def check_stored(source: Source, database: Database) -> None:
    """Compare a stored database with what was captured. Raises DatabaseDiffers, NotCaptured."""
    digest = hashlib.sha256()
    for piece in source.pieces(database.stored):
        digest.update(piece)
    if digest.hexdigest() != database.sha256:
        raise DatabaseDiffers(path=database.path)


def is_back(database: Database, target: Path) -> bool:
    """Whether a place has the database as it was captured, with nothing beside it that would change it."""
    if target.is_symlink() or any(os.path.lexists(side) for side in side_files(target)):
        return False
    try:
        if target.stat().st_size != database.size:
            return False
        with target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == database.sha256
    except OSError:
        return False


def bring_back(
    source: Source, database: Database, target: Path, request: RestoreRequest, component: str
) -> list[Phrase]:
    """Write a database beside its place, check it, move aside what is there, and put it in its place.

    What is left to do comes back as sentences. Raises DatabaseDiffers, DatabaseCorrupt, DatabaseUnreadable,
    NotCaptured.
    """
    try:
        with PrivateFile(target) as file:
            digest = hashlib.sha256()
            for piece in source.pieces(database.stored):
                file.write(piece)
                digest.update(piece)
            if digest.hexdigest() != database.sha256:
                raise DatabaseDiffers(path=database.path)
            _check(partial_name(target), database, component)
            remaining = _dress(file.descriptor, database, target)
            was_there = os.path.lexists(target)
            for old in (target, *side_files(target)):
                if os.path.lexists(old):
                    request.aside(old)
            file.put()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatabaseUnreadable(component=component, path=target, reason=reason) from None
    if was_there:
        text = N_("Programs that had {path} open have to be started again.")
        remaining.append(Phrase(text, path=str(target)))
    return remaining


def _check(written: Path, database: Database, component: str) -> None:
    check_copy(written, Path(database.path), component)
    found = count_rows(written, SystemClock())
    if any(found.get(table, rows) != rows for table, rows in database.tables.items()):
        raise DatabaseDiffers(path=database.path)


def _dress(descriptor: int, database: Database, target: Path) -> list[Phrase]:
    """Give a file its owner and permissions; what could not be given is said."""
    facts = os.fstat(descriptor)
    uid, gid = database.owner()
    mode = database.mode
    remaining = []
    if (facts.st_uid, facts.st_gid) != (uid, gid):
        with suppress(PermissionError):
            os.fchown(descriptor, uid, gid)
        facts = os.fstat(descriptor)
        if (facts.st_uid, facts.st_gid) != (uid, gid):
            text = N_("{path} belonged to {owner}: give it to whoever uses it.")
            owner = f"{database.user or database.uid}:{database.group or database.gid}"
            remaining.append(Phrase(text, path=str(target), owner=owner))
    os.fchmod(descriptor, mode)
    return remaining
