"""What every medium must do, as a test suite; a new medium is done when it passes.

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self, tmp_path):
            storage = MyStorage(tmp_path)
            yield storage
            storage.close()

The fixture gives a medium that is empty and on which ``create`` was not called yet. A medium that takes no
deletions, or replaces nothing, says so with ``deletes`` and ``replaces``.
"""

# ruff: noqa: D102, S101 - a test says by its name what it holds, and by assertions

import hashlib
import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import pytest

from pivori.storage import AlreadyExists, ImpossibleName, Item, Kind, NotFound, Storage, StorageError

NAMED_KINDS = tuple(kind for kind in Kind if kind is not Kind.CONFIG)
_LARGE_SIZE = 20 * 2**20


def name_of(content: bytes) -> str:
    """The name an object with this content has."""
    return hashlib.sha256(content).hexdigest()


def put_content(storage: Storage, kind: Kind, content: bytes) -> str:
    """Put an object named after its content; returns the name."""
    name = name_of(content)
    storage.put(kind, name, [content])
    return name


def _put_as(storage: Storage, kind: Kind, name: str, content: bytes) -> None:
    storage.put(kind, name, [content])


def _put_durably(storage: Storage, kind: Kind, content: bytes) -> None:
    put_content(storage, kind, content)
    storage.sync()


def _work(storage: Storage, content: bytes) -> None:
    """What a worker process does; it ends with an error when this raises."""
    _put_durably(storage, Kind.PACK, content)
    storage.close()


def _outcomes(call: Callable[[bytes], None], contents: Sequence[bytes]) -> list[type[StorageError] | None]:
    """Call with each of ``contents`` at once; for each the kind of error, or nothing."""

    def outcome(content: bytes) -> type[StorageError] | None:
        try:
            call(content)
        except StorageError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(len(contents)) as threads:
        return list(threads.map(outcome, contents))


