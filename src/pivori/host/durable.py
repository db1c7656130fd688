"""Small files that have to be there, whole, after whatever happens."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put a file at ``path``, new or in place of another: the old content or the new one is there, never less.

    When it returns, it outlives a power cut. The folder has to be there. Raises OSError.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove a file, if it is there; when it returns, it stays removed. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(path)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make what was done to the names in a folder outlive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
