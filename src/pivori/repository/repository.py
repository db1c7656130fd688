"""An opened repository: load and save objects, read blobs, look things up.

Reading order is snapshots before index, writing order is packs, index, snapshot: so whoever sees a snapshot sees
all it needs. Nothing here takes a lock; see :mod:`pivori.repository.locks`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pivori.errors import PivoriError
from pivori.repository.compression import DamagedFrame, decompress
from pivori.repository.config import Config, ConfigDamaged, decode_config, encode_config, new_config
from pivori.repository.crypto import Box, MasterKey, Tampered
from pivori.repository.ids import BlobId, BlobKind, is_object_name
from pivori.repository.index import Index, IndexDamaged, IndexedPack, decode_index
from pivori.repository.index_cache import IndexCache
from pivori.repository.keys import KeyDamaged, WrongPassword, add_key, make_key_object, new_master_key, open_keys
from pivori.repository.last_seen import LastSeen, SeenKey, SeenSnapshot
from pivori.repository.objects import CONFIG_NAME, ObjectDamaged, SealedObjects, load_config, save_config
from pivori.repository.regions import Regions
from pivori.repository.selection import LoadedSnapshot
from pivori.repository.snapshot import Snapshot, SnapshotDamaged, decode_snapshot, encode_snapshot
from pivori.repository.table import Location
from pivori.repository.tree import Node, TreeDamaged, decode_tree
from pivori.storage import AlreadyExists, Kind, NotFound, Storage, StorageError
from pivori.translation import N_


class NoRepository(PivoriError):
    """There is no repository at this place."""

    code = "no-repository"
    message = N_("There is no repository at {location}.")
    hint = N_("Check the address, or make a repository there with `pivori init`.")
    exit_status = 10


class BlobMissing(PivoriError):
    """A blob is not in the index."""

    code = "blob-missing"
    message = N_("The repository lacks the {kind} blob {id}.")
    hint = N_("Run `pivori verify` to learn which files need it.")


class BlobDamaged(PivoriError):
    """A blob is indexed but cannot be read back."""

    code = "blob-damaged"
    message = N_("The {kind} blob {id} in pack {pack} is damaged: {reason}.")
    hint = N_("Run `pivori verify --read-data` to learn what is hurt, then `pivori repair packs`.")


class Repository:
    """An opened repository. Belongs to one thread, but for :attr:`objects`."""

    def __init__(self, storage: Storage, config: Config, master: MasterKey, key_name: str) -> None:
        self.storage = storage
        self.config = config
        self.master = master
        self.key_name = key_name
        self.objects = SealedObjects(storage, master, config.version)
        self.index = Index([])
        self.last_seen = LastSeen(None, storage.location)
        """What this machine knows of the snapshots and keys; see :meth:`remember`."""
        self._box = Box(master)
        self._regions = Regions(storage)

    @property
    def id(self) -> str:
        """The repository's identity: 64 hexadecimal digits."""
        return self.config.id

    @property
    def version(self) -> int:
        """The version of the format, 1 or 2."""
        return self.config.version

    @classmethod
    def create(
        cls,
        storage: Storage,
        password: str,
        *,
        username: str,
        hostname: str,
        created: str,
        cache_directory: Path | None = None,
    ) -> "Repository":
        """Make a repository on an empty medium, and remember its key. ``created`` is RFC 3339 text.

        The config is written last: what an interruption leaves is no repository, and can be made again.
        Raises AlreadyExists.
        """
        storage.create()
        # An interrupted attempt has left a key that opens nothing; it goes once there is a config to be opened.
        dead = [item.name for item in storage.list(Kind.KEY)]
        config, master = new_config(), new_master_key()
        key = make_key_object(master, password, username=username, hostname=hostname, created=created)
        name = add_key(storage, key)
        try:
            save_config(storage, master, encode_config(config))
        except AlreadyExists:
            storage.delete(Kind.KEY, name)
            raise
        for other in dead:
            with suppress(NotFound):
                storage.delete(Kind.KEY, other)
        storage.sync()
        repository = cls(storage, config, master, name)
        repository.remember(cache_directory)
        repository.last_seen.add(keys={name: SeenKey(created, hostname, username)})
        return repository

    @classmethod
    def open(
        cls, storage: Storage, password: str, *, on_damage: Callable[[PivoriError], None] = lambda _: None
    ) -> "Repository":
        """Open a repository with a password. Raises NoRepository, WrongPassword, NoKeys, ConfigDamaged.

        ``on_damage`` hears of key objects that cannot be read, when another one opens.
        """
        try:
            storage.size(Kind.CONFIG, CONFIG_NAME)
        except NotFound:
            raise NoRepository(location=storage.location) from None
        damage: PivoriError | None = None
        for key in open_keys(storage, password, on_damage=on_damage):
            try:
                plain = load_config(storage, key.master)
            except ConfigDamaged as error:
                # The config is damaged, or this key was made for another one: then a further key fits.
                damage = damage or error
                continue
            return cls(storage, decode_config(plain), key.master, key.name)
        raise damage or WrongPassword(location=storage.location)

    def remember(self, cache_directory: Path | None) -> None:
        """Keep a record of the snapshots and keys, in a folder of this repository below ``cache_directory``.

        What is stored and removed from now on is noted there: see :mod:`pivori.repository.last_seen`.
        """
        directory = cache_directory / self.id / "seen" if cache_directory else None
        self.last_seen = LastSeen(directory, self.storage.location)

    # Index

    def load_index(
        self, cache_directory: Path | None, *, on_damage: Callable[[PivoriError], None] | None = None
    ) -> None:
        """Load the index, through the cache in a folder of this repository below ``cache_directory``.

        A damaged or vanished index object raises, unless ``on_damage`` is given: it then hears of it, the other
        objects are loaded, and the cache is left alone.
        """
        names = [item.name for item in self.storage.list(Kind.INDEX)]
        directory = cache_directory / self.id / "index" if cache_directory and on_damage is None else None
        self.index = IndexCache(directory).load(names, lambda name: self._indexed_packs(name, on_damage))

    def _indexed_packs(self, name: str, on_damage: Callable[[PivoriError], None] | None) -> Iterator[IndexedPack]:
        try:
            yield from self.read_index(name)
        except (IndexDamaged, ObjectDamaged, StorageError) as error:
            if on_damage is None:
                raise
            on_damage(error)

    def read_index(self, name: str) -> Iterator[IndexedPack]:
        """What one index object lists. Raises IndexDamaged, ObjectDamaged or NotFound."""
        return decode_index(name, self.objects.load_unpacked(Kind.INDEX, name))

    # Snapshots

    def snapshots(
        self, *, on_damage: Callable[[PivoriError], None] | None = None, names: Iterable[str] | None = None
    ) -> list[LoadedSnapshot]:
        """Every snapshot, oldest first. A damaged one raises, unless ``on_damage`` is given to hear of it."""
        found = []
        for name in names if names is not None else [item.name for item in self.storage.list(Kind.SNAPSHOT)]:
            try:
                found.append(self.load_snapshot(name))
            except (SnapshotDamaged, ObjectDamaged, StorageError) as error:
                if on_damage is None:
                    raise
                on_damage(error)
        return sorted(found, key=lambda loaded: (loaded.time_ns, loaded.id))

    def load_snapshot(self, name: str) -> LoadedSnapshot:
        """One snapshot by its whole name. Raises SnapshotDamaged, ObjectDamaged or NotFound."""
        return LoadedSnapshot(name, decode_snapshot(self.objects.load_unpacked(Kind.SNAPSHOT, name), name))

    def save_snapshot(self, snapshot: Snapshot) -> str:
        """Store a snapshot, when everything it needs is stored and indexed; returns its name."""
        (name,) = self.save_snapshots([snapshot])
        return name

    def save_snapshots(
        self, snapshots: Iterable[Snapshot], *, saved: Callable[[str], None] = lambda _name: None
    ) -> list[str]:
        """Store snapshots one by one, each taken when the one before is stored; returns their names.

        ``saved`` hears each name at once. What was stored before an error is noted as any other.
        """
        stored: dict[str, SeenSnapshot] = {}
        try:
            for snapshot in snapshots:
                name = self.objects.save_unpacked(Kind.SNAPSHOT, encode_snapshot(snapshot))
                stored[name] = seen_snapshot(snapshot)
                saved(name)
        finally:
            # Once for all of them, as it writes the whole record; and after them: a snapshot that is noted and then not
            # stored would be missed for ever, one that a kill keeps from being noted is learned by the next check.
            if stored:
                self.last_seen.add(snapshots=stored)
        return list(stored)

    def remove(
        self,
        kind: Kind,
        names: Iterable[str],
        *,
        before_each: Callable[[], None] = lambda: None,
        removed: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Remove objects, the first one first; ``removed`` hears of those that were not gone already.

        Snapshots and keys are struck off the record. ``before_each`` is called before each is removed: the place to
        make sure that the lock still holds. The caller calls ``storage.sync()`` when it is done.
        """
        doomed = list(names)
        if kind in (Kind.SNAPSHOT, Kind.KEY):
            # Before any of them goes: one that is struck off and stays is learned again, the reverse would be missed.
            self.last_seen.strike(doomed)
        for name in doomed:
            before_each()
            try:
                self.storage.delete(kind, name)
            except NotFound:
                continue
            removed(name)

    # Blobs

    def read_blob(self, kind: BlobKind, blob: BlobId) -> bytes:
        """The content of a blob. A damaged copy is passed over when there is another one.

        Raises BlobMissing, BlobDamaged, or the storage's error.
        """
        location = self.index.find(kind, blob)
        if location is None:
            raise BlobMissing(kind=kind.word, id=blob.hex())
        try:
            return self.read_blob_at(location, kind, blob)
        except (BlobDamaged, StorageError) as error:
            for other in self.index.find_all(kind, blob):
                if other != location:
                    try:
                        return self.read_blob_at(other, kind, blob)
                    except (BlobDamaged, StorageError):
                        continue
            raise error

    def read_blob_at(self, location: Location, kind: BlobKind, blob: BlobId) -> bytes:
        """The content of the copy of a blob at ``location``. Raises BlobDamaged or the storage's error."""
        pack, offset, length, _ = location
        if kind is BlobKind.TREE:
            sealed = self._regions.read(pack, offset, length)
        else:
            sealed = self.storage.get(Kind.PACK, pack.hex(), offset, length)
        try:
            return open_blob(self._box, sealed, location.plain_length, blob)
        except (Tampered, DamagedFrame, ContentDiffers) as error:
            reason = error.as_reason
            raise BlobDamaged(kind=kind.word, id=blob.hex(), pack=location.pack.hex(), reason=reason) from None

    def read_tree(self, tree: str) -> list[Node]:
        """The nodes of a tree. Raises BlobMissing, BlobDamaged, TreeDamaged."""
        return decode_tree(self.read_blob(BlobKind.TREE, tree_id(tree)))


def seen_snapshot(snapshot: Snapshot) -> SeenSnapshot:
    """What the record keeps of a snapshot."""
    return SeenSnapshot(snapshot.time, snapshot.hostname, tuple(snapshot.paths))


class ContentDiffers(PivoriError):
    """A blob opens, but its content does not fit its id."""

    code = "content-differs"
    message = N_("A blob's content does not fit its id.")
    inner = N_("its content does not fit its id")
    hint = N_("Run `pivori repair packs`.")


def open_blob(box: Box, sealed: bytes | memoryview, plain_length: int, blob: BlobId) -> bytes:
    """Open, decompress and check one sealed blob. Raises Tampered, DamagedFrame, ContentDiffers."""
    content = box.open(sealed)
    if plain_length:
        content = decompress(content, plain_length)
    if sha256(content).digest() != blob:
        raise ContentDiffers
    return content


def tree_id(text: str) -> BlobId:
    """The id of a tree as snapshots and nodes name it. Raises TreeDamaged when it is none."""
    if not is_object_name(text):
        raise TreeDamaged(reason=N_("it names a tree by something that is no id"))
    return BlobId(bytes.fromhex(text))


__all__ = [
    "BlobDamaged",
    "BlobMissing",
    "KeyDamaged",
    "NoRepository",
    "Repository",
    "open_blob",
    "seen_snapshot",
    "tree_id",
]
