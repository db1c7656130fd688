"""Where an archive is written: a file that can be mended, or a pipe."""

import fcntl
import io
import os
from typing import BinaryIO


class Output:
    """Counts what is written. Positions are counted from where the output was when it was taken over."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.position = 0
        self.can_go_back = _can_go_back(out)
        self._base = out.tell() if self.can_go_back else 0

    def write(self, content: bytes | bytearray | memoryview) -> None:
        """Write all of it."""
        view = memoryview(content)
        while view:
            # An unbuffered file may take less than it is given.
            written = self._out.write(view)
            self.position += written
            view = view[written:]

    def write_at(self, position: int, content: bytes) -> None:
        """Write over what was written earlier."""
        here = self.position
        self._out.seek(self._base + position)
        self.write(content)
        self._out.seek(self._base + here)
        self.position = here

    def go_back(self, position: int) -> None:
        """Forget everything that was written from a position on."""
        self._out.seek(self._base + position)
        self._out.truncate()
        self.position = position


def _can_go_back(out: BinaryIO) -> bool:
    if not out.seekable():
        return False
    try:
        flags = fcntl.fcntl(out.fileno(), fcntl.F_GETFL)
    except (OSError, io.UnsupportedOperation):
        return True  # not a file of the system: memory
    return not flags & os.O_APPEND
