"""What a check of a repository can find: kinds, sentences, and the collection that fills while the check goes on.

A finding is *damage* when something cannot be read back, or would be restored wrongly; a *hint* costs space at most.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pivori.repository.ids import BlobId, BlobKind
from pivori.translation import N_

SHOWN_PATHS: Final = 20
"""How many of the paths that a finding hurts are kept; the others are counted."""

MOST_MISSING_NAMED: Final = 1000
"""So many missing blobs are findings of their own; the others are counted in one."""


class Severity(StrEnum):
    """Whether something is lost, or only untidy."""

    DAMAGE = "damage"
    HINT = "hint"


class FindingKind(StrEnum):
    """What is wrong: a stable code, for programs."""

    KEY_DAMAGED = "key-damaged"
    KEY_GONE = "key-gone"
    LOCK_DAMAGED = "lock-damaged"
    SNAPSHOT_DAMAGED = "snapshot-damaged"
    SNAPSHOT_GONE = "snapshot-gone"
    INDEX_DAMAGED = "index-damaged"
    PACK_MISSING = "pack-missing"
    PACK_UNREADABLE = "pack-unreadable"
    PACK_SIZE_WRONG = "pack-size-wrong"
    PACK_CONTENT_WRONG = "pack-content-wrong"
    PACK_HEADER_DAMAGED = "pack-header-damaged"
    PACK_INDEX_DIFFERS = "pack-index-differs"
    PACK_BLOBS_DAMAGED = "pack-blobs-damaged"
    PACK_LACKS_INDEX = "pack-lacks-index"
    TREE_MISSING = "tree-missing"
    TREE_DAMAGED = "tree-damaged"
    BLOB_MISSING = "blob-missing"
    MORE_BLOBS_MISSING = "more-blobs-missing"
    FILE_SIZE_WRONG = "file-size-wrong"
    PACK_NOT_INDEXED = "pack-not-indexed"
    PACK_INDEXED_TWICE = "pack-indexed-twice"
    PACK_MIXED = "pack-mixed"
    BLOBS_STORED_TWICE = "blobs-stored-twice"


GONE: Final = frozenset({FindingKind.KEY_GONE, FindingKind.SNAPSHOT_GONE})
"""What was seen before and is there no more."""

HINTS: Final = frozenset(
    {
        FindingKind.PACK_NOT_INDEXED,
        FindingKind.PACK_INDEXED_TWICE,
        FindingKind.PACK_MIXED,
        FindingKind.BLOBS_STORED_TWICE,
    }
)

SENTENCES: Final[Mapping[FindingKind, str]] = {
    FindingKind.KEY_DAMAGED: N_("{object} cannot be read, so its password opens nothing: {reason}"),
    FindingKind.KEY_GONE: N_("{object} is gone, and this program has no note of removing it here: {reason}"),
    FindingKind.LOCK_DAMAGED: N_("{object} cannot be read, so it blocks everybody: {reason}"),
    FindingKind.SNAPSHOT_DAMAGED: N_("{object} cannot be read: {reason}"),
    FindingKind.SNAPSHOT_GONE: N_("{object} is gone, and this program has no note of removing it here: {reason}"),
    FindingKind.INDEX_DAMAGED: N_("{object} cannot be read: {reason}"),
    FindingKind.PACK_MISSING: N_("{object} is in the index but not in the storage."),
    FindingKind.PACK_UNREADABLE: N_("{object} cannot be read from the storage: {reason}"),
    FindingKind.PACK_SIZE_WRONG: N_("{object} has another size than the index says: {reason}"),
    FindingKind.PACK_CONTENT_WRONG: N_("{object} was changed (damaged blobs in it: {count}): {reason}."),
    FindingKind.PACK_HEADER_DAMAGED: N_("{object} has a header that cannot be read: {reason}"),
    FindingKind.PACK_INDEX_DIFFERS: N_("{object} does not hold what the index says."),
    FindingKind.PACK_BLOBS_DAMAGED: N_("{object} is as it was written, but holds damaged blobs: {count}."),
    FindingKind.PACK_LACKS_INDEX: N_("{object} is in no index, although snapshots need it."),
    FindingKind.TREE_MISSING: N_("{object} is missing: the contents of a directory are lost."),
    FindingKind.TREE_DAMAGED: N_("{object} is damaged: {reason}"),
    FindingKind.BLOB_MISSING: N_("{object} is missing: a part of a file is lost."),
    FindingKind.MORE_BLOBS_MISSING: N_("{count} more blobs are missing: parts of files are lost."),
    FindingKind.FILE_SIZE_WRONG: N_("{object} lists a file with a wrong size: {reason}"),
    FindingKind.PACK_NOT_INDEXED: N_("{object} is in no index: a backup is running, or one was interrupted."),
    FindingKind.PACK_INDEXED_TWICE: N_("{object} is in {count} indexes; one is enough."),
    FindingKind.PACK_MIXED: N_("{object} holds trees and file contents together, as old programs did."),
    FindingKind.BLOBS_STORED_TWICE: N_("{count} blobs are stored more than once, which takes {size}."),
}
"""One sentence for each kind; the fields are those of :class:`Finding`."""


@dataclass(frozen=True, kw_only=True)
class Hurt:
    """What a finding costs: ids of snapshots, the first paths in them, and how many paths there are."""

    snapshots: tuple[str, ...] = ()
    paths: tuple[bytes, ...] = ()
    path_count: int = 0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    ``object`` is the folder and the name of the stored object, or ``tree/ID`` and ``blob/ID`` for what lies in packs.
    ``count`` is a number of blobs (of indexes, for a pack that is in several), ``size`` the bytes they take.
    """

    kind: FindingKind
    object: str
    reason: str = ""
    count: int = 0
    size: int = 0
    hurt: Hurt = field(default_factory=Hurt)
    accepted: bool = False
    """Somebody knows of it, and says that it is as it should be."""

    @property
    def severity(self) -> Severity:
        """Whether this is damage or a hint."""
        return Severity.HINT if self.accepted or self.kind in HINTS else Severity.DAMAGE

    @property
    def name(self) -> str:
        """The name of the object, without its folder."""
        return self.object.rpartition("/")[2]


