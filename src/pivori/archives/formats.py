"""The container formats: which writer and which reader belong to which, and which one a file is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pivori.archives.container import ArchiveDamaged, ArchiveFormat, NotAnArchive, OpenArchive, Opener, WriteArchive
from pivori.archives.seven_zip_reading import open_seven_zip
from pivori.archives.seven_zip_writing import write_seven_zip
from pivori.archives.tar_reading import open_tar
from pivori.archives.tar_writing import write_tar
from pivori.archives.zip_reading import open_zip
from pivori.archives.zip_writing import write_zip
from pivori.translation import N_

WRITERS: Final[Mapping[ArchiveFormat, WriteArchive]] = {
    ArchiveFormat.ZIP: write_zip,
    ArchiveFormat.SEVEN_ZIP: write_seven_zip,
    ArchiveFormat.TAR_ZST: write_tar,
}

_OPENERS: Final[tuple[tuple[int, bytes, Opener], ...]] = (
    (0, b"PK\x03\x04", open_zip),
    (0, b"PK\x05\x06", open_zip),
    (0, b"7z\xbc\xaf\x27\x1c", open_seven_zip),
    (0, b"\x28\xb5\x2f\xfd", open_tar),
    (0, b"\x1f\x8b", open_tar),
    (0, b"\xfd7zXZ\0", open_tar),
    (0, b"BZh", open_tar),
    (257, b"ustar", open_tar),
)
"""What the files of a format have at which position, and who opens them."""

_LONGEST_BEGINNING: Final = 512


def open_container(path: Path, *, password: str | None = None) -> OpenArchive:
    """Open an archive, whatever it is called: its first bytes say what it is.

    Raises NotAnArchive, ArchiveDamaged, PasswordNeeded, WrongArchivePassword, and OSError when it cannot be read.
    """
    with path.open("rb") as file:
        beginning = file.read(_LONGEST_BEGINNING)
    for position, magic, opener in _OPENERS:
        if beginning.startswith(magic, position):
            try:
                return opener(path, password=password)
            except NotAnArchive as error:
                # It began as one: what is missing was there.
                raise ArchiveDamaged(**error.details) from None
    try:
        return open_zip(path, password=password)  # a zip may have a program before it
    except NotAnArchive:
        reason = N_("its first bytes are those of no known format") if beginning else N_("it is empty")
        raise NotAnArchive(archive=str(path), reason=reason) from None
