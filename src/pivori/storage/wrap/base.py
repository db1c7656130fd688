"""What every wrapper shares: a storage that passes each call on to the one inside."""

from collections.abc import Iterator, Sequence

from pivori.storage.base import Item, Kind, Storage


class WrappedStorage:
    """Passes everything on to ``inner``; wrappers override what they change. Shareable when ``inner`` is."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.shareable: bool = inner.shareable

    @property
    def location(self) -> str:
        """Where the storage inside is."""
        return self.inner.location

    def create(self) -> None:
        """See :meth:`Storage.create`."""
        self.inner.create()

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See :meth:`Storage.get`."""
        return self.inner.get(kind, name, offset, length)

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """See :meth:`Storage.put`."""
        self.inner.put(kind, name, parts)

    def delete(self, kind: Kind, name: str) -> None:
        """See :meth:`Storage.delete`."""
        self.inner.delete(kind, name)

    def list(self, kind: Kind) -> Iterator[Item]:
        """See :meth:`Storage.list`."""
        return self.inner.list(kind)

    def size(self, kind: Kind, name: str) -> int:
        """See :meth:`Storage.size`."""
        return self.inner.size(kind, name)

    def sync(self) -> None:
        """See :meth:`Storage.sync`."""
        self.inner.sync()

    def close(self) -> None:
        """See :meth:`Storage.close`."""
        self.inner.close()
