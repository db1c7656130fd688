"""Git work trees."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pivori.host.git import Git, GitFailed
from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.stack.discovery.walk import Inventory
from pivori.translation import N_, Phrase

_MOST: Final = 50


def find_work_trees(inventory: Inventory) -> Sequence[str]:
    """The folders that are work trees of their own, the top as an empty text; submodules belong to the one above."""
    found: list[str] = []
    for folder in inventory.repositories[:_MOST]:
        if inventory.path(folder).joinpath(".git").is_dir() or folder == "":
            found.append(folder)
    return found


def find_unignored(inventory: Inventory, work_trees: Sequence[str], paths: Sequence[str]) -> Sequence[str]:
    """Those of the files that git does not ignore: they are part of what is captured of their work tree.

    Files are taken for ignored where git cannot say.
    """
    found: list[str] = []
    for folder in work_trees:
        prefix = f"{folder}/" if folder else ""
        deeper = [other for other in work_trees if other != folder and other.startswith(prefix)]
        own = [
            path
            for path in paths
            if path.startswith(prefix) and not any(path.startswith(f"{other}/") for other in deeper)
        ]
        if own:
            found += _not_ignored(inventory.path(folder), prefix, own)
    return found


def _not_ignored(work_tree: Path, prefix: str, paths: Sequence[str]) -> Sequence[str]:
    names = [os.fsencode(path.removeprefix(prefix)) for path in paths]
    try:
        status, said = Git(os.fsencode(work_tree)).ask("check-ignore", "--stdin", "-z", stdin=b"\0".join([*names, b""]))
    except GitFailed:
        return []
    if status not in (0, 1):
        return []
    ignored = set(said.split(b"\0"))
    return [path for path, name in zip(paths, names, strict=True) if name not in ignored]


def describe_work_trees(folders: Sequence[str]) -> Sequence[Discovery]:
    """One discovery per work tree."""
    return [
        Discovery(
            topic=Topic.GIT,
            what=Phrase(N_("{path} is a git work tree."), path=folder or "."),
            why=[Evidence(path=f"{folder}/.git" if folder else ".git")],
        )
        for folder in folders
    ]
