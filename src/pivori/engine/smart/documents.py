"""The documents that travel with a backup below ``.pivori/``: their names, which do not change from run to run."""

import hashlib
import re
from typing import Final

from pivori.archives.manifest import FOLDER

_DIGITS: Final = 16
_NAME: Final = re.compile(r"\.pivori/(?:bundles|packages)/[0-9a-f]{16}\.(?:bundle|txt)")


def document_name(kind: bytes, path: bytes, ending: bytes) -> bytes:
    """The name of the document of one omitted path."""
    digest = hashlib.blake2b(path, digest_size=_DIGITS // 2).hexdigest().encode()
    return b"/".join((FOLDER, kind, digest + ending))


def is_document(word: str) -> bool:
    """Whether a word of a command stands for a document."""
    return _NAME.fullmatch(word) is not None
