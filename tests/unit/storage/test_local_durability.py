"""In which order the local storage makes things durable."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pivori.storage import (
    Kind,
    LocalStorage,
    local_files,
)
from pivori.testing.storage_contract import put_content
from tests.unit.storage.failing import failing


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, repository: Path) -> Iterator[list[tuple[str, str]]]:
    """The calls that make things durable, in order, with the paths they are made on."""
    recorded: list[tuple[str, str]] = []

    def short(path: str | Path) -> str:
        relative = os.path.relpath(path, repository)
        return "temporary" if relative.startswith("tmp/") else relative

    def record(verb: str, real: Callable[..., object], path_of: Callable[..., str | Path]) -> None:
        def call(*arguments: object) -> object:
            entry = (verb, short(path_of(*arguments)))
            result = real(*arguments)
            recorded.append(entry)
            return result

        monkeypatch.setattr(os, real.__name__, call)

    record("flush", os.fsync, lambda descriptor: Path(f"/proc/self/fd/{descriptor}").readlink())
    record("rename", os.rename, lambda _source, target: target)
    record("link", os.link, lambda _source, target: target)
    yield recorded
    monkeypatch.undo()


def test_small_objects_are_durable_at_once(storage: LocalStorage, calls: list[tuple[str, str]]) -> None:
    for kind in (Kind.INDEX, Kind.SNAPSHOT, Kind.KEY, Kind.LOCK):
        calls.clear()
        name = put_content(storage, kind, b"content")
        assert calls == [
            ("flush", "temporary"),
            ("rename", f"{kind.value}/{name}"),
            ("flush", kind.value),
        ]
        calls.clear()
        put_content(storage, kind, b"content")
        assert calls == [("flush", kind.value)]
    calls.clear()
    storage.put(Kind.CONFIG, "config", [b"content"])
    assert calls == [("flush", "temporary"), ("link", "config"), ("flush", ".")]


def test_packs_are_durable_with_sync(storage: LocalStorage, calls: list[tuple[str, str]]) -> None:
    calls.clear()
    names = [put_content(storage, Kind.PACK, b"%d" % number) for number in range(20)]
    storage.size(Kind.PACK, names[-1])
    expected = [entry for name in names for entry in (("flush", "temporary"), ("rename", f"data/{name[:2]}/{name}"))]
    assert calls == expected
    storage.sync()
    folders = sorted({f"data/{name[:2]}" for name in names}, reverse=True)
    # Each folder once, and the folder that holds the new folders after them.
    assert calls[len(expected) :] == [("flush", folder) for folder in [*folders, "data"]]
    calls.clear()
    storage.sync()
    assert calls == []


def test_a_pack_that_was_there_is_durable_with_sync(
    storage: LocalStorage, repository: Path, calls: list[tuple[str, str]]
) -> None:
    name = put_content(storage, Kind.PACK, b"content")
    storage.sync()
    calls.clear()
    another = LocalStorage(repository)
    put_content(another, Kind.PACK, b"content")
    another.sync()
    assert calls == [("flush", f"data/{name[:2]}")]


def test_deletions_are_durable_with_sync(storage: LocalStorage, calls: list[tuple[str, str]]) -> None:
    pack, index = put_content(storage, Kind.PACK, b"content"), put_content(storage, Kind.INDEX, b"content")
    storage.sync()
    calls.clear()
    storage.delete(Kind.INDEX, index)
    storage.delete(Kind.PACK, pack)
    assert calls == []
    storage.sync()
    assert calls == [("flush", "index"), ("flush", f"data/{pack[:2]}")]


def test_creation_is_durable(repository: Path, calls: list[tuple[str, str]]) -> None:
    LocalStorage(repository).create()
    assert calls[:3] == [("flush", "../.."), ("flush", ".."), ("flush", ".")]


def test_a_file_system_that_cannot_flush_is_borne(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOTSUP))
    for kind in (Kind.PACK, Kind.INDEX):
        put_content(storage, kind, b"content")
    storage.sync()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_without_hard_links_the_config_is_still_put_once(
    storage: LocalStorage, repository: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    storage.put(Kind.CONFIG, "config", [b"first"])
    temporary = repository / "tmp" / "second"
    temporary.write_bytes(b"second")
    with pytest.raises(FileExistsError):
        local_files.publish_once(temporary, repository / "config")
    assert storage.get(Kind.CONFIG, "config") == b"first"
