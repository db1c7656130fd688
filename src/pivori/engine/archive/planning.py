"""What an archive will hold, decided before anything is written: the tree without what is left out, or what differs."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pivori.archives.checksum import SUFFIX
from pivori.archives.manifest import Omission, as_text
from pivori.archives.naming import parse_name
from pivori.archives.workspace import PARTIAL
from pivori.engine.archive.create import ArchivePlan
from pivori.engine.archive.differential import BaseArchive, differences
from pivori.engine.archive.history import Estimate
from pivori.engine.archive.listing import Listing, list_tree
from pivori.engine.archive.placing import NoSpaceForArchive, free_bytes
from pivori.engine.exclusion import EntryFilter
from pivori.translation import N_, ByteCount

OWN_ARCHIVES: Final = "own-archives"
_EVIDENCE: Final = N_("the archives that this program writes there")
_SMALLEST_SHARE: Final = 20
"""Nobody knows how well content packs before it was packed once; to less than a twentieth is not to be hoped for."""


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What to plan. ``directory`` is where archives go: those in it are not put into new ones."""

    root: Path
    strategy: str
    directory: Path | None = None
    exclusion: EntryFilter | None = None
    one_file_system: bool = False
    omitted: Collection[Omission] = field(default_factory=tuple)
    documents: dict[bytes, bytes] = field(default_factory=dict)
    base: BaseArchive | None = None


def plan_archive(request: PlanRequest, *, pulse: Callable[[bytes], None] = lambda _path: None) -> ArchivePlan:
    """List the tree and decide. Raises NotADirectoryToArchive."""
    own = _OwnArchives(request.root, request.directory)
    left_out = {omission.path_raw or omission.path.encode() for omission in request.omitted}
    listing = list_tree(
        os.fsencode(request.root),
        exclusion=request.exclusion,
        one_file_system=request.one_file_system,
        leaves_out=lambda path: path in left_out or own.holds(path),
        pulse=pulse,
    )
    plan = ArchivePlan(
        root=request.root,
        strategy=request.strategy,
        listing=listing,
        entries=listing.entries,
        omitted=[*request.omitted, *own.omissions()],
        documents=request.documents,
    )
    return plan if request.base is None else _relative(plan, listing, request.base)


def _relative(plan: ArchivePlan, listing: Listing, base: BaseArchive) -> ArchivePlan:
    found = differences(listing.entries, base.manifest, unread=listing.unread)
    return replace(plan, entries=found.entries, deleted=found.deleted, base=base.reference)


class _OwnArchives:
    """Keeps archives out of archives: with the directory they go to inside the tree, each would hold all before it."""

    def __init__(self, root: Path, directory: Path | None) -> None:
        self._prefix: bytes | None = None
        self._files = self._bytes = 0
        self._root = root
        if directory is not None:
            inside = os.path.relpath(os.path.realpath(directory), os.path.realpath(root))
            if inside == ".":
                self._prefix = b""
            elif not inside.startswith(".."):
                self._prefix = os.fsencode(inside) + b"/"

    def holds(self, path: bytes) -> bool:
        """Whether a path is that of an archive, its checksum, or an unfinished one."""
        if self._prefix is None or not path.startswith(self._prefix):
            return False
        name = os.fsdecode(path[len(self._prefix) :])
        plain = name.removeprefix(".").removesuffix(PARTIAL) if name.endswith(PARTIAL) else name
        if "/" in name or parse_name(plain.removesuffix(SUFFIX)) is None:
            return False
        try:
            self._bytes += os.lstat(os.path.join(os.fsencode(self._root), path)).st_size
        except OSError:
            return True
        self._files += 1
        return True

    def omissions(self) -> list[Omission]:
        """What was kept out, for the manifest."""
        if not self._files or self._prefix is None:
            return []
        text, raw = as_text(self._prefix.rstrip(b"/"))
        return [
            Omission(
                path=text, path_raw=raw, bytes=self._bytes, files=self._files, rule=OWN_ARCHIVES, evidence=_EVIDENCE
            )
        ]


def check_space(plan: ArchivePlan, directory: Path, known: Estimate | None) -> None:
    """Refuse an archive that the directory has no room for, as far as earlier runs tell. Raises NoSpaceForArchive."""
    needed = known.archive_bytes if known is not None else plan.bytes // _SMALLEST_SHARE
    free = free_bytes(directory)
    if needed > free:
        raise NoSpaceForArchive(directory=str(directory), needed=ByteCount(needed), free=ByteCount(free))
