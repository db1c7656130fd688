"""A repository in this process's memory: for tests, and for whatever needs not last."""

from collections.abc import Iterator, Sequence
from threading import Lock

from pivori.storage.base import CONFIG_NAME, AlreadyExists, Item, Kind, NotFound, check_name, object_label


class MemoryStorage:
    """Objects in a dictionary. It is gone with the process and cannot be shared with others."""

    shareable: bool = False

    def __init__(self) -> None:
        self._lock = Lock()
        self._objects: dict[Kind, dict[str, bytes]] = {kind: {} for kind in Kind}
        self._created = False

    def __reduce__(self) -> tuple[object, ...]:
        # A copy would take writes that nobody ever sees again.
        raise TypeError("a memory storage cannot be pickled")

    @property
    def location(self) -> str:
        """``memory:``."""
        return "memory:"

    def create(self) -> None:
        """Prepare the medium; see :meth:`Storage.create`."""
        with self._lock:
            if self._objects[Kind.CONFIG]:
                raise AlreadyExists(location=self.location, operation="create", name=CONFIG_NAME)
            self._created = True

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read an object or a part of it; see :meth:`Storage.get`."""
        content = self._content("read", kind, name)
        if offset == 0 and length is None:
            return content
        return content[offset : None if length is None else offset + max(length, 0)]

    def size(self, kind: Kind, name: str) -> int:
        """The size of an object in bytes; see :meth:`Storage.size`."""
        return len(self._content("read", kind, name))

    def _content(self, operation: str, kind: Kind, name: str) -> bytes:
        check_name(self.location, operation, kind, name)
        with self._lock:
            content = self._objects[kind].get(name)
        if content is None:
            raise NotFound(location=self.location, operation=operation, name=object_label(kind, name))
        return content

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write a new object; see :meth:`Storage.put`."""
        check_name(self.location, "write", kind, name)
        content = b"".join(parts)
        with self._lock:
            self._require_created("write")
            there = self._objects[kind].get(name)
            if there is not None and kind is Kind.CONFIG:
                raise AlreadyExists(location=self.location, operation="write", name=CONFIG_NAME)
            if there is None or len(there) != len(content):
                self._objects[kind][name] = content

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object; see :meth:`Storage.delete`."""
        check_name(self.location, "delete", kind, name)
        with self._lock:
            if self._objects[kind].pop(name, None) is None:
                raise NotFound(location=self.location, operation="delete", name=object_label(kind, name))

    def list(self, kind: Kind) -> Iterator[Item]:
        """Every object of a kind; see :meth:`Storage.list`."""
        with self._lock:
            self._require_created("list")
            items = [Item(name, len(content)) for name, content in self._objects[kind].items()]
        yield from items

    def _require_created(self, operation: str) -> None:
        if not self._created:
            raise NotFound(location=self.location, operation=operation, name=CONFIG_NAME)

    def sync(self) -> None:
        """Nothing outlives this process; see :meth:`Storage.sync`."""

    def close(self) -> None:
        """Nothing is held open; see :meth:`Storage.close`."""
