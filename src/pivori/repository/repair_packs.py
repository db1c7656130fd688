"""Repairing packs: every blob of a damaged pack that still opens is stored anew, then the pack goes.

The order never leaves a readable blob without a place: new packs, new index, old index, old packs. A blob that has a
good copy elsewhere is not stored again. A medium that cannot read a pack in one go is asked for each blob alone: a bad
sector costs the blobs that lie on it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pivori.errors import PivoriError
from pivori.repository.crypto import IV_BYTES, MAC_BYTES, Box
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.index import Index
from pivori.repository.index_rewrite import IndexWriter
from pivori.repository.pack import PackDamaged, PackedBlob
from pivori.repository.pack_reading import read_pack_header, whole_header
from pivori.repository.repair_index import all_packs, demand_lasting, remove_objects
from pivori.repository.repository import BlobDamaged, Repository, open_blob
from pivori.repository.table import TableBuilder
from pivori.repository.writer import BlobWriter, WriterSettings
from pivori.storage import Kind, NotFound, Storage, StorageError
from pivori.translation import N_


class PackNotFound(PivoriError):
    """No pack has this name."""

    code = "pack-not-found"
    message = N_("There is no pack {name}, neither in the storage nor in the index.")
    hint = N_("Copy the names of packs from what `pivori verify --read-data` says.")


class AmbiguousPack(PivoriError):
    """The beginning of a name fits several packs."""

    code = "ambiguous-pack"
    message = N_("Several packs have names that begin with {name}.")
    hint = N_("Write more digits of the name.")


BlobKey = tuple[BlobKind, BlobId]


@dataclass
class PackSalvage:
    """What can be had of one pack: blobs that open, blobs that do not, and those with a good copy elsewhere."""

    pack: PackId
    salvaged: list[PackedBlob] = field(default_factory=list)
    elsewhere: int = 0
    lost: list[BlobKey] = field(default_factory=list)


@dataclass(frozen=True)
class PackRepairPlan:
    """What will be done with each pack."""

    packs: tuple[PackSalvage, ...]

    @property
    def salvaged(self) -> int:
        """How many blobs will be stored anew."""
        return sum(len(pack.salvaged) for pack in self.packs)

    @property
    def lost(self) -> int:
        """How many blobs cannot be saved."""
        return sum(len(pack.lost) for pack in self.packs)


class PackRepair:
    """One repair: :meth:`plan`, and then :meth:`apply` under an exclusive lock. The index need not be loaded."""

    def __init__(self, repository: Repository, *, before_write: Callable[[], None] = lambda: None) -> None:
        self._repository = repository
        self._before_write = before_write
        self._box = Box(repository.master)
        self._listed: dict[PackId, set[PackedBlob]] = {}
        self._taken: set[BlobKey] = set()

    def find(self, names: Iterable[str]) -> list[PackId]:
        """The packs with these names, or beginnings of names. Raises PackNotFound, AmbiguousPack, IndexNotSound."""
        known = {item.name for item in self._repository.storage.list(Kind.PACK)}
        known |= {pack.id.hex() for _, pack in all_packs(self._repository)}
        return sorted({_pack_named(name, known) for name in names})

    def plan(self, packs: Iterable[PackId]) -> PackRepairPlan:
        """Read the packs and find out what can be saved. Raises IndexNotSound: without the index too much is lost."""
        chosen = set(packs)
        others = TableBuilder()
        for _, pack in all_packs(self._repository):
            if pack.id in chosen:
                self._listed.setdefault(pack.id, set()).update(pack.blobs)
            else:
                others.add_pack(pack.id, pack.blobs)
        elsewhere = Index([others.build()])
        self._taken.clear()
        salvages = [self._examine(pack, elsewhere) for pack in sorted(chosen)]
        for salvage in salvages:
            # What one pack has lost another one of them may have.
            salvage.lost = [blob for blob in dict.fromkeys(salvage.lost) if blob not in self._taken]
        return PackRepairPlan(tuple(salvages))

    def apply(self, plan: PackRepairPlan) -> None:
        """Store what can be saved, write the index without the old packs, remove them."""
        repository = self._repository
        gone = {salvage.pack for salvage in plan.packs}
        index = IndexWriter(repository.objects, self._before_write)
        settings = WriterSettings(master=repository.master, version=repository.version)
        writer = BlobWriter(repository.storage, settings, index.add_header)
        for salvage in plan.packs:
            self._before_write()
            self._store(salvage, writer)
        writer.flush()
        replaced = {name for name, pack in all_packs(repository) if pack.id in gone}
        for name, pack in all_packs(repository):
            if name in replaced and pack.id not in gone:
                index.add(pack.id, pack.blobs)
        index.flush()
        remove_objects(repository, Kind.INDEX, sorted(replaced), self._before_write)
        remove_objects(repository, Kind.PACK, [pack.hex() for pack in sorted(gone)], self._before_write)

    def _examine(self, pack: PackId, elsewhere: Index) -> PackSalvage:
        salvage = PackSalvage(pack)
        stored = _StoredPack(self._repository.storage, self._box, pack)
        for blob in sorted(self._listed.get(pack, set()) | stored.header(), key=lambda each: each.offset):
            key = blob.kind, blob.id
            if key in self._taken or self._is_elsewhere(blob, elsewhere):
                salvage.elsewhere += 1
            elif self._opens(stored.sealed(blob), blob):
                self._taken.add(key)
                salvage.salvaged.append(blob)
            else:
                salvage.lost.append(key)
        return salvage

    def _is_elsewhere(self, blob: PackedBlob, elsewhere: Index) -> bool:
        """Whether a copy outside of the damaged packs can be read."""
        for location in elsewhere.find_all(blob.kind, blob.id):
            try:
                self._repository.read_blob_at(location, blob.kind, blob.id)
            except (BlobDamaged, StorageError):
                continue
            self._taken.add((blob.kind, blob.id))
            return True
        return False

    def _opens(self, sealed: bytes, blob: PackedBlob) -> bool:
        try:
            open_blob(self._box, sealed, blob.plain_length, blob.id)
        except PivoriError:
            return False
        return True

    def _store(self, salvage: PackSalvage, writer: BlobWriter) -> None:
        if not salvage.salvaged:
            return
        stored = _StoredPack(self._repository.storage, self._box, salvage.pack)
        for blob in salvage.salvaged:
            sealed = stored.sealed(blob)
            # The bytes were read again: they are still what they were when the plan was made.
            open_blob(self._box, sealed, blob.plain_length, blob.id)
            parts = (sealed[:IV_BYTES], sealed[IV_BYTES:-MAC_BYTES], sealed[-MAC_BYTES:])
            writer.add_sealed(blob.kind, blob.id, parts, blob.plain_length)


class _StoredPack:
    """What the storage gives of a pack: read whole, or each piece alone where the medium fails somewhere in it.

    A piece that is gone or cannot be read is empty. Raises errors that say nothing about the object.
    """

    def __init__(self, storage: Storage, box: Box, pack: PackId) -> None:
        self._storage = storage
        self._box = box
        self._pack = pack
        self._whole: bytes | None = None
        try:
            self._whole = storage.get(Kind.PACK, pack.hex())
        except NotFound:
            self._whole = b""
        except StorageError as error:
            demand_lasting(error)

    def header(self) -> set[PackedBlob]:
        """The blobs it says it has; none when that cannot be read: the index is all there is to go by then."""
        try:
            if self._whole is not None:
                return set(whole_header(self._whole, self._box))
            size = self._storage.size(Kind.PACK, self._pack.hex())
            return set(read_pack_header(self._storage, self._box, self._pack, size))
        except PackDamaged:
            return set()
        except StorageError as error:
            demand_lasting(error)
            return set()

    def sealed(self, blob: PackedBlob) -> bytes:
        """The stored bytes of a blob."""
        if self._whole is not None:
            return self._whole[blob.offset : blob.offset + blob.length]
        try:
            return self._storage.get(Kind.PACK, self._pack.hex(), blob.offset, blob.length)
        except StorageError as error:
            demand_lasting(error)
            return b""


def _pack_named(name: str, known: set[str]) -> PackId:
    text = name.lower().rpartition("/")[2]
    found = {text} & known or {each for each in known if text and each.startswith(text)}
    if not found:
        raise PackNotFound(name=name)
    if len(found) > 1:
        raise AmbiguousPack(name=name)
    return PackId(bytes.fromhex(found.pop()))
