"""Checks of a capture that need no server: the base against its manifest, the log page by page."""

import hashlib
import json
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from pivori.components.base import Finding, Gravity, NotCaptured, Source
from pivori.components.postgres_physical.archives import BaseDamaged, members, tablespace_folder
from pivori.components.postgres_physical.base_backup import MANIFEST
from pivori.components.postgres_physical.facts import BaseFacts, Facts
from pivori.components.postgres_physical.lsn import PAGE_SIZE, format_lsn
from pivori.translation import N_, Phrase

_PAGE: Final = struct.Struct("=HHIQ")
_FIRST_PAGE: Final = struct.Struct("=24xQII")
_MOST_MANIFEST: Final = 1 << 30
_MOST_NAMED: Final = 10
"""Findings about one thing; what is broken altogether need not be listed to its end."""

_OTHER_POINT: Final = N_("Choose another recovery point, and verify the repository with `pivori verify`.")


def verify(source: Source) -> Iterator[Finding]:
    """Whatever is wrong with a capture."""
    facts = Facts.of(source.report)
    if facts is None:
        yield _failure(Phrase(N_("What the capture says of itself cannot be read.")))
        return
    for base in facts.bases:
        yield from islice(_base_findings(source, base), _MOST_NAMED)
    for path, _name, first, length in facts.log_files(facts.bases[0]):
        yield from islice(_segment_findings(source, facts, path, first, length), 1)


def _failure(message: Phrase) -> Finding:
    return Finding(gravity=Gravity.FAILURE, message=message, hint=Phrase(_OTHER_POINT))


def _base_findings(source: Source, base: BaseFacts) -> Iterator[Finding]:
    """Compare every file of a base with what the server said it is."""
    path = f"{base.folder}/{MANIFEST}"
    try:
        expected = _manifest(source.read(path, _MOST_MANIFEST))
        for archive in base.archives:
            path = f"{base.folder}/{archive}"
            yield from _archive_findings(source, base, archive, expected)
    except (BaseDamaged, NotCaptured) as error:
        yield _failure(error.as_reason)
    except (ValueError, KeyError, TypeError) as error:
        yield _failure(Phrase(N_("The file {path} of the capture is damaged: {reason}."), path=path, reason=str(error)))
    else:
        for name in expected:
            yield _failure(Phrase(N_("The base backup lacks the file {path}."), path=name))


def _manifest(content: bytes) -> dict[str, tuple[int, str]]:
    """Length and SHA-256 of each file, by its path in the data directory. Raises ValueError and KeyError."""
    manifest: dict[str, Any] = json.loads(content)
    signed = content[: content.rindex(b'"Manifest-Checksum"')]
    if hashlib.sha256(signed).hexdigest() != manifest["Manifest-Checksum"]:
        raise ValueError("Manifest-Checksum")
    found = {}
    for file in manifest["Files"]:
        path = file.get("Path")
        if path is None:
            path = bytes.fromhex(file["Encoded-Path"]).decode(errors="surrogateescape")
        found[path] = (file["Size"], file["Checksum"])
    return found


def _archive_findings(
    source: Source, base: BaseFacts, archive: str, expected: dict[str, tuple[int, str]]
) -> Iterator[Finding]:
    """Compare the files of a tar, and take them out of what is expected."""
    folder = tablespace_folder(archive, base)
    for place, _member, content in members(source, f"{base.folder}/{archive}"):
        if content is None:
            continue
        digest, size = hashlib.sha256(), 0
        while piece := content.read(1 << 20):
            digest.update(piece)
            size += len(piece)
        path = f"{folder}/{place}" if folder else str(place)
        if path not in expected:
            if not path.startswith("pg_wal/"):
                yield _failure(Phrase(N_("The base backup has a file too many: {path}."), path=path))
        elif expected.pop(path) != (size, digest.hexdigest()):
            yield _failure(Phrase(N_("The file {path} of the base backup is not what the server sent."), path=path))


def _segment_findings(source: Source, facts: Facts, path: str, first: int, length: int) -> Iterator[Finding]:
    """Look at the heading of each page of a segment: it says which part of which cluster's log it is.

    Pages behind the end of a segment that the server left early are zeros to its end.
    """
    offset, left, is_over = 0, b"", False
    try:
        for piece in source.pieces(path):
            content = left + piece
            whole = len(content) - len(content) % PAGE_SIZE
            for start in range(0, whole, PAGE_SIZE):
                position = first + offset + start
                is_zero = not any(content[start : start + _PAGE.size])
                if position > first and is_zero:
                    is_over = True
                elif is_over or not _is_page(content, start, facts, position):
                    yield _damaged(path, position)
            offset, left = offset + whole, content[whole:]
    except NotCaptured as error:
        yield _failure(error.as_reason)
        return
    if offset + len(left) != length:
        found = offset + len(left)
        sentence = N_("The file {path} of the transaction log has {found} bytes instead of {wanted}.")
        yield _failure(Phrase(sentence, path=path, found=found, wanted=length))


def _is_page(content: bytes, start: int, facts: Facts, position: int) -> bool:
    """Whether a page is that of a position in the log of this cluster."""
    _magic, _info, timeline, address = _PAGE.unpack_from(content, start)
    is_right: bool = address == position and 0 < timeline <= facts.timeline
    if position % facts.segment_size == 0:
        system, size, _page_size = _FIRST_PAGE.unpack_from(content, start)
        is_right = is_right and str(system) == facts.system and size == facts.segment_size
    return is_right


def _damaged(path: str, position: int) -> Finding:
    return _failure(
        Phrase(N_("The file {path} of the transaction log is damaged at {lsn}."), path=path, lsn=format_lsn(position))
    )
