"""A storage nothing can be changed in."""

from collections.abc import Sequence

from pivori.storage.base import CONFIG_NAME, Kind, ReadOnly, Storage, object_label
from pivori.storage.wrap.base import WrappedStorage
from pivori.translation import N_


class ReadOnlyStorage(WrappedStorage):
    """Refuses put, delete and create with ReadOnly; locks may pass, so that readers keep prune away."""

    def __init__(self, inner: Storage, allow_locks: bool = False) -> None:
        super().__init__(inner)
        self._allow_locks = allow_locks

    def create(self) -> None:
        """Refused with ReadOnly."""
        raise self._refusal("create", CONFIG_NAME)

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Refused with ReadOnly, but for a lock where locks are allowed."""
        self._require_allowed("write", kind, name)
        self.inner.put(kind, name, parts)

    def delete(self, kind: Kind, name: str) -> None:
        """Refused with ReadOnly, but for a lock where locks are allowed."""
        self._require_allowed("delete", kind, name)
        self.inner.delete(kind, name)

    def _require_allowed(self, operation: str, kind: Kind, name: str) -> None:
        if kind is not Kind.LOCK or not self._allow_locks:
            raise self._refusal(operation, object_label(kind, name))

    def _refusal(self, operation: str, label: str) -> ReadOnly:
        return ReadOnly(location=self.location, operation=operation, name=label, mode=N_("for reading only"))
