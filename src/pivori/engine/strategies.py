"""The four strategies, once, as data: what is left out, what is read again, how hard to compress, relative to what.

A snapshot and an archive of the same strategy are two forms of the same decision, so both take it from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pivori.archives.container import ArchiveFormat, Effort
from pivori.repository import Compression


class StrategyName(StrEnum):
    """The strategies, by the names people give on the command line."""

    COMPLETE = "complete"
    SMART = "smart"
    COMPRESSED = "compressed"
    DIFFERENTIAL = "differential"


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a backup of one name is made.

    ``omits_rebuildable``: what is proven to be rebuildable is left out. ``rereads``: every file is read, whatever its
    times say, so that the backup also proves that all of it can be read. ``is_relative``: it is seen against the last
    complete one, or a named base. ``snapshot_compression`` is for the repository; ``effort`` and ``archive_format``
    (the format when none is asked for) are for archives.
    """

    name: StrategyName
    omits_rebuildable: bool = False
    rereads: bool = False
    snapshot_compression: Compression = Compression.AUTO
    effort: Effort = Effort.NORMAL
    archive_format: ArchiveFormat = ArchiveFormat.ZIP
    is_relative: bool = False


STRATEGIES: Final[Mapping[StrategyName, Strategy]] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            Strategy(name=StrategyName.COMPLETE, rereads=True),
            Strategy(name=StrategyName.SMART, omits_rebuildable=True),
            Strategy(
                name=StrategyName.COMPRESSED,
                snapshot_compression=Compression.MAX,
                effort=Effort.SMALLEST,
                archive_format=ArchiveFormat.SEVEN_ZIP,
            ),
            Strategy(name=StrategyName.DIFFERENTIAL, is_relative=True),
        )
    }
)
