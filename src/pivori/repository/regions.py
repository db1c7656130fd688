"""Reading trees ahead: neighbouring trees lie together in a pack, so a region of it is read at once and kept.

Whoever walks a snapshot asks for thousands of small trees; each request of its own would cost more than opening the
tree, on a local disk as over a network.
"""

from collections import OrderedDict
from typing import Final

from pivori.repository.ids import PackId
from pivori.storage import Kind, Storage

_REGION: Final = 256 << 10
_MOST_REGIONS: Final = 48


class Regions:
    """The most recently used regions of packs: at most 12 MiB."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[tuple[PackId, int], bytes] = OrderedDict()

    def read(self, pack: PackId, offset: int, length: int) -> bytes:
        """``length`` bytes of a pack from ``offset``; fewer when it ends early. Raises the storage's errors."""
        number = offset // _REGION
        start = offset - number * _REGION
        if start + length > _REGION:
            return self._storage.get(Kind.PACK, pack.hex(), offset, length)
        key = (pack, number)
        region = self._kept.get(key)
        if region is None:
            region = self._kept[key] = self._storage.get(Kind.PACK, pack.hex(), number * _REGION, _REGION)
            if len(self._kept) > _MOST_REGIONS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return region[start : start + length]
