"""The media that hold a repository's objects, and the one way to open them."""

from pivori.storage.base import (
    AccessDenied,
    AlreadyExists,
    ImpossibleName,
    Item,
    Kind,
    NoSpace,
    NotFound,
    ReadOnly,
    Storage,
    StorageError,
    TemporaryStorageError,
)
from pivori.storage.local import LocalStorage
from pivori.storage.location import NoStorageAddress, UnknownStorageScheme, open_storage
from pivori.storage.memory import MemoryStorage
from pivori.storage.wrap.discard import DiscardingStorage

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "DiscardingStorage",
    "ImpossibleName",
    "Item",
    "Kind",
    "LocalStorage",
    "MemoryStorage",
    "NoSpace",
    "NoStorageAddress",
    "NotFound",
    "ReadOnly",
    "Storage",
    "StorageError",
    "TemporaryStorageError",
    "UnknownStorageScheme",
    "open_storage",
]
