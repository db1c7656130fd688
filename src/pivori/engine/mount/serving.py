"""Answers the kernel, through libfuse and mfusepy.

libfuse waits in C until the folder is unmounted or a signal ends it, so its own handlers have to be there: Python's
would never run. The operations are called from threads of libfuse; whatever goes wrong in one is an error of that
operation alone.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, current_thread, main_thread
from types import ModuleType
from typing import Any, Final, TypeVar

from pivori.engine.mount.view import Item, OpenFile, SnapshotView
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.repository import LoadedSnapshot, Repository
from pivori.translation import N_

_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST_THREADS: Final = 8
_VERSION_WITH_MOST_THREADS: Final = (3, 12)
_MOST_REPORTED: Final = 1000
_NO_ATTRIBUTE: Final = getattr(errno, "ENOATTR", errno.ENODATA)

Answer = TypeVar("Answer")


class FuseMissing(PivoriError):
    """The Python package for mounting is not installed."""

    code = "fuse-missing"
    message = N_("Mounting needs the Python package mfusepy, which is not installed.")
    hint = N_("Install it with `pip install mfusepy`.")


class FuseLibraryMissing(PivoriError):
    """The system's library for mounting is missing or too old."""

    code = "fuse-library-missing"
    message = N_("Mounting needs the system's libfuse, which cannot be used: {reason}.")
    hint = N_("Install it (the package is called fuse3, on macOS macFUSE).")


class NoMountPoint(PivoriError):
    """There is no folder to mount on."""

    code = "no-mount-point"
    message = N_("{path} is not a folder that can be mounted on: {reason}.")
    hint = N_("Make an empty folder, and mount there.")


class MountFailed(PivoriError):
    """libfuse did not mount; it has said why on standard error."""

    code = "mount-failed"
    message = N_("Mounting on {path} failed (libfuse gives {status}).")
    hint = N_("Read what libfuse says above; /dev/fuse and fusermount3 have to be there and usable.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mounted(Event):
    """The folder can be used."""

    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class NotReadable(Event):
    """Something in the mounted folder cannot be read. ``path`` is seen from there."""

    path: bytes
    error: PivoriError


def mount(
    repository: Repository,
    snapshots: Iterable[LoadedSnapshot],
    mount_point: Path,
    *,
    emit: Callable[[Event], None],
    allow_other: bool = False,
) -> None:
    """Mount, and return when the folder is unmounted (``fusermount3 -u``) or a signal asks for it.

    ``emit`` hears :class:`Mounted` once and :class:`NotReadable` for every path that is damaged, from other threads.
    With ``allow_other``, other users may look too, as far as the modes of the files let them. Raises NoMountPoint,
    FuseMissing, FuseLibraryMissing, MountFailed.
    """
    _check_mount_point(mount_point)
    library = _load_library()
    view = SnapshotView(repository, snapshots, owner=(os.getuid(), os.getgid()))
    operations = _Operations(view, mount_point, emit)
    options: dict[str, Any] = {"allow_other": True, "default_permissions": True} if allow_other else {}
    if (library.fuse_version_major, library.fuse_version_minor) >= _VERSION_WITH_MOST_THREADS:
        # Left to themselves, these versions complain of their own defaults.
        options |= {"max_threads": _MOST_THREADS, "max_idle_threads": _MOST_THREADS}
    with _signals_of_libfuse():
        try:
            library.FUSE(operations, str(mount_point), foreground=True, ro=True, fsname="pivori", **options)
        except RuntimeError as error:
            # A signal makes some versions of libfuse return an error, after all has gone well.
            if not operations.was_mounted:
                raise MountFailed(path=mount_point, status=str(error)) from None


def _check_mount_point(path: Path) -> None:
    try:
        is_directory = path.is_dir()
    except OSError as error:
        raise NoMountPoint(path=path, reason=error.strerror or str(error)) from None
    if not is_directory:
        raise NoMountPoint(path=path, reason=os.strerror(errno.ENOTDIR if path.exists() else errno.ENOENT))


def _load_library() -> ModuleType:
    try:
        import mfusepy  # loads libfuse, which may be missing
    except ImportError:
        raise FuseMissing() from None
    except (OSError, AttributeError) as error:
        raise FuseLibraryMissing(reason=str(error).rstrip(".")) from None
    library: ModuleType = mfusepy
    return library


@contextmanager
def _signals_of_libfuse() -> Iterator[None]:
    """libfuse handles the signals that nobody else handles."""
    if current_thread() is not main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in _ENDING_SIGNALS}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


