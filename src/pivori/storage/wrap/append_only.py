"""A storage that only ever grows: what is in it cannot be taken away through it."""

from collections.abc import Sequence

from pivori.storage.base import Kind, NotFound, ReadOnly, object_label
from pivori.storage.wrap.base import WrappedStorage
from pivori.translation import N_


class AppendOnlyStorage(WrappedStorage):
    """Refuses with ReadOnly to delete anything but locks, and to replace an object by one of another size.

    It guards against mistakes of this program's user, not against somebody who can reach the medium otherwise.
    """

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write a new object; see :meth:`Storage.put`."""
        if kind not in (Kind.CONFIG, Kind.LOCK) and self._would_replace(kind, name, parts):
            raise self._refusal("replace", kind, name)
        self.inner.put(kind, name, parts)

    def _would_replace(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> bool:
        try:
            there = self.inner.size(kind, name)
        except NotFound:
            return False
        return there != sum(memoryview(part).nbytes for part in parts)

    def delete(self, kind: Kind, name: str) -> None:
        """Remove a lock; anything else is refused with ReadOnly."""
        if kind is not Kind.LOCK:
            raise self._refusal("delete", kind, name)
        self.inner.delete(kind, name)

    def _refusal(self, operation: str, kind: Kind, name: str) -> ReadOnly:
        label = object_label(kind, name)
        return ReadOnly(location=self.location, operation=operation, name=label, mode=N_("for appending only"))
