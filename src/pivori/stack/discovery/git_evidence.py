"""Git work trees."""

from collections.abc import Sequence
from typing import Final

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
