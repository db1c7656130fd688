"""Whatever was backed up, forgotten and pruned in whatever order: what remains reads back, and the figures are true."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pivori.repository import crypto, pack, prune_plan, writer
from pivori.repository.config import Config
from pivori.repository.crypto import OVERHEAD, MasterKey
from pivori.repository.ids import BlobId, BlobKind, blob_id
from pivori.repository.index import Index
from pivori.repository.intake import Intake
from pivori.repository.pack import PackedBlob
from pivori.repository.prune import PruneFigures, PrunePlan, apply_prune, plan_prune
from pivori.repository.prune_plan import PruneLimits
from pivori.repository.repository import Repository
from pivori.repository.snapshot import Snapshot
from pivori.repository.tree import assemble_tree
from pivori.repository.writer import BlobWriter, WriterSettings
from pivori.storage import Kind, MemoryStorage
from pivori.storage.wrap.base import WrappedStorage

SMALL = 1500
CHANCE = random.Random()
POLYNOMIAL = "25b468838dcb75"


@pytest.fixture(autouse=True, scope="module")
def _controlled() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prune_plan, "FEWEST_SMALL_PACKS", 4)
        # Nothing is left to chance, so that a failure can be repeated.
        for module in (crypto, writer):
            patch.setattr(module, "os", SimpleNamespace(urandom=CHANCE.randbytes))
        yield


def content(number: int) -> bytes:
    """The content of the data blob with this number: of varied length, and hard to compress."""
    return b"".join(sha256(b"%d %d" % (number, part)).digest() for part in range(1 + number * 7 % 13))


# A tree with this content is a data blob too: the same id twice, as another kind.
LIKE_A_TREE = assemble_tree([])


class World:
    """A repository in memory, and what it has to hold."""

    def __init__(self, version: int) -> None:
        CHANCE.seed(1)
        self.storage = MemoryStorage()
        self.storage.create()
        self.config, self.master = Config(version, "00" * 32, POLYNOMIAL), MasterKey(b"e" * 32, b"k" * 16, b"r" * 16)
        self.expected: dict[str, dict[str, list[bytes]]] = {}
        self._seconds = itertools.count()

    def open(self) -> Repository:
        repository = Repository(self.storage, self.config, self.master, "key")
        repository.load_index(None)
        return repository

    @property
    def settings(self) -> WriterSettings:
        return WriterSettings(master=self.master, version=self.config.version, pack_size=SMALL)

    def backup(self, directories: list[list[int]], *, blind: bool) -> None:
        """Store a snapshot; ``blind`` like a program that knew nothing of what is stored, so that all is doubled."""
        repository = self.open()
        if blind:
            repository.index = Index([])
        intake = Intake(repository, self.settings)
        nodes, files = [], {}
        for number, blobs in enumerate(directories):
            contents = [LIKE_A_TREE if blob == 0 else content(blob) for blob in blobs]
            ids = [self._store(intake, each) for each in contents]
            tree = assemble_tree([file_node("file", ids)] if ids else [])
            subtree, _ = intake.add_tree(tree)
            name = f"{number:03d}"
            node = f'{{"name":"{name}","type":"dir","content":null,"subtree":"{subtree.hex()}"}}'
            nodes.append(node.encode())
            files[name] = contents
        root, _ = intake.add_tree(assemble_tree(nodes))
        intake.flush()
        time = f"2025-01-01T00:{next(self._seconds):02d}:00Z"
        self.expected[repository.save_snapshot(Snapshot(time=time, tree=root.hex(), paths=["/"]))] = files

    def _store(self, intake: Intake, data: bytes) -> str:
        blob = blob_id(data)
        if intake.claim(blob) == b"\x01":
            intake.writer.add(BlobKind.DATA, blob, data)
        return blob.hex()

    def leave_pack(self, number: int) -> None:
        """A pack that an interrupted backup left behind."""
        lost = BlobWriter(self.storage, self.settings, lambda *_: None)
        lost.add(BlobKind.DATA, blob_id(content(number)), content(number))
        lost.flush()

    def forget(self, numbers: set[int]) -> None:
        for position, name in enumerate(list(self.expected)):
            if position in numbers:
                self.storage.delete(Kind.SNAPSHOT, name)
                del self.expected[name]

    def check_everything(self) -> None:
        """Every snapshot reads back, from the storage alone."""
        repository = self.open()
        assert {loaded.id for loaded in repository.snapshots()} == self.expected.keys()
        for loaded in repository.snapshots():
            root = repository.read_tree(loaded.snapshot.tree)
            found = {}
            for directory in root:
                assert directory.subtree is not None
                nodes = repository.read_tree(directory.subtree)
                ids = [name for node in nodes for name in node.content or []]
                blobs = [BlobId(bytes.fromhex(name)) for name in ids]
                found[directory.name] = [repository.read_blob(BlobKind.DATA, blob) for blob in blobs]
            assert found == self.expected[loaded.id]


def file_node(name: str, ids: Iterable[str]) -> bytes:
    listed = ",".join(f'"{each}"' for each in ids)
    return (
        f'{{"name":"{name}","type":"file","mode":420,"mtime":"2025-01-01T00:00:00Z","atime":"2025-01-01T00:00:00Z",'
        f'"ctime":"2025-01-01T00:00:00Z","uid":0,"gid":0,"content":[{listed}]}}'
    ).encode()


class Stock(NamedTuple):
    """What a repository holds, counted blob by blob."""

    blobs: int
    bytes: int
    needed: int
    unused_bytes: int
    packs: int


def needed_blobs(repository: Repository) -> set[tuple[BlobKind, bytes]]:
    needed: set[tuple[BlobKind, bytes]] = set()
    for loaded in repository.snapshots():
        needed.add((BlobKind.TREE, bytes.fromhex(loaded.snapshot.tree)))
        for directory in repository.read_tree(loaded.snapshot.tree):
            assert directory.subtree is not None
            needed.add((BlobKind.TREE, bytes.fromhex(directory.subtree)))
            for node in repository.read_tree(directory.subtree):
                needed |= {(BlobKind.DATA, bytes.fromhex(name)) for name in node.content or []}
    return needed


def stock(repository: Repository) -> Stock:
    needed = needed_blobs(repository)
    met: set[tuple[BlobKind, bytes]] = set()
    packs: dict[bytes, dict[int, PackedBlob]] = {}
    for item in repository.storage.list(Kind.INDEX):
        # After an interruption, old and new index objects may list the same pack.
        for listed in repository.read_index(item.name):
            packs.setdefault(listed.id, {}).update((blob.offset, blob) for blob in listed.blobs)
    blobs = [blob for listed in packs.values() for blob in listed.values()]
    unused = 0
    for blob in blobs:
        key = (blob.kind, bytes(blob.id))
        if key not in needed or key in met:
            unused += blob.length
        met.add(key)
    assert needed <= met
    return Stock(len(blobs), sum(blob.length for blob in blobs), len(needed), unused, len(packs))


def prune(world: World, limits: PruneLimits) -> PrunePlan:
    repository = world.open()
    plan = plan_prune(repository, limits)
    outcome = apply_prune(repository, plan)
    assert outcome.retained == ()
    return plan


def check_figures(before: Stock, after: Stock, figures: PruneFigures) -> None:
    assert figures.blobs_needed + figures.blobs_duplicate + figures.blobs_unused == before.blobs
    assert figures.bytes_needed + figures.bytes_duplicate + figures.bytes_unused == before.bytes
    assert figures.blobs_needed == before.needed == after.needed
    assert (figures.blobs_remain, figures.bytes_remain) == (after.blobs, after.bytes)
    assert figures.blobs_removed == before.blobs - after.blobs
    assert figures.bytes_unused_remain == after.unused_bytes
    assert figures.packs_kept + figures.packs_repacked + figures.packs_removed == before.packs


def check_exact_index(storage: MemoryStorage, repository: Repository) -> None:
    """Every pack that is there is listed once, in one index object, and its size is what the index says."""
    sizes = {item.name: item.size for item in storage.list(Kind.PACK)}
    listed = Counter(each.id.hex() for item in storage.list(Kind.INDEX) for each in repository.read_index(item.name))
    assert listed == Counter(dict.fromkeys(sizes, 1))
    for item in storage.list(Kind.INDEX):
        for each in repository.read_index(item.name):
            assert pack.packed_size(each.blobs) == sizes[each.id.hex()]
            assert sum(blob.length - OVERHEAD for blob in each.blobs) > 0


directories = st.lists(st.lists(st.integers(0, 40), max_size=5), min_size=1, max_size=5)
backups = st.tuples(st.just("backup"), directories, st.sampled_from([False, False, False, True]))
leftovers = st.tuples(st.just("leave"), st.integers(50, 60))
forgets = st.tuples(st.just("forget"), st.sets(st.integers(0, 6), min_size=1))
limits = st.builds(
    PruneLimits,
    max_unused_share=st.sampled_from([0.0, 0.05, 0.3, None]),
    max_unused_bytes=st.sampled_from([None, None, 700]),
    max_repack=st.sampled_from([None, None, 0, 4000]),
    pack_size=st.just(SMALL),
)
prunes = st.tuples(st.just("prune"), limits)
histories = st.lists(st.one_of(backups, backups, forgets, leftovers, prunes), min_size=2, max_size=10)


@settings(max_examples=250)
@given(histories, limits, st.sampled_from([2, 2, 1]))
def test_what_remains_is_whole_and_the_figures_are_true(
    history: list[tuple[object, ...]], last: PruneLimits, version: int
) -> None:
    world = World(version)
    for name, *arguments in [*history, ("prune", last)]:
        if name == "backup":
            world.backup(arguments[0], blind=arguments[1])
        elif name == "leave":
            world.leave_pack(arguments[0])
        elif name == "forget":
            world.forget(arguments[0])
        else:
            check_prune(world, arguments[0])


def check_prune(world: World, allowed: PruneLimits) -> None:
    before = stock(world.open())
    plan = prune(world, allowed)
    repository = world.open()
    after = stock(repository)
    world.check_everything()
    check_figures(before, after, plan.figures)
    check_exact_index(world.storage, repository)
    if allowed.max_repack is None:
        assert after.unused_bytes <= allowed.unused_allowed(plan.figures.bytes_needed)
    again = plan_prune(repository, allowed)
    assert again.unindexed == ()
    assert (again.figures.blobs_needed, again.figures.bytes_needed) == (after.needed, after.bytes - after.unused_bytes)


@settings(max_examples=150)
@given(st.lists(directories, min_size=1, max_size=4), st.booleans(), st.integers(0, 2**16))
def test_one_damaged_blob_costs_nothing_else(history: list[list[list[int]]], blind: bool, seed: int) -> None:
    """A flipped bit in any pack: no error but a report, and every blob that was sound before is sound after."""
    world = World(2)
    for each in history:
        world.backup(each, blind=blind)
    names = sorted(item.name for item in world.storage.list(Kind.PACK))
    name = names[seed % len(names)]
    sound_before = {key for key in needed_blobs(world.open())}
    data = bytearray(world.storage.get(Kind.PACK, name))
    data[seed % (len(data) // 2)] ^= 1
    world.storage._objects[Kind.PACK][name] = bytes(data)
    damaged = {key for key in sound_before if not readable(world.open(), *key)}
    repository = world.open()
    if any(kind is BlobKind.TREE for kind, _ in damaged):
        return
    reported: list[object] = []
    plan = plan_prune(repository, PruneLimits(max_unused_share=0.0, pack_size=SMALL))
    outcome = apply_prune(repository, plan, emit=reported.append)
    after = world.open()
    assert {key for key in sound_before if not readable(after, *key)} == damaged
    for _, blob in damaged:
        # The damaged copy stays for a later repair.
        assert after.index.find_all(BlobKind.DATA, BlobId(blob))
    assert not (outcome.retained and not damaged)


def readable(repository: Repository, kind: BlobKind, blob: bytes) -> bool:
    try:
        repository.read_blob(kind, BlobId(blob))
    except Exception:
        return False
    return True


class Stopping(WrappedStorage):
    """A medium that fails for good after so many writes and removals."""

    def __init__(self, inner: MemoryStorage, budget: int) -> None:
        super().__init__(inner)
        self.budget = budget

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        self._spend()
        self.inner.put(kind, name, parts)

    def delete(self, kind: Kind, name: str) -> None:
        self._spend()
        self.inner.delete(kind, name)

    def _spend(self) -> None:
        if self.budget == 0:
            raise Stopped
        self.budget -= 1


class Stopped(Exception):
    """The plug was pulled."""


@settings(max_examples=15)
@given(st.lists(st.tuples(directories, st.booleans()), min_size=2, max_size=4))
def test_an_end_after_any_write_loses_nothing(history: list[tuple[list[list[int]], bool]]) -> None:
    """Every write in turn is the last one; the repository is whole, and the next prune does the rest."""
    allowed = PruneLimits(max_unused_share=0.0, pack_size=SMALL)
    for budget in itertools.count():
        world = World(2)
        for each, blind in history:
            world.backup(each, blind=blind)
        world.leave_pack(70)
        world.forget({0})
        repository = Repository(Stopping(world.storage, budget), world.config, world.master, "key")
        repository.load_index(None)
        plan = plan_prune(repository, allowed)
        try:
            apply_prune(repository, plan)
        except Stopped:
            world.check_everything()
            check_prune(world, allowed)
        else:
            assert budget > 0
            break
