"""Repairing the index: what it says is made to fit the packs that are there.

Packs without an index are listed again from their headers, packs that are gone are dropped, damaged index objects are
replaced. Nothing that can be read is given up: a pack whose size is wrong and whose header cannot be read stays
listed, as only the index knows then where its blobs are, with all that any index object says of it; ``repair packs``
saves them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pivori.errors import PivoriError
from pivori.repository.crypto import Box
from pivori.repository.ids import PackId
from pivori.repository.index import IndexDamaged, IndexedPack
from pivori.repository.index_rewrite import IndexWriter
from pivori.repository.objects import ObjectDamaged
from pivori.repository.pack import PackDamaged, PackedBlob, packed_size
from pivori.repository.pack_reading import is_contiguous, read_pack_header
from pivori.repository.repository import Repository
from pivori.storage import AccessDenied, Kind, NotFound, StorageError
from pivori.translation import N_


class IndexNotSound(PivoriError):
    """The index does not fit the packs: what can still be had would be given up."""

    code = "index-not-sound"
    message = N_("The index does not fit the packs ({object}), so nobody can tell what is lost.")
    hint = N_("Run `pivori repair index` first, and `pivori repair packs` for packs it cannot read.")


@dataclass(frozen=True)
class IndexRepairPlan:
    """What will change. Packs and index objects by name."""

    added: tuple[str, ...] = ()
    """Packs that no readable index lists: they are listed from their headers."""
    corrected: tuple[str, ...] = ()
    """Packs that the index describes wrongly: they are listed from their headers."""
    dropped: tuple[str, ...] = ()
    """Packs that are listed but gone."""
    unreadable: tuple[str, ...] = ()
    """Packs with an unreadable header: nothing is done about them here, ``repair packs`` is for them."""
    damaged_indexes: tuple[str, ...] = ()
    """Index objects that cannot be read."""
    replaced_indexes: tuple[str, ...] = ()
    """Every index object that is removed when the new ones are stored, damaged ones included."""
    headers: dict[PackId, list[PackedBlob]] = field(default_factory=dict, repr=False, compare=False)
    """What the packs ``added`` and ``corrected`` hold."""
    repeated: frozenset[PackId] = field(default=frozenset(), repr=False, compare=False)
    """Packs that are listed more than once, in whole or in parts: every index object that lists one is replaced."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.added or self.replaced_indexes)


