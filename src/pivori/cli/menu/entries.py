"""What the menu offers, and the command line that each entry stands for."""

import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pivori.cli.script_verbs import DAYS, Places, create_line, list_line, prune_line, restore_line, verify_line
from pivori.cli.wording import show_bytes, show_duration
from pivori.engine.archive.history import Estimate
from pivori.engine.strategies import StrategyName
from pivori.settings.load import PROGRAM
from pivori.translation import N_, _


class Deed(StrEnum):
    """What an entry does. Values are the names of the old script's commands, where it had one."""

    COMPLETE = "backup_complete"
    SMART = "backup_smart"
    COMPRESSED = "backup_compressed"
    DIFFERENTIAL = "backup_differential"
    RESTORE = "restore_complete"
    LIST = "list"
    VERIFY = "verify_backup"
    CLEAN = "cleanup_old_backups"
    LOG = "log"
    QUIT = "quit"


STRATEGIES: Final = {
    Deed.COMPLETE: StrategyName.COMPLETE,
    Deed.SMART: StrategyName.SMART,
    Deed.COMPRESSED: StrategyName.COMPRESSED,
    Deed.DIFFERENTIAL: StrategyName.DIFFERENTIAL,
}


@dataclass(frozen=True)
class Entry:
    """A line of the menu: the key that means it, and what it says."""

    deed: Deed
    key: str
    text: str

    def title(self, expected: Estimate | None) -> str:
        """The line, with what it will take if that is known."""
        if expected is None:
            return _(self.text)
        return _("{entry} (about {size}, {duration})").format(
            entry=_(self.text), size=show_bytes(expected.archive_bytes), duration=show_duration(expected.seconds)
        )


ENTRIES: Final = (
    Entry(Deed.COMPLETE, "1", N_("Complete backup: everything")),
    Entry(Deed.SMART, "2", N_("Smart backup: without what can be made again")),
    Entry(Deed.COMPRESSED, "3", N_("Compressed backup: as small as can be")),
    Entry(Deed.DIFFERENTIAL, "4", N_("Differential backup: what changed since the last complete one")),
    Entry(Deed.RESTORE, "5", N_("Complete restore")),
    Entry(Deed.LIST, "6", N_("List the archives")),
    Entry(Deed.VERIFY, "7", N_("Verify an archive")),
    Entry(Deed.CLEAN, "8", N_("Remove old archives")),
    Entry(Deed.LOG, "9", N_("Show the log")),
    Entry(Deed.QUIT, "0", N_("Quit")),
)


def equivalents(places: Places, log: Path) -> list[tuple[Entry, list[str]]]:
    """The command line, with the program's name, of every entry that has one."""
    file = _("FILE")
    lines = {deed: create_line(strategy, places) for deed, strategy in STRATEGIES.items()} | {
        Deed.RESTORE: restore_line(file, places),
        Deed.LIST: list_line(places),
        Deed.VERIFY: verify_line([file], places),
        Deed.CLEAN: prune_line(str(DAYS), places, ["--ask"]),
    }
    found = {deed: [PROGRAM, *line] for deed, line in lines.items()} | {Deed.LOG: ["tail", str(log)]}
    return [(entry, found[entry.deed]) for entry in ENTRIES if entry.deed in found]


def typed(line: list[str]) -> str:
    """A command line as one types it."""
    return shlex.join(line)
