"""Which packs stay, which are written anew and which go: a pure decision over figures per pack.

- A pack none of whose blobs is needed goes.
- A pack all of whose blobs are needed stays, unless it is small (less than four fifths of a full pack) and there are
  at least ten small ones of its kind: then they are joined.
- A pack that is needed in part is written anew or stays: those with the greatest share of waste are written anew
  first, until what is wasted in the packs that stay is within the limit.
- A pack that holds both trees and data (version 1 of the format had such) is always written anew.
- ``max_repack`` bounds the bytes of all packs written anew, whatever the reason: mixed packs come first, then waste,
  then small packs. What has to wait stays as it is until the next time.

Duplicates are judged before: of every needed blob one copy counts as needed, the others as waste.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pivori.repository.ids import PackId
from pivori.repository.pack import PACK_SIZE

FEWEST_SMALL_PACKS: Final = 10


@dataclass(frozen=True, kw_only=True)
class PruneLimits:
    """How thorough to be. ``max_unused_share`` is a share of all that stays (0.05: five hundredths), or None.

    ``max_unused_bytes`` is a number of bytes, or None; the smaller of the two holds, and with neither nothing is
    written anew to save space. ``max_repack`` bounds the bytes of the packs that are written anew; None: no bound.
    """

    max_unused_share: float | None = 0.05
    max_unused_bytes: int | None = None
    max_repack: int | None = None
    pack_size: int = PACK_SIZE
    """The bytes of a full pack."""

    @property
    def small_pack(self) -> int:
        """Packs with less than so many bytes are small."""
        return self.pack_size * 4 // 5

    def unused_allowed(self, needed: int) -> float:
        """How many bytes of waste may stay beside ``needed`` bytes that are needed."""
        allowed = float("inf")
        if self.max_unused_share is not None and self.max_unused_share < 1:
            allowed = needed * self.max_unused_share / (1 - self.max_unused_share)
        return allowed if self.max_unused_bytes is None else min(allowed, self.max_unused_bytes)


@dataclass(slots=True)
class PackUse:
    """One pack: the bytes and the number of blobs that are needed and that are waste; what kinds it holds."""

    id: PackId
    needed_bytes: int = 0
    needed_blobs: int = 0
    unused_bytes: int = 0
    unused_blobs: int = 0
    has_data: bool = False
    has_trees: bool = False

    @property
    def bytes(self) -> int:
        """The bytes of all its blobs as they are stored."""
        return self.needed_bytes + self.unused_bytes

    @property
    def is_mixed(self) -> bool:
        """Whether it holds both trees and data."""
        return self.has_data and self.has_trees


@dataclass(frozen=True)
class PackChoice:
    """The packs that go and those that are written anew first; all others stay."""

    remove: frozenset[PackId]
    repack: frozenset[PackId]


def choose_packs(packs: Sequence[PackUse], limits: PruneLimits) -> PackChoice:
    """Decide about every pack. The order of ``packs`` is of no account."""
    remove = frozenset(pack.id for pack in packs if pack.needed_blobs == 0)
    mixed, wasteful, small = _candidates((pack for pack in packs if pack.needed_blobs), limits.small_pack)
    unused = sum(pack.unused_bytes for pack in packs if pack.needed_blobs)
    allowed = limits.unused_allowed(sum(pack.needed_bytes for pack in packs))
    room = float("inf") if limits.max_repack is None else limits.max_repack
    repack: set[PackId] = set()
    for pack, is_for_space in [*((each, False) for each in mixed), *((each, True) for each in wasteful)]:
        if (is_for_space and unused <= allowed) or pack.bytes > room:
            continue
        repack.add(pack.id)
        room -= pack.bytes
        unused -= pack.unused_bytes
    for joined in small:
        _join(joined, room, repack)
        room -= sum(pack.bytes for pack in joined if pack.id in repack)
    return PackChoice(remove, frozenset(repack))


def _candidates(packs: Iterable[PackUse], small_pack: int) -> tuple[list[PackUse], list[PackUse], list[list[PackUse]]]:
    """The mixed packs; those with waste, the most wasteful first; the small ones, by kind, the smallest first."""
    mixed, wasteful = [], []
    small: tuple[list[PackUse], list[PackUse]] = ([], [])
    for pack in packs:
        if pack.is_mixed:
            mixed.append(pack)
        elif pack.unused_blobs:
            wasteful.append(pack)
        elif pack.bytes < small_pack:
            small[pack.has_trees].append(pack)
    mixed.sort(key=lambda pack: pack.id)
    wasteful.sort(key=lambda pack: (-pack.unused_bytes / max(pack.bytes, 1), pack.id))
    return mixed, wasteful, [sorted(packs, key=lambda pack: (pack.bytes, pack.id)) for packs in small]


def _join(small: Sequence[PackUse], room: float, repack: set[PackId]) -> None:
    """Add small packs, when there are enough of them to be worth the reading and they fit into ``room`` bytes."""
    fitting = []
    for pack in small:
        if pack.bytes <= room:
            room -= pack.bytes
            fitting.append(pack.id)
    if len(fitting) >= FEWEST_SMALL_PACKS:
        repack.update(fitting)
