"""What git ignores, and so does not keep: data in a work tree that nobody can clone or build again."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from pivori.host.git import Git, GitFailed
from pivori.stack.discovery.walk import NOT_ENTERED, Inventory

_PROBE: Final = "a-name-that-nobody-has-given"
_MADE_AGAIN: Final = NOT_ENTERED | {
    "dist",
    "build",
    "target",
    "out",
    "coverage",
    "htmlcov",
    "tmp",
    "temp",
    "cache",
    ".sass-cache",
    ".parcel-cache",
    ".turbo",
    ".eggs",
    ".DS_Store",
    "Thumbs.db",
}
_MADE_AGAIN_ENDINGS: Final = (".pyc", ".pyo", ".egg-info", ".tmp", ".swp", "~")


def find_unignored(inventory: Inventory, work_trees: Sequence[str], paths: Sequence[str]) -> Sequence[str]:
    """Those of the files and folders in work trees that git does not ignore: it keeps them.

    Of a folder, a new file in it decides. What git cannot say of is taken for ignored.
    """
    found: list[str] = []
    for folder in work_trees:
        own = [path for path in paths if _tree_of(path, work_trees) == folder]
        asked = {path: f"{path}/{_PROBE}" if inventory.path(path).is_dir() else path for path in own}
        ignored = _ignored(inventory.path(folder), folder, list(asked.values()))
        if ignored is not None:
            found += [path for path, name in asked.items() if name not in ignored]
    return found


def find_ignored(inventory: Inventory, folder: str) -> Sequence[str] | None:
    """The files and folders of a work tree that git ignores and nobody can make again; None when git cannot say.

    Where new files of a folder would be ignored, too, it is the folder.
    """
    prefix = f"{folder}/" if folder else ""
    words = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    try:
        status, said = _git(inventory.path(folder)).ask(*words, most=16 << 20)
    except GitFailed:
        return None
    if status != 0:
        return None
    names = [prefix + os.fsdecode(name).rstrip("/") for name in said.split(b"\0") if name]
    kept = [name for name in names if _is_text(name) and not _is_made_again(inventory, name)]
    parents = {name: str(PurePosixPath(name).parent) for name in kept}
    probes = {parent: f"{parent}/{_PROBE}" for parent in parents.values() if parent not in (".", folder)}
    ignored = _ignored(inventory.path(folder), folder, list(probes.values())) or set()
    found = {parents[name] if probes.get(parents[name]) in ignored else name for name in kept}
    return sorted(name for name in found if not any(name.startswith(f"{other}/") for other in found))


def _tree_of(path: str, work_trees: Sequence[str]) -> str | None:
    """The innermost work tree that a path is in."""
    around = [tree for tree in work_trees if not tree or path == tree or path.startswith(f"{tree}/")]
    return max(around, key=len, default=None)


def _ignored(work_tree: Path, folder: str, paths: Sequence[str]) -> set[str] | None:
    """Those of the paths that git ignores; None when it cannot say."""
    prefix = f"{folder}/" if folder else ""
    if not paths:
        return set()
    names = {os.fsencode(path.removeprefix(prefix)): path for path in paths}
    try:
        status, said = _git(work_tree).ask("check-ignore", "--stdin", "-z", stdin=b"\0".join([*names, b""]))
    except GitFailed:
        return None
    return {names[name] for name in said.split(b"\0") if name in names} if status in (0, 1) else None


def _git(work_tree: Path) -> Git:
    return Git(os.fsencode(work_tree))


def _is_made_again(inventory: Inventory, name: str) -> bool:
    """Whether a name says that tools make it: caches, packages, what was built."""
    parts = PurePosixPath(name).parts
    is_environment = name in inventory.environments or any(name.startswith(f"{top}/") for top in inventory.environments)
    return is_environment or not _MADE_AGAIN.isdisjoint(parts) or name.endswith(_MADE_AGAIN_ENDINGS)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
