"""What is on its way: a window that the workers are at, and what waits for its files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pivori.engine.restore.items import DirectoryItem, FileItem, OtherItem
from pivori.engine.restore.window import Window, WindowPlan

_MOST_PENDING: Final = 4096


@dataclass
class Pending:
    """What waits until the files of the window are written."""

    directories: list[DirectoryItem] = field(default_factory=list)
    links: list[tuple[bytes, FileItem | OtherItem]] = field(default_factory=list)

    def is_much(self) -> bool:
        """Whether it is time to work, however few files there are."""
        return len(self.directories) + len(self.links) >= _MOST_PENDING


@dataclass
class Flight:
    """A window that the workers are at, and what waits for its files."""

    window: Window
    pending: Pending
    plan: WindowPlan = field(default_factory=WindowPlan)

    def paths(self) -> Iterator[bytes]:
        """The path of everything that is being made."""
        yield from (item.path for item in (*self.window.new, *self.window.existing))
        yield from (item.path for _, item in self.pending.links)
