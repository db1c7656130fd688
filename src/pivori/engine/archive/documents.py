"""The documents that travel in an archive beside the files it keeps, such as what a rebuild needs."""

from collections.abc import Collection
from typing import Final

from pivori.archives.members import is_document
from pivori.engine.archive.opening import Opened
from pivori.entries import EntryKind

_LARGEST: Final = 256 << 20


def read_documents(opened: Opened, names: Collection[bytes]) -> dict[bytes, bytes]:
    """The content of those of the named documents that are there. Raises ArchiveDamaged."""
    return {
        name: opened.container.read(opened.members[name], _LARGEST)
        for name in names
        if is_document(name) and name in opened.members and opened.members[name].kind is EntryKind.FILE
    }
