"""What a medium must offer to hold a repository: a handful of verbs on named, immutable objects.

An object is addressed by its :class:`Kind` and its name (64 hexadecimal digits; ``config`` for the one object of
kind CONFIG). Objects are written once and never changed. The repository never learns what medium it is on;
retries, append-only, fault injection and the like are wrappers with this same face (``storage/wrap``).
``pivori.testing.storage_contract`` holds every sentence of this module as a test; a new medium passes it.

A storage is picklable when ``shareable`` is true: worker processes then get a copy and work on the same objects.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from pivori.errors import PivoriError
from pivori.translation import N_


class Kind(StrEnum):
    """The kinds of objects of a repository; the value is the folder's (or, for CONFIG, the object's) name."""

    CONFIG = "config"
    KEY = "keys"
    LOCK = "locks"
    SNAPSHOT = "snapshots"
    INDEX = "index"
    PACK = "data"


CONFIG_NAME = "config"
"""The name of the one object of kind CONFIG."""

_OBJECT_NAME = re.compile(r"[0-9a-f]{64}")


def is_object_name(kind: Kind, name: str) -> bool:
    """Whether an object of ``kind`` can be called ``name``."""
    return name == CONFIG_NAME if kind is Kind.CONFIG else _OBJECT_NAME.fullmatch(name) is not None


def object_label(kind: Kind, name: str) -> str:
    """What errors call an object: ``config`` or ``kind/name``."""
    return CONFIG_NAME if kind is Kind.CONFIG else f"{kind.value}/{name}"


class Item(NamedTuple):
    """One object in a listing: its name and its size in bytes."""

    name: str
    size: int


class Storage(Protocol):
    """A medium. Methods are safe to call from several threads; every error is a :class:`StorageError`."""

    shareable: bool
    """Whether a pickled copy in another process works on the same objects."""

    @property
    def location(self) -> str:
        """Where this is, for people: a path or an address, never with a password in it."""
        ...

    def create(self) -> None:
        """Prepare an empty medium (folders, buckets). Raises AlreadyExists when it holds a ``config`` already.

        On a medium prepared before, but without ``config``, it does nothing.
        """
        ...

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read an object, or ``length`` bytes of it from ``offset``.

        Fewer bytes than asked come back when the object ends early: the caller checks. Memory is taken for what is
        there, never for what is asked. Raises NotFound.
        """
        ...

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write a new object whose content is ``parts`` joined. It appears whole or not at all.

        The buffers belong to the caller again on return. The object is visible at once through this storage; to
        others, and durable, at the latest when the next :meth:`sync` returns. For kinds other than PACK it is so on
        return. A PACK may therefore fail after its put returned: then the next put (but of a LOCK) and every sync
        from there on raise, and never as a retryable error.

        Putting a name that is there already, with the same size, does nothing (names are hashes of the content);
        with another size the damaged object is replaced. CONFIG raises AlreadyExists instead, and of several who
        put it at once one succeeds. Nothing is left behind on failure. Raises NotFound when there is no
        repository to put it in, and NoSpace, AccessDenied.
        """
        ...

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object. Raises NotFound when it is not there."""
        ...

    def list(self, kind: Kind) -> Iterator[Item]:
        """Every object of a kind, in no particular order; names that cannot be object names are left out.

        Objects put or deleted during the listing may be in it or not. Raises NotFound when there is no repository.
        """
        ...

    def size(self, kind: Kind, name: str) -> int:
        """The size of an object in bytes. Raises NotFound."""
        ...

    def sync(self) -> None:
        """Return when everything put or deleted before through this very object survives a power cut.

        A copy in another process answers for its own work only: each worker syncs before it reports.
        """
        ...

    def close(self) -> None:
        """Release what is held open. The storage is not used afterwards.

        Raises a failure to store a PACK that nothing has raised so far.
        """
        ...


OPERATIONS = (N_("create"), N_("read"), N_("write"), N_("delete"), N_("list"), N_("sync"))
"""What is asked of a medium, as errors name it."""


class StorageError(PivoriError):
    """The medium could not do what was asked of it."""

    code = "storage-failed"
    message = N_("{location}: {operation} of {name} failed: {reason}.")
    hint = N_("Check that the medium is connected, healthy and writable, then run the command again.")


class TemporaryStorageError(StorageError):
    """A failure that may pass (a timeout, an interrupted call): the retry wrapper tries again."""

    code = "storage-unreliable"
    retryable = True


class ImpossibleName(StorageError):
    """The name is not one an object can have; no medium is asked for it."""

    code = "impossible-object-name"
    message = N_("{location}: {name} cannot be the name of an object.")
    hint = N_("Run `pivori verify`: something in the repository refers to an object that cannot exist.")


class NotFound(StorageError):
    """The object is not there."""

    code = "not-found-in-storage"
    message = N_("{location}: there is no {name}.")
    hint = N_("Run `pivori verify` to learn what the repository lacks.")


class FolderMissing(NotFound):
    """A folder that every repository has is not there, which is not the same as an empty one."""

    code = "folder-missing"
    message = N_("{location}: the folder {name} is gone, with all that it held.")
    hint = N_("Find out where it went, or put it back from a copy; do not prune before. Only if it was empty: make it.")


class AlreadyExists(StorageError):
    """The object, or a repository, is there already."""

    code = "already-exists"
    message = N_("{location}: {name} exists already.")
    hint = N_("Choose another place, or work with the repository that is there.")


class NoSpace(StorageError):
    """The medium is full."""

    code = "no-space"
    message = N_("{location}: there is no space left to write {name}.")
    hint = N_("Free some space (`pivori forget --prune` needs little), then run the command again.")


class AccessDenied(StorageError):
    """The system refuses the access."""

    code = "storage-access-denied"
    message = N_("{location}: access to {name} is denied.")
    hint = N_("Check the owner and the permissions of the repository.")


class ReadOnly(StorageError):
    """The storage was opened for reading, or takes no deletions."""

    code = "read-only"
    message = N_("{location}: {operation} of {name} is refused, the repository is open {mode}.")
    hint = N_("Run the command without that restriction if the change is wanted.")


def check_name(location: str, operation: str, kind: Kind, name: str) -> None:
    """Raise ImpossibleName unless ``name`` may name an object of ``kind``: it then is safe in a path or address."""
    if not is_object_name(kind, name):
        raise ImpossibleName(location=location, operation=operation, name=object_label(kind, name))
