"""The ``.sha256`` beside an archive, in the form that ``sha256sum -c`` reads.

A line is the digest, a space, a space or ``*``, and the file's name. A name with a backslash or a line break is
written with escapes, and its line begins with a backslash, as GNU coreutils do it.
"""

import hashlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pivori.errors import PivoriError
from pivori.translation import N_

SUFFIX: Final = ".sha256"
_LARGEST: Final = 1 << 20
_PART: Final = 4 << 20
_LINE: Final = re.compile(rb"(\\?)([0-9a-fA-F]{64}) [ *](.+)")


class ChecksumFileDamaged(PivoriError):
    """The checksum file beside an archive holds no checksum of it."""

    code = "checksum-file-damaged"
    message = N_("The checksum file {path} cannot be used: {reason}.")
    hint = N_("It should hold what `sha256sum` prints; remove it if it belongs to something else.")


class ChecksumWrong(PivoriError):
    """An archive is not the file its checksum was made of."""

    code = "checksum-wrong"
    message = N_("{archive} is not what it was: its SHA-256 is not the one in {path}.")
    hint = N_("It was damaged or changed after it was made; take another copy of it, or an older archive.")


def checksum_line(name: str, digest: str) -> bytes:
    """The content of the checksum file of an archive with this name."""
    raw = os.fsencode(name)
    escaped = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"%b%b  %b\n" % (b"\\" if escaped != raw else b"", digest.encode(), escaped)


def checksum_path(archive: Path) -> Path:
    """Where the checksum of an archive belongs."""
    return archive.with_name(archive.name + SUFFIX)


def find_checksum(archive: Path) -> Path | None:
    """The checksum file of an archive, also one named without the archive's ending; None when there is none."""
    for candidate in (checksum_path(archive), archive.with_suffix(SUFFIX)):
        if candidate.is_file():
            return candidate
    return None


def read_checksum(path: Path, archive: Path) -> str:
    """The digest that a checksum file has for an archive. Raises ChecksumFileDamaged, OSError.

    A line counts when its name ends with the archive's, with whatever folders before; a single line always does, as
    a file that was renamed together with its archive has the old name in it.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST)
    found = [match for line in content.splitlines() if (match := _LINE.fullmatch(line.strip(b"\r")))]
    named = [match for match in found if os.path.basename(_unescaped(match)) == os.fsencode(archive.name)]  # noqa: PTH119 - names are bytes here
    chosen = named or (found if len(found) == 1 else [])
    if not chosen:
        raise ChecksumFileDamaged(path=str(path), reason=N_("it holds no checksum of this archive"))
    return chosen[-1][2].decode().lower()


def _unescaped(match: re.Match[bytes]) -> bytes:
    name = match[3]
    if not match[1]:
        return name
    return re.sub(rb"\\([\\nr])", lambda each: {b"n": b"\n", b"r": b"\r", b"\\": b"\\"}[each[1]], name)


def file_digest(path: Path, progress: Callable[[int], None] = lambda _size: None) -> str:
    """The SHA-256 of a file; ``progress`` hears how many bytes were read with each part. Raises OSError."""
    digest = hashlib.sha256()
    buffer = bytearray(_PART)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(view[:size])
            progress(size)
    return digest.hexdigest()


class BackgroundDigest:
    """The SHA-256 of a file, taken beside other work: hashing leaves the interpreter to others."""

    def __init__(self, path: Path) -> None:
        """Begin to read the file."""
        self._result: str | OSError = ""
        self._thread = threading.Thread(target=self._run, args=(path,), daemon=True)
        self._thread.start()

    def _run(self, path: Path) -> None:
        try:
            self._result = file_digest(path)
        except OSError as error:
            self._result = error

    def result(self) -> str:
        """The digest. Raises OSError."""
        self._thread.join()
        if isinstance(self._result, OSError):
            raise self._result
        return self._result
