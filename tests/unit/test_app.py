"""The composition root: first runs, interrupted ones, locks as the access needs them."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import pivori.app
from pivori.app import Access, App, ConfigMissing, LockNeeded, RepositoryExists
from pivori.clock import SystemClock
from pivori.errors import PivoriError
from pivori.host import ProcessIdentity
from pivori.repository import held_lock, keys
from pivori.repository import locks as locks_module
from pivori.repository.locks import Lock, RepositoryLocked
from pivori.repository.repository import NoRepository, Repository
from pivori.settings import Choices, Environment, PasswordFrom, PasswordSource, Secret, Settings
from pivori.settings.credentials import KeyFileMissing, KeyFilePermissions, NoPassword
from pivori.settings.resolve import resolve
from pivori.storage import Kind, MemoryStorage, ReadOnly, Storage
from pivori.storage.wrap import WrappedStorage
from tests.interrupting import Interruption

ME = ProcessIdentity(hostname="here", username="ada", uid=1, gid=1, pid=os.getpid())


@pytest.fixture
def defaults(tmp_path: Path) -> Settings:
    return resolve(Environment(home=tmp_path), Choices())


@pytest.fixture
def elsewhere() -> Settings:
    password = PasswordSource(kind=PasswordFrom.ENVIRONMENT, value=Secret("pw"))
    return Settings(
        repository="memory:", repository_is_default=False, password=password, key_file=None, cache_directory=None
    )


class HastyClock(SystemClock):
    """Never waits."""

    def sleep(self, seconds: float) -> None:
        """Let no time pass."""


class Dies(Exception):
    """The process ends here."""


class DyingStorage(WrappedStorage):
    """Ends at the first write of a kind."""

    def __init__(self, inner: Storage, kind: Kind) -> None:
        super().__init__(inner)
        self.kind = kind

    def put(self, kind: Kind, name: str, parts: object) -> None:
        if kind is self.kind:
            raise Dies
        super().put(kind, name, parts)


def test_the_first_run_makes_repository_and_key(defaults: Settings) -> None:
    created = App(defaults).ensure_default_repository()
    assert created is not None
    assert created.key_file == defaults.key_file
    assert created.location == defaults.repository
    again = App(defaults)
    assert again.ensure_default_repository() is None
    with again.open_repository(Access.READ) as (repository, _lock):
        assert repository.id == created.id


@pytest.mark.parametrize("kind", [Kind.KEY, Kind.CONFIG])
def test_a_first_run_that_was_interrupted_is_taken_up(defaults: Settings, kind: Kind) -> None:
    # Several times: the keys that are left behind are tried in an order that is chance.
    storage = App(defaults).storage()
    for _ in range(8):
        with pytest.raises(Dies):
            App(defaults, storage=DyingStorage(storage, kind)).ensure_default_repository()
    assert defaults.key_file is not None
    key = defaults.key_file.read_bytes()
    created = App(defaults).ensure_default_repository()
    assert created is not None
    assert defaults.key_file.read_bytes() == key
    with App(defaults).open_repository(Access.APPEND) as (repository, _lock):
        assert repository.id == created.id


def test_a_repository_without_its_key_is_never_replaced(defaults: Settings) -> None:
    App(defaults).ensure_default_repository()
    assert defaults.key_file is not None
    config = Path(defaults.repository, "config").read_bytes()
    defaults.key_file.unlink()
    with pytest.raises(KeyFileMissing):
        App(defaults).ensure_default_repository()
    assert not defaults.key_file.exists()
    assert Path(defaults.repository, "config").read_bytes() == config


def test_the_default_repository_with_a_password_of_ones_own(defaults: Settings) -> None:
    password = PasswordSource(kind=PasswordFrom.ENVIRONMENT, value=Secret("mine"))
    settings = replace(defaults, password=password)
    created = App(settings).ensure_default_repository()
    assert created is not None
    assert created.key_file is None
    assert settings.key_file is not None
    assert not settings.key_file.exists()
    assert App(settings).ensure_default_repository() is None


def test_other_repositories_are_not_made_by_themselves(elsewhere: Settings) -> None:
    storage = MemoryStorage()
    assert App(elsewhere, storage=storage).ensure_default_repository() is None
    with pytest.raises(NoRepository), App(elsewhere, storage=storage).open_repository(Access.READ):
        pass


def test_a_loose_key_file_is_refused(defaults: Settings) -> None:
    App(defaults).ensure_default_repository()
    assert defaults.key_file is not None
    defaults.key_file.chmod(0o644)
    with pytest.raises(KeyFilePermissions), App(defaults).open_repository(Access.READ):
        pass


def test_what_is_left_of_a_repository_is_not_built_over(defaults: Settings) -> None:
    app = App(defaults)
    app.create_repository()
    with pytest.raises(RepositoryExists):
        app.create_repository()
    with app.open_repository(Access.APPEND) as (repository, _lock):
        repository.objects.save_unpacked(Kind.INDEX, b"{}")
    Path(defaults.repository, "config").unlink()
    with pytest.raises(ConfigMissing):
        App(defaults).ensure_default_repository()


def test_nobody_is_asked_for_the_password_of_nothing(elsewhere: Settings) -> None:
    settings = replace(elsewhere, password=PasswordSource(kind=PasswordFrom.TERMINAL))
    with pytest.raises(NoRepository), App(settings, storage=MemoryStorage()).open_repository(Access.READ):
        pass
    with pytest.raises(NoPassword):
        App(settings, storage=MemoryStorage()).create_repository()


@pytest.fixture
def app(elsewhere: Settings) -> Iterator[App]:
    app = App(elsewhere, storage=MemoryStorage(), identity=ME)
    app.create_repository()
    yield app
    app.close()


def locks(app: App) -> int:
    return len(list(app.storage().list(Kind.LOCK)))


@pytest.mark.parametrize(
    ("access", "exclusive"),
    [(Access.READ, False), (Access.APPEND, False), (Access.CHANGE, True)],
)
def test_the_lock_fits_the_access(app: App, access: Access, exclusive: bool) -> None:
    with app.open_repository(access) as (_repository, lock):
        assert lock is not None
        assert lock.exclusive is exclusive
        assert locks(app) == 1
        other = App(app.settings, storage=app.storage(), identity=replace(ME, pid=os.getppid()))
        with pytest.raises(RepositoryLocked), other.open_repository(Access.CHANGE):
            pass
    assert locks(app) == 0


def test_reading_cannot_write(app: App) -> None:
    with app.open_repository(Access.READ) as (repository, _lock), pytest.raises(ReadOnly):
        repository.objects.save_unpacked(Kind.SNAPSHOT, b"{}")
    assert locks(app) == 0


def test_without_a_lock_one_may_only_read(app: App) -> None:
    free = App(replace(app.settings, lock=False), storage=app.storage(), identity=ME)
    with free.open_repository(Access.READ) as (_repository, lock):
        assert lock is None
        assert locks(app) == 0
    for access in (Access.APPEND, Access.CHANGE):
        with pytest.raises(LockNeeded) as caught, free.open_repository(access):
            pass
        assert caught.value.exit_status == 2
    with app.open_repository(Access.INSPECT) as (_repository, lock):
        assert lock is None


def test_an_error_gives_the_lock_back(app: App) -> None:
    with pytest.raises(Dies), app.open_repository(Access.CHANGE):
        raise Dies
    assert locks(app) == 0


def test_an_interruption_while_the_lock_is_given_back(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    release, calls = Lock.release, []

    def interrupted(lock: Lock) -> None:
        calls.append(lock)
        if len(calls) == 1:
            raise KeyboardInterrupt
        release(lock)

    monkeypatch.setattr(Lock, "release", interrupted)
    with pytest.raises(KeyboardInterrupt), app.open_repository(Access.CHANGE):
        pass
    assert len(calls) == 2
    assert locks(app) == 0


@pytest.mark.parametrize("module", [pivori.app, held_lock, locks_module, contextlib], ids=lambda each: each.__name__)
def test_an_interruption_at_any_place_leaves_no_lock(
    elsewhere: Settings, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a command opens a repository, and closes its parts in any case."""
    monkeypatch.setattr(keys, "SCRYPT_N", 1 << 10)
    app = App(elsewhere, storage=MemoryStorage(), identity=ME)
    app.create_repository()
    for step in itertools.count():
        run = App(elsewhere, storage=app.storage(), identity=ME, clock=HastyClock())
        with Interruption(step, Path(str(module.__file__))) as interruption:
            try:
                with run.open_repository(Access.CHANGE, confirm_later=True) as (_repository, lock):
                    assert lock is not None
                    lock.confirm()
            finally:
                run.close()
                # Looked at while the error is on its way: once it is forgotten, a finalizer may have helped.
                left = locks(app)
        assert left == 0, step
        if not interruption.came:
            break
    assert step > 0


def test_damaged_keys_are_told(app: App) -> None:
    heard: list[PivoriError] = []
    app.storage().put(Kind.KEY, "0" * 64, [b"junk"])
    listening = App(app.settings, storage=app.storage(), identity=ME, on_damage=heard.append)
    with listening.open_repository(Access.READ):
        pass
    assert [error.code for error in heard] == ["key-damaged"]


def test_the_password_is_asked_for_once(elsewhere: Settings) -> None:
    asked: list[bool] = []

    def ask(new: bool) -> Secret:
        asked.append(new)
        return Secret("typed")

    settings = replace(elsewhere, password=PasswordSource(kind=PasswordFrom.TERMINAL))
    app = App(settings, storage=MemoryStorage(), ask=ask, identity=ME)
    app.create_repository()
    with app.open_repository(Access.READ):
        pass
    assert asked == [True]
    assert Repository.open(app.storage(), "typed").id
