"""Storages around a storage, with the same face: each adds one habit and passes everything else on."""

from pivori.storage.wrap.append_only import AppendOnlyStorage
from pivori.storage.wrap.base import WrappedStorage
from pivori.storage.wrap.discard import DiscardingStorage
from pivori.storage.wrap.faults import FaultPlan, FaultStorage
from pivori.storage.wrap.read_only import ReadOnlyStorage
from pivori.storage.wrap.retry import RetryStorage

__all__ = [
    "AppendOnlyStorage",
    "DiscardingStorage",
    "FaultPlan",
    "FaultStorage",
    "ReadOnlyStorage",
    "RetryStorage",
    "WrappedStorage",
]
