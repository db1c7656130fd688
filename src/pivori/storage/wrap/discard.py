"""A storage for rehearsals: reads are real, writes go nowhere."""

from collections.abc import Sequence

from pivori.storage.base import Kind
from pivori.storage.wrap.base import WrappedStorage


class DiscardingStorage(WrappedStorage):
    """Accepts every put and delete and changes nothing."""

    def create(self) -> None:
        """Prepare nothing."""

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Take the parts and forget them."""

    def delete(self, kind: Kind, name: str) -> None:
        """Remove nothing."""

    def sync(self) -> None:
        """There is nothing to wait for."""
