"""The container formats: which writer and which reader belong to which, and which one a file is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pivori.archives.container import ArchiveFormat, NotAnArchive, OpenArchive, Opener, WriteArchive
from pivori.archives.seven_zip_reading import open_seven_zip
from pivori.archives.seven_zip_writing import write_seven_zip
from pivori.archives.zip_reading import open_zip
from pivori.archives.zip_writing import write_zip
from pivori.translation import N_

WRITERS: Final[Mapping[ArchiveFormat, WriteArchive]] = {
    ArchiveFormat.ZIP: write_zip,
    ArchiveFormat.SEVEN_ZIP: write_seven_zip,
}

_OPENERS: Final[tuple[tuple[bytes, Opener], ...]] = (
    (b"PK\x03\x04", open_zip),
    (b"PK\x05\x06", open_zip),
    (b"7z\xbc\xaf\x27\x1c", open_seven_zip),
)
"""How the files of a format begin, and who opens them."""

_LONGEST_BEGINNING: Final = 512


def open_container(path: Path, *, password: str | None = None) -> OpenArchive:
    """Open an archive, whatever it is called: its first bytes say what it is.

    Raises NotAnArchive, ArchiveDamaged, PasswordNeeded, WrongArchivePassword, and OSError when it cannot be read.
    """
    with path.open("rb") as file:
        beginning = file.read(_LONGEST_BEGINNING)
    for magic, opener in _OPENERS:
        if beginning.startswith(magic):
            return opener(path, password=password)
    raise NotAnArchive(archive=str(path), reason=N_("its first bytes are those of no known format"))
