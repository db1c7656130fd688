"""What an archive brings back: one tree of entries, from it and, for a differential one, from its base."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pivori.archives.container import Member
from pivori.archives.manifest import Omission
from pivori.archives.members import check_capitals, check_entries, check_expansion
from pivori.engine.archive.differential import find_base, merged
from pivori.engine.archive.opening import NO_KEYS, Keys, Opened, open_archive
from pivori.entries import Entry, EntryKind


class Item(NamedTuple):
    """An entry of the tree: which of the archives holds it (by number), and as which member."""

    entry: Entry
    source: int
    member: Member | None


@dataclass(frozen=True, kw_only=True)
class ArchiveTree:
    """A whole tree. ``archives`` are the archive itself and then its base; ``items`` are sorted by path."""

    archives: list[Opened]
    items: list[Item]

    @property
    def archive(self) -> Opened:
        """The archive that was asked for."""
        return self.archives[0]

    @property
    def root(self) -> Path | None:
        """Where the tree came from, when the archive says so."""
        manifest = self.archive.manifest
        return Path(manifest.root) if manifest is not None else None

    @property
    def omitted(self) -> list[Omission]:
        """What was left out when the archive was made."""
        manifest = self.archive.manifest
        return list(manifest.omitted) if manifest is not None else []


@contextmanager
def open_tree(
    path: Path, *, base: Path | None = None, keys: Keys = NO_KEYS, allow_large: bool = False
) -> Iterator[ArchiveTree]:
    """Open an archive, and its base when it is a differential one; everything in them is checked before.

    Raises what :func:`open_archive` and :func:`find_base` raise, ArchiveBomb unless ``allow_large``, and for an archive
    that this program did not make MemberRefused for names that differ only in capitals.
    """
    with ExitStack() as stack:
        opened = stack.enter_context(open_archive(path, keys))
        if not allow_large:
            check_size(opened)
        manifest = opened.manifest
        if manifest is None:
            check_capitals(str(path), [entry.path for entry in opened.entries])
        if manifest is None or manifest.base is None:
            items = [Item(entry, 0, opened.member_of(entry)) for entry in sorted(opened.entries, key=_path)]
            yield ArchiveTree(archives=[opened], items=items)
            return
        below = stack.enter_context(open_archive(find_base(path, manifest.base, base, keys), keys))
        if not allow_large:
            check_size(below)
        tree = merged(below.entries, manifest.entries, manifest.deleted)
        items = [
            Item(entry, int(from_base), (below if from_base else opened).member_of(entry))
            for entry, from_base in tree.values()
        ]
        check_entries(str(path), [item.entry for item in items])
        yield ArchiveTree(archives=[opened, below], items=items)


def check_size(opened: Opened) -> None:
    """Refuse a bomb. Files with holes do not count: what they lack takes no room. Raises ArchiveBomb."""
    sizes = [
        (entry.path, entry.size)
        for entry in opened.entries
        if entry.kind is EntryKind.FILE and entry.hard_link is None and not entry.is_sparse
    ]
    check_expansion(str(opened.path), opened.length, sizes)


def _path(entry: Entry) -> bytes:
    return entry.path
