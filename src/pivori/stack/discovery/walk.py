"""One bounded walk over a folder: the files and folders whose names may mean something.

What installers and tools fill is not entered, symbolic links to folders are not followed, and the walk ends after so
many entries; what it has not seen then is told.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MOST_ENTRIES: Final = 150_000
DEEPEST: Final = 10

NOT_ENTERED: Final = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        "node_modules",
        "bower_components",
        ".venv",
        "venv",
        "virtualenv",
        "site-packages",
        "__pycache__",
        ".tox",
        ".nox",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".cache",
        ".next",
        ".nuxt",
        ".terraform",
        ".gradle",
        ".idea",
        ".vscode",
    }
)
"""Folders that installers and tools fill."""

_ENVIRONMENT_MARK: Final = "pyvenv.cfg"


@dataclass
class Inventory:
    """What was seen below ``root``, as relative paths: the topmost first, in the order of names.

    ``is_whole`` is false when the walk ended before everything was seen; ``unwritable`` counts the names that are no
    UTF-8, which are passed over.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    repositories: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    entries: int = 0
    unwritable: int = 0
    is_whole: bool = True

    def path(self, name: str) -> Path:
        """A relative path as an absolute one."""
        return self.root / name

    def read(self, name: str, most: int) -> bytes | None:
        """The content of a regular file of at most ``most`` bytes; None for anything else, and when it is larger."""
        content = self.start_of(name, most + 1)
        return content if content is not None and len(content) <= most else None

    def start_of(self, name: str, most: int) -> bytes | None:
        """The first bytes of a regular file; None when it is none, or cannot be read."""
        try:
            # Not blocking: a pipe without a writer would keep us for ever.
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except (OSError, ValueError):
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(most)
        except OSError:
            return None
        finally:
            os.close(descriptor)


def take_inventory(root: Path) -> Inventory:
    """Walk over a folder. What cannot be listed is passed over."""
    inventory = Inventory(root)
    level = [""]
    for _depth in range(DEEPEST):
        following: list[str] = []
        for folder in level:
            if inventory.entries > MOST_ENTRIES:
                inventory.is_whole = False
                return inventory
            following += _look_into(inventory, folder)
        level = following
    inventory.is_whole = not level
    return inventory


def _look_into(inventory: Inventory, folder: str) -> Sequence[str]:
    """Note what is directly in a folder; the folders to enter."""
    try:
        with os.scandir(inventory.root / folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        return []
    inventory.entries += len(entries)
    if folder and any(entry.name == _ENVIRONMENT_MARK for entry in entries):
        inventory.environments.append(folder)
        return []
    entered = []
    for entry in entries:
        if not entry.name.isprintable() and not _is_text(entry.name):
            inventory.unwritable += 1
            continue
        name = f"{folder}/{entry.name}" if folder else entry.name
        if entry.name == ".git":
            inventory.repositories.append(folder)
        elif entry.is_dir(follow_symlinks=False):
            inventory.folders.append(name)
            if entry.name not in NOT_ENTERED:
                entered.append(name)
        elif _is_file(entry):
            inventory.files.append(name)
    return entered


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a file, or a link to one: a shared ``.env`` often is."""
    try:
        return entry.is_file()
    except OSError:
        return False