class _Operations:
    """What mfusepy calls; its names are mfusepy's. Paths are text with surrogates for what is not UTF-8."""

    use_ns = True

    def __init__(self, view: SnapshotView, mount_point: Path, emit: Callable[[Event], None]) -> None:
        self._view = view
        self._mount_point = mount_point
        self._emit = emit
        self._lock = Lock()
        self._open: dict[int, OpenFile] = {}
        self._next_handle = 1
        self._reported: set[bytes] = set()
        self.was_mounted = False

    def init(self, _path: str) -> None:
        """The kernel has mounted the folder and asks for the first time."""
        self.was_mounted = True
        self._emit(Mounted(path=self._mount_point))

    def getattr(self, path: str, _handle: int | None = None) -> dict[str, int]:
        """``stat``."""
        return self._answer(path, self._view.status)

    def readdir(self, path: str, _handle: int) -> Sequence[tuple[str, int, int]]:
        """The names in a directory, with their types."""
        entries = self._answer(path, self._view.entries)
        names = [(os.fsdecode(name), self._view.status(item)["st_mode"], 0) for name, item in entries.items()]
        return [(".", 0, 0), ("..", 0, 0), *names]

    def readlink(self, path: str) -> str:
        """Where a link points to."""
        return os.fsdecode(self._answer(path, self._view.link))

    def listxattr(self, path: str) -> list[str]:
        """The names of the extended attributes."""
        return list(map(os.fsdecode, self._answer(path, self._view.attributes)))

    def getxattr(self, path: str, name: str, _position: int = 0) -> bytes:
        """The value of an extended attribute."""
        value = self._answer(path, self._view.attributes).get(os.fsencode(name))
        if value is None:
            raise OSError(_NO_ATTRIBUTE, os.strerror(_NO_ATTRIBUTE))
        return value

    def open(self, path: str, _flags: int) -> int:
        """Open a file; the kernel has refused to open it for writing."""
        file = self._answer(path, self._view.open)
        with self._lock:
            handle, self._next_handle = self._next_handle, self._next_handle + 1
            self._open[handle] = file
        return handle

    def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
        """Read from an open file."""
        file = self._open[handle]
        return self._guarded(path, lambda: self._view.read(file, offset, size))

    def release(self, _path: str, handle: int) -> int:
        """The last user of an open file has closed it."""
        with self._lock:
            self._open.pop(handle, None)
        return 0

    def statfs(self, _path: str) -> dict[str, int]:
        """The longest name; a snapshot has no room left, and none is needed."""
        return {"f_bsize": 4096, "f_frsize": 4096, "f_namemax": 255}

    def _answer(self, path: str, ask: Callable[[Item], Answer]) -> Answer:
        return self._guarded(path, lambda: ask(self._view.find(os.fsencode(path))))

    def _guarded(self, path: str, work: Callable[[], Answer]) -> Answer:
        """Errors as the kernel knows them; what is damaged is told once."""
        try:
            return work()
        except PivoriError as error:
            self._report(os.fsencode(path), error)
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from None
        except FileNotFoundError:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
        except NotADirectoryError:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        except IsADirectoryError:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR)) from None

    def _report(self, path: bytes, error: PivoriError) -> None:
        with self._lock:
            if path in self._reported or len(self._reported) >= _MOST_REPORTED:
                return
            self._reported.add(path)
        self._emit(NotReadable(path=path, error=error))
