"""A file that nobody but its owner can read at any moment, and that gets its name when it is whole."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pivori.host.durable import sync_folder

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def partial_name(place: Path) -> Path:
    """Where a file is while it is being written: in its folder, under a name that only depends on the place.

    So what a run has left that was killed is found again. The name looks like those of a restore (``host.partial``).
    """
    digest = hashlib.sha256(os.fsencode(place.name)).hexdigest()
    return place.with_name(f".pivori-{digest[:32]}.partial")


class PrivateFile:
    """A new file for ``place``, mode 0600, in missing folders of mode 0700. A context manager: what has not been
    :meth:`put` in its place when the context ends is removed.

    Every method raises OSError.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._partial = partial_name(place)
        self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """The open file, to give it an owner, times and permissions."""
        return self._descriptor

    def write(self, content: bytes) -> None:
        """Append to it."""
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def put(self, aside: Callable[[Path], object] | None = None) -> None:
        """Give the file its name, durably. What has the name is handed to ``aside`` before, or replaced without."""
        os.fsync(self._descriptor)
        if aside is not None and os.path.lexists(self._place):
            aside(self._place)
        self._partial.replace(self._place)
        sync_folder(self._place.parent)

    def __enter__(self) -> Self:
        missing = [folder for folder in self._place.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        try:
            with suppress(FileNotFoundError):
                self._partial.unlink()
            self._descriptor = os.open(self._partial, _NEW, 0o600)
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An interruption hits a clean-up once at most.
        try:
            self._discard()
        finally:
            self._discard()

    def _discard(self) -> None:
        with suppress(FileNotFoundError):
            self._partial.unlink()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
