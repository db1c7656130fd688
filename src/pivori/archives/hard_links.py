"""Files with several names: which of them is stored, and which are links of it."""

import os
from collections.abc import Mapping, Sequence

from msgspec import structs

from pivori.archives.source_files import SourceFiles
from pivori.entries import Entry


class LinkGroups:
    """The entries that are links and wait to be written; false when there are none any more."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._waiting: dict[bytes, list[int]] = {}
        for position, entry in enumerate(entries):
            if entry.hard_link is not None:
                self._waiting.setdefault(entry.hard_link, []).append(position)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, stored: Mapping[bytes, Entry], source: SourceFiles) -> dict[int, bytes | None]:
        """What can be written now: the links of what is stored, and the first of each group whose file is not.

        By position, the path of what each is a link of; None for one that is stored. The others of such a group wait
        for that one.
        """
        first_of: dict[int, bytes | None] = {}
        waiting, self._waiting = self._waiting, {}
        for first, positions in waiting.items():
            known = stored.get(first)
            others = []
            for position in positions:
                if known is not None and _is_same_file(source, self._entries[position].path, known):
                    first_of[position] = first
                else:
                    others.append(position)
            if others:
                first_of[others[0]] = None
            if others[1:]:
                self._waiting[self._entries[others[0]].path] = others[1:]
        return first_of


def _is_same_file(source: SourceFiles, path: bytes, known: Entry) -> bool:
    try:
        descriptor, status = source.open(path)
    except OSError:
        return False
    os.close(descriptor)
    return (status.st_ino, status.st_dev) == (known.inode, known.device_id)


def mend_links(entries: list[Entry]) -> None:
    """Let no entry be a link of one that is not in the archive: the first of the others takes its place."""
    stored = {entry.path for entry in entries}
    successors: dict[bytes, bytes] = {}
    for index, entry in enumerate(entries):
        if entry.hard_link is not None and entry.hard_link not in stored:
            successor = successors.setdefault(entry.hard_link, entry.path)
            entries[index] = structs.replace(entry, hard_link=None if successor == entry.path else successor)
