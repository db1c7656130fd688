"""Passwords come and go; one that opens the repository is always left."""

import pytest

from pivori.repository.keyring import (
    AmbiguousKey,
    KeyInUse,
    KeyNotFound,
    KeyNotStored,
    add_password,
    change_password,
    keys,
    remove_password,
)
from pivori.repository.keys import WrongPassword
from pivori.repository.repository import Repository
from pivori.storage import Kind, MemoryStorage

WHO = {"username": "ann", "hostname": "desk", "created": "2025-11-08T12:00:00Z"}


@pytest.fixture
def repository() -> Repository:
    return Repository.create(MemoryStorage(), "first", **WHO)


def opens(repository: Repository, password: str) -> bool:
    try:
        return Repository.open(repository.storage, password).master == repository.master
    except WrongPassword:
        return False


def test_a_second_password_opens_the_same_repository(repository: Repository) -> None:
    name = add_password(repository, "second", **WHO)
    assert opens(repository, "first")
    assert opens(repository, "second")
    assert name in [key.name for key in keys(repository, on_damage=lambda error: pytest.fail(str(error)))]


def test_the_key_in_use_stays(repository: Repository) -> None:
    with pytest.raises(KeyInUse):
        remove_password(repository, repository.key_name[:12])
    assert opens(repository, "first")


def test_another_key_goes(repository: Repository) -> None:
    name = add_password(repository, "second", **WHO)
    assert remove_password(repository, name[:16].upper()) == name
    assert not opens(repository, "second")


def test_a_key_has_to_be_named_exactly(repository: Repository) -> None:
    add_password(repository, "second", **WHO)
    with pytest.raises(KeyNotFound):
        remove_password(repository, "")
    with pytest.raises(KeyNotFound):
        remove_password(repository, "no digits")
    for digit in "0123456789abcdef":
        repository.storage.put(Kind.KEY, digit * 64, [b"{}"])
        repository.storage.put(Kind.KEY, digit + "5" * 62 + "1", [b"{}"])
    with pytest.raises(AmbiguousKey):
        remove_password(repository, "5")


def test_a_damaged_key_can_be_removed(repository: Repository) -> None:
    repository.storage.put(Kind.KEY, "ab" * 32, [b"damaged"])
    assert remove_password(repository, "ab" * 32) == "ab" * 32
    assert len(list(repository.storage.list(Kind.KEY))) == 1


def test_changing_replaces_the_password_in_use_only(repository: Repository) -> None:
    add_password(repository, "second", **WHO)
    name = change_password(repository, "third", **WHO)
    assert repository.key_name == name
    assert [opens(repository, password) for password in ("first", "second", "third")] == [False, True, True]


class ForgetfulStorage(MemoryStorage):
    """A medium that gives back something else than it was given."""

    def put(self, kind, name, parts):
        super().put(kind, name, [b"".join(parts)[:-1] + b" "] if kind is Kind.KEY and self.broken else parts)

    broken = False


def test_a_key_that_does_not_open_changes_nothing() -> None:
    storage = ForgetfulStorage()
    repository = Repository.create(storage, "first", **WHO)
    storage.broken = True
    with pytest.raises(KeyNotStored):
        change_password(repository, "second", **WHO)
    assert opens(repository, "first")
    assert len(list(storage.list(Kind.KEY))) == 1