BlobKey = tuple[BlobKind, BlobId]


@dataclass
class _Draft:
    kind: FindingKind
    object: str
    reason: str
    count: int
    size: int
    snapshots: tuple[str, ...]


class Findings:
    """The findings so far, each with a number; and which blobs and nodes are lost by which of them."""

    def __init__(self, accepted: Collection[FindingKind] = ()) -> None:
        """``accepted`` are kinds of which somebody says that they are as they should be."""
        self._accepted = accepted
        self._drafts: list[_Draft] = []
        self._more_missing: int | None = None
        self._missing = 0
        self.lost: dict[BlobKey, tuple[int, ...]] = {}
        self.nodes: dict[BlobId, dict[str, int]] = {}
        """Nodes of trees that are wrong themselves: by tree, the stored name and the finding."""

    def add(
        self,
        kind: FindingKind,
        folder: str,
        name: str,
        reason: str = "",
        *,
        count: int = 0,
        size: int = 0,
        snapshots: tuple[str, ...] = (),
    ) -> int:
        """Add a finding; returns its number."""
        self._drafts.append(_Draft(kind, f"{folder}/{name}" if name else folder, reason, count, size, snapshots))
        return len(self._drafts) - 1

    def add_missing_blob(self, blob: BlobId) -> None:
        """Add a data blob that no index lists. Once for each blob."""
        self._missing += 1
        if self._missing <= MOST_MISSING_NAMED:
            self.lose(BlobKind.DATA, blob, self.add(FindingKind.BLOB_MISSING, "blob", blob.hex()))
            return
        if self._more_missing is None:
            self._more_missing = self.add(FindingKind.MORE_BLOBS_MISSING, "blob", "")
        self._drafts[self._more_missing].count += 1
        self.lose(BlobKind.DATA, blob, self._more_missing)

    def lose(self, kind: BlobKind, blob: BlobId, *numbers: int) -> None:
        """Note that a blob cannot be had because of these findings."""
        self.lost[kind, blob] = (*self.lost.get((kind, blob), ()), *numbers)

    def finished(self, hurts: Mapping[int, Hurt]) -> tuple[Finding, ...]:
        """The findings, damage first, each with what it hurts."""
        found = [self._finding(draft, hurts.get(number)) for number, draft in enumerate(self._drafts)]
        order = list(FindingKind)
        return tuple(sorted(found, key=lambda each: (each.severity, order.index(each.kind), each.object, each.reason)))

    def _finding(self, draft: _Draft, hurt: Hurt | None) -> Finding:
        return Finding(
            kind=draft.kind,
            object=draft.object,
            reason=draft.reason,
            count=draft.count,
            size=draft.size,
            hurt=hurt or Hurt(snapshots=draft.snapshots),
            accepted=draft.kind in self._accepted,
        )


def damage_of(findings: Iterable[Finding]) -> list[Finding]:
    """Those of the findings that are damage."""
    return [finding for finding in findings if finding.severity is Severity.DAMAGE]
