"""A repository in a folder of this machine, laid out as restic does.

    config   keys/<name>   locks/<name>   snapshots/<name>   index/<name>   data/<first two digits>/<name>   tmp/

An object is written to a file in ``tmp``, made durable, then renamed: under its final name it is whole or not there.
Renaming is made durable by flushing the folder, at once for small objects, in one go at ``sync`` for packs. The
flushing of packs goes on in a background thread while the caller prepares the next one; their bytes are with the
system by then, so no buffer is held.

The layout is from restic's ``doc/design.rst`` ("Repository Layout"); restic ignores ``tmp``.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from pivori.clock import Clock, SystemClock
from pivori.storage import local_files
from pivori.storage.background import Background
from pivori.storage.base import (
    CONFIG_NAME,
    AlreadyExists,
    FolderMissing,
    Item,
    Kind,
    NotFound,
    StorageError,
    check_name,
    is_object_name,
    object_label,
)
from pivori.storage.system_errors import reported

_OUTSTANDING_PACKS = 2
_TEMPORARY_FOLDER = "tmp"
_FOLDERS = (*(kind.value for kind in Kind if kind is not Kind.CONFIG), _TEMPORARY_FOLDER)
_HEXADECIMAL = frozenset("0123456789abcdef")


class LocalStorage:
    """Objects as files in a folder. Folders and files are private to the user; existing modes are left alone."""

    shareable: bool = True

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """``path`` need not exist. ``clock`` tells the age of forgotten temporary files."""
        self._path = path.absolute()
        self._clock = clock or SystemClock()
        self._temporary = self._path / _TEMPORARY_FOLDER
        self._background = Background(_OUTSTANDING_PACKS)
        self._lock = Lock()
        self._unflushed: set[Path] = set()
        self._unfinished: set[local_files.Unfinished] = set()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._path, self._clock)

    @property
    def path(self) -> Path:
        """The repository's folder, absolute."""
        return self._path

    @property
    def location(self) -> str:
        """The repository's folder, absolute."""
        return str(self._path)

    def create(self) -> None:
        """Make the folders, private to the user; see :meth:`Storage.create`."""
        with reported(self.location, "create", CONFIG_NAME):
            if os.path.lexists(self._path / CONFIG_NAME):
                raise AlreadyExists(location=self.location, operation="create", name=CONFIG_NAME)
            for folder in _FOLDERS:
                local_files.make_folders(self._path / folder)

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read an object or a part of it; see :meth:`Storage.get`."""
        file = self._settled_file("read", kind, name)
        with reported(self.location, "read", object_label(kind, name)):
            return local_files.read_range(file, offset, length)

    def size(self, kind: Kind, name: str) -> int:
        """The size of an object in bytes; see :meth:`Storage.size`."""
        file = self._settled_file("read", kind, name)
        with reported(self.location, "read", object_label(kind, name)):
            return file.lstat().st_size

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write a new object; see :meth:`Storage.put`."""
        if kind is not Kind.LOCK:
            self._background.raise_failure()
        file = self._settled_file("write", kind, name)
        views = local_files.byte_views(parts)
        with reported(self.location, "write", object_label(kind, name)):
            if self._is_there(kind, file, sum(view.nbytes for view in views)):
                self._flush_name(kind, file.parent)
                return
        unfinished = local_files.Unfinished(self._temporary)
        with self._lock:
            self._unfinished.add(unfinished)
        try:
            with reported(self.location, "write", object_label(kind, name)):
                self._write_temporary(unfinished, views)
            if kind is Kind.PACK:
                self._background.start(name, lambda: self._finish_claimed(kind, name, unfinished, file))
            else:
                self._finish(kind, name, unfinished, file)
        except BaseException:
            self._give_up(kind, unfinished)
            raise

    def _is_there(self, kind: Kind, file: Path, size: int) -> bool:
        """Whether there is nothing to put; raises AlreadyExists for a ``config`` that is there."""
        try:
            status = file.lstat()
        except FileNotFoundError:
            return False
        if kind is Kind.CONFIG:
            raise AlreadyExists(location=self.location, operation="write", name=CONFIG_NAME)
        return status.st_size == size

    def _write_temporary(self, unfinished: local_files.Unfinished, views: Sequence[memoryview]) -> None:
        """Make the temporary file, with this content; it is open and not yet durable."""
        try:
            unfinished.open()
        except FileNotFoundError:
            self._make_folder(self._temporary)
            unfinished.open()
        unfinished.write(views)

    def _finish_claimed(self, kind: Kind, name: str, unfinished: local_files.Unfinished, file: Path) -> None:
        """Finish in the background what was not given up after all."""
        if not unfinished.claim():
            return
        try:
            self._finish(kind, name, unfinished, file)
        except BaseException:
            unfinished.discard()
            self._forget(unfinished)
            raise

    def _finish(self, kind: Kind, name: str, unfinished: local_files.Unfinished, file: Path) -> None:
        """Make a temporary file durable and give it its name."""
        with reported(self.location, "write", object_label(kind, name)):
            unfinished.settle()
            self._publish(kind, unfinished.path, file)
            self._forget(unfinished)
            self._flush_name(kind, file.parent)

    def _give_up(self, kind: Kind, unfinished: local_files.Unfinished) -> None:
        """Leave nothing of a file, unless the background is at work on it: that finishes it."""
        if kind is not Kind.PACK or unfinished.claim():
            unfinished.discard()
            self._forget(unfinished)

    def _forget(self, unfinished: local_files.Unfinished) -> None:
        with self._lock:
            self._unfinished.discard(unfinished)

    def _publish(self, kind: Kind, temporary: Path, file: Path) -> None:
        if kind is Kind.CONFIG:
            local_files.publish_once(temporary, file)
            return
        try:
            temporary.rename(file)
        except FileNotFoundError:
            self._make_folder(file.parent)
            temporary.rename(file)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder an existing repository lacks; raises NotFound where there is no repository.

        Without that look, a backup would fill the mount point of a disk that is not plugged in.
        """
        top = self._path / folder.relative_to(self._path).parts[0]
        if not top.is_dir() and not os.path.lexists(self._path / CONFIG_NAME):
            raise NotFound(location=self.location, operation="write", name=CONFIG_NAME)
        local_files.make_folders(top)
        if folder != top:
            with suppress(FileExistsError):
                folder.mkdir(mode=local_files.FOLDER_MODE)
            self._remember(top)

    def _flush_name(self, kind: Kind, folder: Path) -> None:
        """Make the names in ``folder`` durable: those of packs at the next sync, others now."""
        if kind is Kind.PACK:
            self._remember(folder)
        else:
            local_files.flush_folder(folder)

    def _remember(self, folder: Path) -> None:
        with self._lock:
            self._unflushed.add(folder)

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object; see :meth:`Storage.delete`. Durable with the next sync."""
        file = self._settled_file("delete", kind, name)
        with reported(self.location, "delete", object_label(kind, name)):
            file.unlink()
        self._remember(file.parent)

    def list(self, kind: Kind) -> Iterator[Item]:
        """Every object of a kind; see :meth:`Storage.list`. Only regular files count."""
        self._background.wait_all()
        with reported(self.location, "list", kind.value):
            if not self._path.is_dir():
                raise NotFound(location=self.location, operation="list", name=CONFIG_NAME)
            self._demand_folder(kind)
            folders = list(self._folders(kind))
        for folder in folders:
            with reported(self.location, "list", kind.value):
                items = [item for item in _items(folder) if is_object_name(kind, item.name)]
            yield from items if kind is not Kind.PACK else (item for item in items if item.name[:2] == folder.name)

    def _demand_folder(self, kind: Kind) -> None:
        """Tell a folder that is gone from an empty one: what it held would otherwise count as removed on purpose."""
        is_needed = kind in (Kind.SNAPSHOT, Kind.INDEX, Kind.KEY)
        if is_needed and not (self._path / kind.value).is_dir() and (self._path / CONFIG_NAME).exists():
            raise FolderMissing(location=self.location, operation="list", name=kind.value)

    def _folders(self, kind: Kind) -> Iterator[Path]:
        """The folders that may hold objects of a kind."""
        if kind is not Kind.PACK:
            yield self._path if kind is Kind.CONFIG else self._path / kind.value
            return
        with suppress(FileNotFoundError), os.scandir(self._path / kind.value) as entries:
            for entry in entries:
                if len(entry.name) == 2 and _HEXADECIMAL.issuperset(entry.name) and entry.is_dir():
                    yield Path(entry.path)

    def sync(self) -> None:
        """Wait for outstanding packs and flush the folders that changed; see :meth:`Storage.sync`."""
        self._background.wait_all()
        self._background.raise_failure()
        with self._lock:
            folders, self._unflushed = self._unflushed, set()
        try:
            for folder in sorted(folders, reverse=True):
                with reported(self.location, "sync", folder.name):
                    local_files.flush_folder(folder)
        except StorageError as error:
            # The system reports a failed flush once; asked again, it may say yes to what is lost.
            self._background.keep(error)
            self._background.raise_failure()
        except BaseException:
            with self._lock:
                self._unflushed |= folders
            raise

    def close(self) -> None:
        """Finish outstanding packs and end the thread; see :meth:`Storage.close`.

        Files whose writing was interrupted, twice perhaps, go as well.
        """
        try:
            self._background.close()
        finally:
            for unfinished in list(self._unfinished):
                unfinished.discard()
                self._forget(unfinished)

    def remove_leftovers(self) -> int:
        """Remove temporary files nobody finishes, and say how many.

        They are those of dead processes of this machine and those older than a day. Raises AccessDenied and
        StorageError; a repository without such files, or none at all, gives 0.
        """
        now = self._clock.now_ns()
        removed = 0
        with reported(self.location, "delete", _TEMPORARY_FOLDER):
            for file in _files(self._temporary):
                with suppress(FileNotFoundError):
                    if local_files.is_leftover(file, now):
                        file.unlink()
                        removed += 1
        return removed

    def _settled_file(self, operation: str, kind: Kind, name: str) -> Path:
        """The file of an object, after a pack of that name still on its way has arrived."""
        check_name(self.location, operation, kind, name)
        if kind is Kind.PACK:
            self._background.wait(name)
            return self._path / kind.value / name[:2] / name
        return self._path / name if kind is Kind.CONFIG else self._path / kind.value / name


def _items(folder: Path) -> Iterator[Item]:
    """The regular files of a folder with their sizes; nothing when the folder is not there."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    yield Item(entry.name, entry.stat(follow_symlinks=False).st_size)


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / item.name for item in _items(folder))