class StorageContract:
    """The tests. Subclass it under a name pytest collects and give it a ``storage`` fixture."""

    deletes = True
    """Whether objects other than locks can be deleted."""
    replaces = True
    """Whether an object is replaced by one of the same name and another size."""

    @pytest.fixture
    def medium(self, storage: Storage) -> Storage:
        """The storage under test, created."""
        storage.create()
        return storage

    def test_has_a_location_for_people(self, storage: Storage) -> None:
        assert storage.location

    def test_where_nothing_was_created_there_is_no_repository(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            storage.get(Kind.CONFIG, "config")
        with pytest.raises(NotFound):
            list(storage.list(Kind.SNAPSHOT))
        for kind in (Kind.LOCK, Kind.PACK):
            with pytest.raises(NotFound):
                _put_durably(storage, kind, b"content")

    def test_creating_twice_is_no_error_before_there_is_a_config(self, medium: Storage) -> None:
        medium.create()

    def test_creating_where_a_config_is_raises(self, medium: Storage) -> None:
        medium.put(Kind.CONFIG, "config", [b"config"])
        with pytest.raises(AlreadyExists):
            medium.create()
        assert medium.get(Kind.CONFIG, "config") == b"config"

    @pytest.mark.parametrize("kind", NAMED_KINDS)
    def test_what_was_put_comes_back(self, medium: Storage, kind: Kind) -> None:
        name = put_content(medium, kind, b"content")
        assert medium.get(kind, name) == b"content"
        assert medium.size(kind, name) == 7
        assert list(medium.list(kind)) == [Item(name, 7)]

    def test_the_config_comes_back(self, medium: Storage) -> None:
        assert list(medium.list(Kind.CONFIG)) == []
        medium.put(Kind.CONFIG, "config", [b"con", b"tent"])
        assert medium.get(Kind.CONFIG, "config") == b"content"
        assert medium.size(Kind.CONFIG, "config") == 7
        assert list(medium.list(Kind.CONFIG)) == [Item("config", 7)]

    def test_kinds_are_apart(self, medium: Storage) -> None:
        name = put_content(medium, Kind.INDEX, b"content")
        for kind in NAMED_KINDS:
            if kind is not Kind.INDEX:
                assert list(medium.list(kind)) == []
                with pytest.raises(NotFound):
                    medium.get(kind, name)

    @pytest.mark.parametrize("kind", [Kind.PACK, Kind.KEY])
    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, None, b"0123456789"),
            (4, None, b"456789"),
            (0, 3, b"012"),
            (4, 3, b"456"),
            (4, 0, b""),
            (8, 5, b"89"),
            (9, 1, b"9"),
            (10, 1, b""),
            (10, None, b""),
            (2**70, 1, b""),
            (0, 2**70, b"0123456789"),
        ],
    )
    def test_a_range_ends_where_the_object_ends(
        self, medium: Storage, kind: Kind, offset: int, length: int | None, expected: bytes
    ) -> None:
        name = put_content(medium, kind, b"0123456789")
        assert medium.get(kind, name, offset, length) == expected

    @pytest.mark.parametrize("kind", NAMED_KINDS)
    def test_what_is_not_there_is_not_found(self, medium: Storage, kind: Kind) -> None:
        with pytest.raises(NotFound):
            medium.get(kind, "a" * 64)
        with pytest.raises(NotFound):
            medium.get(kind, "a" * 64, 1, 1)
        with pytest.raises(NotFound):
            medium.size(kind, "a" * 64)
        if self.deletes or kind is Kind.LOCK:
            with pytest.raises(NotFound):
                medium.delete(kind, "a" * 64)

    @pytest.mark.parametrize("name", ["", "config", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n", "g" * 64])
    def test_impossible_names_are_refused(self, medium: Storage, name: str) -> None:
        for kind in (Kind.PACK, Kind.LOCK):
            with pytest.raises(ImpossibleName):
                medium.get(kind, name)
            with pytest.raises(ImpossibleName):
                medium.size(kind, name)
            with pytest.raises(ImpossibleName):
                medium.put(kind, name, [b"content"])
        with pytest.raises(ImpossibleName):
            medium.delete(Kind.LOCK, name)
        with pytest.raises(ImpossibleName):
            medium.put(Kind.CONFIG, "a" * 64, [b"content"])
        assert [item for kind in Kind for item in medium.list(kind)] == []

    def test_an_object_may_be_empty(self, medium: Storage) -> None:
        first = name_of(b"")
        medium.put(Kind.PACK, first, [])
        medium.put(Kind.INDEX, first, [b"", b""])
        for kind in (Kind.PACK, Kind.INDEX):
            assert medium.get(kind, first) == b""
            assert list(medium.list(kind)) == [Item(first, 0)]

    @pytest.mark.parametrize("kind", [Kind.PACK, Kind.INDEX])
    def test_a_large_object_of_many_parts_and_types(self, medium: Storage, kind: Kind) -> None:
        block = hashlib.shake_128(b"large").digest(2**20)
        content = block * (_LARGE_SIZE // len(block))
        whole = memoryview(content)
        # Odd sizes, thousands of parts, each type a caller may use, and empty ones in between.
        cuts = [*range(0, _LARGE_SIZE, 4099), _LARGE_SIZE]
        parts: list[bytes | bytearray | memoryview] = [b""]
        for number, (start, end) in enumerate(pairwise(cuts)):
            piece = whole[start:end]
            parts.append((piece, bytes(piece), bytearray(piece))[number % 3])
        parts.append(memoryview(b""))
        name = name_of(content)
        medium.put(kind, name, parts)
        assert medium.size(kind, name) == _LARGE_SIZE
        assert medium.get(kind, name) == content
        assert medium.get(kind, name, 2**20 - 7, 5000) == content[2**20 - 7 : 2**20 + 4993]

    def test_buffers_are_the_callers_again_after_put(self, medium: Storage) -> None:
        content = hashlib.shake_128(b"buffer").digest(2**20)
        buffer = bytearray(content)
        name = name_of(content)
        medium.put(Kind.PACK, name, [buffer])
        buffer[:] = bytes(len(buffer))
        buffer.clear()
        medium.sync()
        assert medium.get(Kind.PACK, name) == content

    @pytest.mark.parametrize("kind", NAMED_KINDS)
    def test_putting_the_same_again_does_nothing(self, medium: Storage, kind: Kind) -> None:
        name = put_content(medium, kind, b"content")
        medium.put(kind, name, [b"another"])
        medium.sync()
        assert medium.get(kind, name) == b"content"
        assert list(medium.list(kind)) == [Item(name, 7)]

    @pytest.mark.parametrize("kind", [Kind.PACK, Kind.INDEX])
    def test_an_object_of_another_size_is_replaced(self, medium: Storage, kind: Kind) -> None:
        name = name_of(b"content")
        medium.put(kind, name, [b"cont"])
        if not self.replaces:
            with pytest.raises(StorageError):
                medium.put(kind, name, [b"content"])
            assert medium.get(kind, name) == b"cont"
            return
        medium.put(kind, name, [b"content"])
        assert medium.get(kind, name) == b"content"
        assert list(medium.list(kind)) == [Item(name, 7)]

    def test_the_config_is_put_once(self, medium: Storage) -> None:
        medium.put(Kind.CONFIG, "config", [b"first"])
        for content in (b"first", b"second"):
            with pytest.raises(AlreadyExists):
                medium.put(Kind.CONFIG, "config", [content])
        assert medium.get(Kind.CONFIG, "config") == b"first"

    def test_of_many_configs_at_once_one_wins(self, medium: Storage) -> None:
        contents = [b"%d" % number * (number + 1) for number in range(8)]
        outcomes = _outcomes(lambda content: medium.put(Kind.CONFIG, "config", [content]), contents)
        assert sorted(outcome is None for outcome in outcomes) == [False] * 7 + [True]
        assert {outcome for outcome in outcomes if outcome is not None} == {AlreadyExists}
        assert medium.get(Kind.CONFIG, "config") == contents[outcomes.index(None)]

    def test_listing_names_every_object_with_its_size(self, medium: Storage) -> None:
        contents = [b"%d" % number * number for number in range(1, 60)]
        expected = {Item(put_content(medium, Kind.PACK, content), len(content)) for content in contents}
        listed = list(medium.list(Kind.PACK))
        assert len(listed) == len(expected)
        assert set(listed) == expected

    def test_a_deleted_object_is_gone(self, medium: Storage) -> None:
        kinds = NAMED_KINDS if self.deletes else (Kind.LOCK,)
        for kind in kinds:
            kept, name = (put_content(medium, kind, content) for content in (b"kept", b"content"))
            medium.delete(kind, name)
            assert list(medium.list(kind)) == [Item(kept, 4)]
            with pytest.raises(NotFound):
                medium.get(kind, name)
            with pytest.raises(NotFound):
                medium.delete(kind, name)
            assert put_content(medium, kind, b"content") == name
            assert medium.get(kind, name) == b"content"

    def test_a_config_can_be_deleted_and_put_anew(self, medium: Storage) -> None:
        if self.deletes:
            medium.put(Kind.CONFIG, "config", [b"first"])
            medium.delete(Kind.CONFIG, "config")
            medium.put(Kind.CONFIG, "config", [b"second"])
            assert medium.get(Kind.CONFIG, "config") == b"second"

    def test_listing_bears_deletion_in_between(self, medium: Storage) -> None:
        names = {put_content(medium, Kind.LOCK, b"%d" % number) for number in range(20)}
        listed = set()
        for item in medium.list(Kind.LOCK):
            listed.add(item.name)
            medium.delete(Kind.LOCK, item.name)
        assert listed <= names
        assert {item.name for item in medium.list(Kind.LOCK)} == names - listed

    def test_a_put_that_fails_leaves_nothing(self, medium: Storage) -> None:
        gone = memoryview(b"content")
        gone.release()
        for kind in NAMED_KINDS:
            with pytest.raises((TypeError, ValueError)):
                medium.put(kind, "a" * 64, [b"content", gone])
            medium.sync()
            assert list(medium.list(kind)) == []
            with pytest.raises(NotFound):
                medium.size(kind, "a" * 64)

    def test_threads_may_share_it(self, medium: Storage) -> None:
        contents = [hashlib.shake_128(b"%d" % number).digest(100_000 + number) for number in range(16)]

        def use(content: bytes) -> None:
            for kind in (Kind.PACK, Kind.INDEX):
                name = put_content(medium, kind, content)
                assert medium.get(kind, name) == content
                assert medium.get(kind, name, 10, 10) == content[10:20]
                assert Item(name, len(content)) in set(medium.list(kind))
            medium.sync()

        assert _outcomes(use, contents) == [None] * len(contents)
        assert {item.name for item in medium.list(Kind.PACK)} == {name_of(content) for content in contents}

    def test_threads_may_put_the_same_object(self, medium: Storage) -> None:
        content = hashlib.shake_128(b"same").digest(2**20)
        for kind in (Kind.PACK, Kind.INDEX):
            name = name_of(content)
            outcomes = _outcomes(partial(_put_as, medium, kind, name), [content] * 8)
            assert outcomes == [None] * 8
            medium.sync()
            assert list(medium.list(kind)) == [Item(name, len(content))]
            assert medium.get(kind, name) == content

    def test_sync_may_come_at_any_time(self, medium: Storage) -> None:
        medium.sync()
        name = put_content(medium, Kind.PACK, b"content")
        medium.sync()
        medium.sync()
        assert medium.get(Kind.PACK, name) == b"content"

    def test_a_pickled_copy_works_on_the_same_objects(self, medium: Storage) -> None:
        if not medium.shareable:
            with pytest.raises(TypeError):
                pickle.dumps(medium)
            return
        put_content(medium, Kind.PACK, b"on its way")
        copy: Storage = pickle.loads(pickle.dumps(medium))  # noqa: S301 - it was made on the line itself
        name = put_content(copy, Kind.PACK, b"content")
        copy.sync()
        copy.close()
        assert medium.get(Kind.PACK, name) == b"content"
        assert copy.location == medium.location

    def test_another_process_works_on_the_same_objects(self, medium: Storage) -> None:
        if medium.shareable:
            worker = multiprocessing.get_context("spawn").Process(target=_work, args=(medium, b"content"))
            worker.start()
            worker.join()
            assert worker.exitcode == 0
            assert medium.get(Kind.PACK, name_of(b"content")) == b"content"
