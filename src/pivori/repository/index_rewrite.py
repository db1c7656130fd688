"""New index objects in the place of old ones, one object in memory at a time.

An index object is written anew when it lists a pack that goes, or one that another object lists too; small objects are
joined when two of them come together. All others are left as they are. The old objects are removed by the caller, after
the new ones are stored: in between, both say the truth.
"""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from pivori.repository.ids import PackId
from pivori.repository.index import MOST_BLOBS, encode_index
from pivori.repository.objects import SealedObjects
from pivori.repository.pack import PackedBlob, read_header
from pivori.repository.repository import Repository
from pivori.storage import Kind

_SMALL_INDEX: Final = MOST_BLOBS // 2


class IndexWriter:
    """Collects packs and stores an index object whenever 20,000 blobs wait; ``before_write`` is called before each."""

    def __init__(self, objects: SealedObjects, before_write: Callable[[], None]) -> None:
        self._objects = objects
        self._before_write = before_write
        self._packs: list[tuple[PackId, list[PackedBlob]]] = []
        self._blobs = 0
        self.written: list[str] = []
        """The names of the objects that were stored."""

    def add(self, pack: PackId, blobs: list[PackedBlob]) -> None:
        """List a pack that is stored and durable."""
        if self._blobs and self._blobs + len(blobs) > MOST_BLOBS:
            self.flush()
        self._packs.append((pack, blobs))
        self._blobs += len(blobs)

    def add_header(self, pack: PackId, header: bytes) -> None:
        """List a new pack, given its plain header: what a BlobWriter reports."""
        self.add(pack, list(read_header(header)))

    def flush(self) -> None:
        """Store what is listed."""
        if self._packs:
            self._before_write()
            self.written.append(self._objects.save_unpacked(Kind.INDEX, encode_index(self._packs)))
            self._packs, self._blobs = [], 0

    @property
    def has_any(self) -> bool:
        """Whether anything was ever added."""
        return bool(self._packs or self.written)


class IndexSurvey(NamedTuple):
    """What the index objects of a repository list: by their names, the number of blobs and the packs.

    ``repeated`` are the packs that more than one object lists, in whole or in part.
    """

    blob_counts: dict[str, int]
    packs: dict[str, tuple[PackId, ...]]
    repeated: frozenset[PackId]

    def all_packs(self) -> set[PackId]:
        """Every pack that is listed."""
        return {pack for packs in self.packs.values() for pack in packs}


def survey_indexes(repository: Repository) -> IndexSurvey:
    """Read every index object in the storage. Raises IndexDamaged, ObjectDamaged or the storage's error."""
    survey = IndexSurvey({}, {}, frozenset())
    seen: set[PackId] = set()
    repeated: set[PackId] = set()
    for name in sorted(item.name for item in repository.storage.list(Kind.INDEX)):
        listed = [(pack, len(blobs)) for pack, blobs in repository.read_index(name)]
        for pack, _ in listed:
            (repeated if pack in seen else seen).add(pack)
        survey.packs[name] = tuple(pack for pack, _ in listed)
        survey.blob_counts[name] = sum(blobs for _, blobs in listed)
    return survey._replace(repeated=frozenset(repeated))


def rewrite_indexes(
    repository: Repository, survey: IndexSurvey, gone: Collection[PackId], writer: IndexWriter
) -> list[str]:
    """Write the index as it is without the packs ``gone``; returns the names of the objects that it replaces.

    ``writer`` may hold new packs already. The new objects are stored when this returns. Raises what
    :func:`survey_indexes` raises.
    """
    touched = {
        name for name, packs in survey.packs.items() if any(pack in gone or pack in survey.repeated for pack in packs)
    }
    small = {name for name, blobs in survey.blob_counts.items() if name not in touched and blobs < _SMALL_INDEX}
    if touched or writer.has_any or len(small) > 1:
        touched |= small
    split: dict[PackId, dict[int, PackedBlob]] = {}
    for name in sorted(touched):
        for pack, blobs in repository.read_index(name):
            if pack in gone:
                continue
            if pack in survey.repeated:
                split.setdefault(pack, {}).update((blob.offset, blob) for blob in blobs)
            else:
                writer.add(pack, blobs)
    for pack, parts in split.items():
        writer.add(pack, [parts[offset] for offset in sorted(parts)])
    writer.flush()
    return sorted(touched)
