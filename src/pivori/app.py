"""The composition root: from settings to the parts a command works with. Nothing else builds them.

Every part can be replaced by keyword, which is how tests run a command on a storage in memory, at any time they like.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from pivori.clock import Clock, SystemClock
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.host import (
    ProcessIdentity,
    ProcessMark,
    available_processors,
    booted_ns,
    collect_rarely,
    folder_lock,
    forbid_core_dumps,
    is_alive,
)
from pivori.repository import NoRepository, Repository, format_time
from pivori.repository.locks import Holder, Lock, LockNotes, Witness, acquire
from pivori.settings import PasswordFrom, Secret, Settings
from pivori.settings.credentials import Ask, KeyFileMissing, NoPassword, find_password, make_key_file
from pivori.storage import AlreadyExists, Kind, NotFound, Storage, open_storage
from pivori.storage.base import CONFIG_NAME
from pivori.storage.wrap import ReadOnlyStorage, RetryStorage
from pivori.translation import N_

__all__ = [
    "Access",
    "App",
    "ConfigMissing",
    "Created",
    "LockNeeded",
    "Opened",
    "RepositoryExists",
    "Storage",
]


class Access(Enum):
    """What a command is about to do with a repository, which decides the lock it takes."""

    READ = "read"
    """A shared lock, or none with ``--no-lock``; nothing but locks can be written."""
    APPEND = "append"
    """A shared lock: objects are added, nothing is taken away."""
    CHANGE = "change"
    """An exclusive lock."""
    INSPECT = "inspect"
    """No lock at all, for who looks after locks and keys; nothing is protected from others."""


class LockNeeded(PivoriError):
    """``--no-lock`` was given to a command that changes the repository."""

    code = "lock-needed"
    message = N_("This command changes the repository, so it cannot do without a lock.")
    hint = N_("Leave out --no-lock; --retry-lock waits until the repository is free.")
    exit_status = 2


class RepositoryExists(AlreadyExists):
    """A new repository was asked for where one is."""

    code = "repository-exists"
    message = N_("There is a repository at {location} already.")
    hint = N_("Work with it, or choose an empty place for a new one.")


class ConfigMissing(PivoriError):
    """The place holds parts of a repository, but no config: a new one would hide what is left of it."""

    code = "config-missing"
    message = N_("{location} holds what is left of a repository, without its file `config`.")
    hint = N_("Restore the file `config` from a copy, or choose an empty place for a new repository.")
    exit_status = 10


@dataclass(frozen=True, kw_only=True)
class Created:
    """A repository that was just made; ``key_file`` when a generated key opens it."""

    id: str
    location: str
    key_file: Path | None


class Opened(NamedTuple):
    """An open repository with the lock that protects the work on it; no lock where none was wanted."""

    repository: Repository
    lock: Lock | None


class _Hold:
    """The lock of one opening, known from before it is written, so that no interruption can hide it."""

    def __init__(self) -> None:
        self._lock: Lock | None = None

    def keep(self, lock: Lock) -> None:
        """Be in charge of this lock; one before it was given up."""
        self._lock = lock

    def release(self) -> None:
        """Give the lock back, if there is one; may be called again."""
        if self._lock is not None:
            self._lock.release()


def _ignore(_fact: object) -> None:
    """Takes what nobody wants to hear."""


def _nobody_to_ask(_new: bool) -> Secret:
    raise NoPassword(repository="")


class App:
    """The parts of one run: ``settings``, ``clock``, ``identity``, and on demand storage, password and repository.

    ``emit`` hears what happens to locks; ``on_damage`` of key objects that cannot be read while another one opens.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ask: Ask = _nobody_to_ask,
        emit: Callable[[Event], None] = _ignore,
        on_damage: Callable[[PivoriError], None] = _ignore,
        storage: Storage | None = None,
        clock: Clock | None = None,
        identity: ProcessIdentity | None = None,
        processors: int | None = None,
    ) -> None:
        forbid_core_dumps()
        collect_rarely()
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.identity = identity or ProcessIdentity.current()
        self.processors = processors or available_processors()
        self._ask = ask
        self._emit = emit
        self._on_damage = on_damage
        self._storage = storage
        self._password: Secret | None = None
        self._holds: list[_Hold] = []

    def storage(self) -> Storage:
        """The repository's medium; what fails for a moment is tried again."""
        if self._storage is None:
            self._storage = RetryStorage(open_storage(self.settings.repository), self.clock)
        return self._storage

    def close(self) -> None:
        """Release what the storage holds open, and what an interruption kept from being given back."""
        for hold in self._holds:
            hold.release()
        if self._storage is not None:
            self._storage.close()

    def password(self, *, new: bool = False) -> Secret:
        """The repository's password; ``new`` when it is about to be set. Asked for once."""
        if self._password is None:
            self._password = find_password(self.settings.password, self.storage().location, ask=self._ask, new=new)
        return self._password

    @contextmanager
    def open_repository(self, access: Access, *, index: bool = True, confirm_later: bool = False) -> Iterator[Opened]:
        """The repository, opened and locked as ``access`` needs it, with its index loaded unless ``index`` is false.

        With ``confirm_later`` the caller calls ``lock.confirm()`` before it writes anything; until then the wait for
        other lockers goes on beside its reading. Raises NoRepository, ConfigMissing, ConfigDamaged, WrongPassword,
        RepositoryLocked, LockNeeded and what :meth:`password` raises.
        """
        if access in (Access.APPEND, Access.CHANGE) and not self.settings.lock:
            raise LockNeeded()
        storage = self.storage()
        self._demand_config(storage)
        if access is Access.READ:
            storage = ReadOnlyStorage(storage, allow_locks=True)
        repository = Repository.open(storage, self.password().reveal(), on_damage=self._on_damage)
        repository.remember(self.settings.cache_directory)
        with self._locked(repository, access, confirm_later) as lock:
            if index:
                repository.load_index(self.settings.cache_directory)
            yield Opened(repository, lock)

    def witness(self, repository: Repository) -> Witness:
        """What this machine can say about the holders of the repository's locks."""
        identity, state = self.identity, self.settings.state_directory
        return Witness(
            holder=Holder(identity.hostname, identity.username, identity.pid, identity.uid, identity.gid),
            process_alive=is_alive,
            notes=LockNotes(state / repository.id / "locks" if state else None, ProcessMark.current()),
            booted_ns=booted_ns(),
        )

    def create_repository(self) -> Created:
        """Make a repository on an empty medium.

        Raises RepositoryExists, ConfigMissing and what :meth:`password` raises.

        For the default repository the key file is made too, unless a password comes from elsewhere.
        """
        storage = self.storage()
        if self._is_there():
            raise RepositoryExists(location=storage.location)
        self._refuse_remains(storage)
        source = self.settings.password
        key_file = source.path if source.kind is PasswordFrom.KEY_FILE else None
        if key_file is not None:
            # The key first: an interruption leaves a key without a repository, never the reverse.
            make_key_file(key_file)
        repository = Repository.create(
            storage,
            self.password(new=True).reveal(),
            username=self.identity.username,
            hostname=self.identity.hostname,
            created=format_time(self.clock.now_ns()),
            cache_directory=self.settings.cache_directory,
        )
        return Created(id=repository.id, location=storage.location, key_file=key_file)

    def ensure_default_repository(self) -> Created | None:
        """Make the default repository when there is none; None when nothing had to be made, or another one is used.

        Two first runs at once make one repository. Raises KeyFileMissing when there is a repository whose key file is
        gone, and what :meth:`create_repository` raises.
        """
        settings = self.settings
        if not settings.repository_is_default or settings.key_file is None:
            return None
        if self._is_there():
            if settings.password.kind is PasswordFrom.KEY_FILE and not settings.key_file.exists():
                raise KeyFileMissing(repository=self.storage().location, path=settings.key_file)
            return None
        with folder_lock(settings.key_file.parent):
            return None if self._is_there() else self.create_repository()

    def _is_there(self) -> bool:
        """Whether the storage holds a repository."""
        try:
            self.storage().size(Kind.CONFIG, CONFIG_NAME)
        except NotFound:
            return False
        return True

    def _demand_config(self, storage: Storage) -> None:
        """Say that there is no repository, or only what is left of one, before anybody is asked for its password."""
        if not self._is_there():
            self._refuse_remains(storage)
            raise NoRepository(location=storage.location)

    def _refuse_remains(self, storage: Storage) -> None:
        """Refuse a place where a repository was."""
        for kind in (Kind.SNAPSHOT, Kind.INDEX):
            with suppress(NotFound):  # what a medium says where nothing was ever made
                if next(iter(storage.list(kind)), None) is not None:
                    raise ConfigMissing(location=storage.location)

    @contextmanager
    def _locked(self, repository: Repository, access: Access, confirm_later: bool) -> Iterator[Lock | None]:
        """Hold the lock that ``access`` needs."""
        if access is Access.INSPECT or not self.settings.lock:
            yield None
            return
        hold = _Hold()
        self._holds.append(hold)
        # An interruption comes once at most. Should it come where the inner clean-up begins, the outer one does it;
        # should it come between the lines of the machinery of `with`, `close` does.
        try:
            try:
                yield acquire(
                    repository.objects,
                    witness=self.witness(repository),
                    exclusive=access is Access.CHANGE,
                    clock=self.clock,
                    emit=self._emit,
                    wait_seconds=self.settings.retry_lock,
                    confirm_later=confirm_later,
                    announce=hold.keep,
                )
            finally:
                hold.release()
        finally:
            hold.release()
