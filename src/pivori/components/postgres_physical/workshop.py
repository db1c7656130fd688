"""The folder in which a cluster is brought back before it goes to its place: the server's user has to get there."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pivori.components.postgres_physical.account import Account
from pivori.host.durable import sync_folder, write_durably

_NOTE: Final = "workshop"
_PREFIX: Final = "pivori-recovering-"


def top_for(place: Path, account: Account) -> Path:
    """Where the folder is made for a data directory that goes to ``place``.

    Beside it; where the server's user may not go there, above the folder that keeps it out.
    """
    closed = account.closed_folder(place)
    if closed is None:
        return place.parent
    return closed.parent if closed.parent != closed.parent.parent else Path(tempfile.gettempdir())


@contextlib.contextmanager
def workshop(top: Path, account: Account, state: Path) -> Iterator[Path]:
    """A new folder of the server's user, gone at the end; ``state`` remembers it for :func:`clear_up`."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=top))
    note = state / _NOTE
    try:
        write_durably(note, os.fsencode(folder))
        account.own(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        note.unlink(missing_ok=True)


def clear_up(state: Path) -> Path | None:
    """Remove the folder that a run which was killed has left: which one it was."""
    note = state / _NOTE
    try:
        folder = Path(os.fsdecode(note.read_bytes()))
    except FileNotFoundError:
        return None
    is_left = folder.name.startswith(_PREFIX) and folder.is_dir()
    if is_left:
        shutil.rmtree(folder, ignore_errors=True)
    note.unlink(missing_ok=True)
    return folder if is_left else None


def move(data: Path, place: Path, account: Account) -> None:
    """Give a data directory its place, on another file system too. Raises OSError."""
    try:
        data.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        sync_folder(place.parent)
        return
    copy = place.with_name(f"{place.name}.{_PREFIX}copy")
    shutil.rmtree(copy, ignore_errors=True)
    try:
        shutil.copytree(data, copy, symlinks=True)
        for folder, _folders, files in os.walk(copy):
            account.own(Path(folder))
            for name in files:
                path = Path(folder, name)
                account.own(path)
                _make_durable(path)
        copy.rename(place)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    sync_folder(place.parent)


def _make_durable(path: Path) -> None:
    """Have the system write it to the disk now."""
    if path.is_symlink():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
