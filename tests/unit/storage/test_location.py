"""Which storage an address means."""

from pathlib import Path

import pytest

from pivori.storage import LocalStorage, MemoryStorage, NoStorageAddress, UnknownStorageScheme, open_storage


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/srv/backup", "/srv/backup"),
        ("local:/srv/backup", "/srv/backup"),
        ("/srv/a:b", "/srv/a:b"),
        ("local:/srv/s3:b", "/srv/s3:b"),
        (Path("/srv/backup"), "/srv/backup"),
    ],
)
def test_a_path_is_a_local_storage(address: str | Path, path: str) -> None:
    storage = open_storage(address)
    assert isinstance(storage, LocalStorage)
    assert storage.path == Path(path)


def test_relative_paths_and_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    locations = [open_storage(address).location for address in ("a/b", "local:a", "./s3:a", "~/a", "local:~/a")]
    assert locations == [
        f"{tmp_path}/a/b",
        f"{tmp_path}/a",
        f"{tmp_path}/s3:a",
        "/home/somebody/a",
        "/home/somebody/a",
    ]
    assert open_storage(Path("~/a")).location == f"{tmp_path}/~/a"
    assert open_storage("~nobody-of-this-name/a").location == f"{tmp_path}/~nobody-of-this-name/a"


def test_memory_is_a_new_one_each_time() -> None:
    first, second = open_storage("memory:"), open_storage("memory:")
    assert isinstance(first, MemoryStorage)
    assert first is not second


def test_an_unknown_scheme_names_the_known_ones_and_no_secret() -> None:
    with pytest.raises(UnknownStorageScheme) as unknown:
        open_storage("ftp:user:secret@host/path")
    assert unknown.value.code == "unknown-storage-scheme"
    assert str(unknown.value) == "There is no storage of the kind `ftp:`; known are `local:`."
    assert "secret" not in repr(unknown.value.details)


@pytest.mark.parametrize("address", ["", "local:"])
def test_an_empty_address_is_not_the_present_folder(address: str) -> None:
    with pytest.raises(NoStorageAddress):
        open_storage(address)