class IndexRepair:
    """One repair: :meth:`plan`, and then :meth:`apply` under an exclusive lock. The index need not be loaded."""

    def __init__(
        self,
        repository: Repository,
        *,
        read_all_packs: bool = False,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        """With ``read_all_packs`` the headers of packs that look right are read and compared too."""
        self._repository = repository
        self._read_all_packs = read_all_packs
        self._before_write = before_write
        self._box = Box(repository.master)
        self._sizes: dict[PackId, int] = {}
        self._headers: dict[PackId, list[PackedBlob]] = {}
        self._unreadable: set[PackId] = set()

    def plan(self) -> IndexRepairPlan:
        """Find out what is wrong with the index. Raises storage errors that may pass."""
        storage = self._repository.storage
        names = sorted(item.name for item in storage.list(Kind.INDEX))
        self._sizes = {PackId(bytes.fromhex(name)): size for name, size in storage.list(Kind.PACK)}
        # Twice, as only then it is known which packs are listed more than once; one object in memory at a time.
        listed: Counter[PackId] = Counter()
        damaged, replaced, corrected, dropped = [], [], set(), set()
        for name in names:
            packs = self._read(name)
            if packs is None:
                damaged.append(name)
            else:
                listed.update(pack.id for pack in packs)
        for name in sorted({*names} - {*damaged}):
            packs = self._read(name) or []
            wrong = {pack.id for pack in packs if not self._is_right(pack)}
            gone = {pack for pack in wrong if pack not in self._sizes}
            mended = {pack for pack in wrong - gone if self._header(pack) is not None}
            if gone or mended or any(listed[pack.id] > 1 for pack in packs):
                replaced.append(name)
            corrected |= mended
            dropped |= gone
        added = [pack for pack in sorted(self._sizes.keys() - listed.keys()) if self._header(pack) is not None]
        chosen = {*added, *corrected}
        return IndexRepairPlan(
            added=_names(added),
            corrected=_names(corrected),
            dropped=_names(dropped),
            unreadable=_names(self._unreadable),
            damaged_indexes=tuple(damaged),
            replaced_indexes=(*damaged, *replaced),
            headers={pack: blobs for pack, blobs in self._headers.items() if pack in chosen},
            repeated=frozenset(pack for pack, times in listed.items() if times > 1),
        )

    def apply(self, plan: IndexRepairPlan) -> list[str]:
        """Write the new index objects, then remove the old ones; returns the names of the new ones."""
        writer = IndexWriter(self._repository.objects, self._before_write)
        for pack, blobs in sorted(plan.headers.items()):
            writer.add(pack, blobs)
        done = {bytes.fromhex(name) for name in plan.dropped} | plan.headers.keys()
        # By the blobs themselves, not by their places: where two lists contradict each other, both are kept.
        parts: dict[PackId, set[PackedBlob]] = {}
        for name in sorted({*plan.replaced_indexes} - {*plan.damaged_indexes}):
            for pack, blobs in self._repository.read_index(name):
                if pack in done:
                    continue
                if pack in plan.repeated:
                    parts.setdefault(pack, set()).update(blobs)
                else:
                    writer.add(pack, blobs)
        for pack, found in parts.items():
            writer.add(pack, sorted(found, key=lambda blob: (blob.offset, blob)))
        writer.flush()
        remove_objects(self._repository, Kind.INDEX, plan.replaced_indexes, self._before_write)
        return writer.written

    def _read(self, name: str) -> list[IndexedPack] | None:
        """What an index object lists; None when it is damaged."""
        return read_index_or_none(self._repository, name)

    def _is_right(self, pack: IndexedPack) -> bool:
        size = self._sizes.get(pack.id)
        if size is None or not is_contiguous(pack.blobs) or packed_size(pack.blobs) != size:
            return False
        if not self._read_all_packs:
            return True
        header = self._header(pack.id)
        return header is None or sorted(header) == sorted(pack.blobs)

    def _header(self, pack: PackId) -> list[PackedBlob] | None:
        """What the header of a pack lists; None when it cannot be read."""
        if pack not in self._headers and pack not in self._unreadable:
            try:
                storage = self._repository.storage
                self._headers[pack] = read_pack_header(storage, self._box, pack, self._sizes[pack])
            except PackDamaged:
                self._unreadable.add(pack)
            except StorageError as error:
                demand_lasting(error)
                self._unreadable.add(pack)
        return self._headers.get(pack)


def read_index_or_none(repository: Repository, name: str) -> list[IndexedPack] | None:
    """What an index object lists; None when it is damaged, nothing when it is gone. Raises errors that may pass."""
    try:
        return list(repository.read_index(name))
    except NotFound:
        return []
    except (IndexDamaged, ObjectDamaged):
        return None
    except StorageError as error:
        demand_lasting(error)
        return None


def demand_lasting(error: PivoriError) -> None:
    """Raise an error of the storage that says nothing about the object: another attempt may read it."""
    if error.retryable or isinstance(error, AccessDenied):
        raise error


def all_packs(repository: Repository) -> Iterator[tuple[str, IndexedPack]]:
    """Every pack of every index object, with the name of that object. Raises IndexNotSound when one is damaged."""
    for item in sorted(repository.storage.list(Kind.INDEX)):
        packs = read_index_or_none(repository, item.name)
        if packs is None:
            raise IndexNotSound(object=f"{Kind.INDEX.value}/{item.name}")
        for pack in packs:
            yield item.name, pack


def remove_objects(repository: Repository, kind: Kind, names: Iterable[str], before_write: Callable[[], None]) -> None:
    """Remove objects, which may be gone already; what was stored before is durable first, and so are the removals."""
    repository.storage.sync()
    repository.remove(kind, names, before_each=before_write)
    repository.storage.sync()


def _names(packs: list[PackId] | set[PackId]) -> tuple[str, ...]:
    return tuple(pack.hex() for pack in sorted(packs))
