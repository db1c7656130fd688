"""Folders that hold what users have brought in: nobody can make that again."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.stack.discovery.walk import Inventory
from pivori.translation import N_, Phrase

_NAMES: Final = frozenset(
    {"uploads", "upload", "uploaded", "user_uploads", "userfiles", "media", "mediafiles", "attachments", "avatars"}
)
_LONGER: Final = ("storage/app", "wp-content/uploads", "public/files", "var/data")
_DEEPEST: Final = 5
_MOST: Final = 50


def find_upload_folders(inventory: Inventory) -> Sequence[str]:
    """Such folders, without those inside others, that are not empty."""
    found: list[str] = []
    for folder in inventory.folders:
        if (
            _is_one(folder)
            and not any(folder.startswith(f"{above}/") for above in found)
            and _has_something(inventory, folder)
        ):
            found.append(folder)
    return found[:_MOST]


def describe_uploads(folders: Sequence[str]) -> Sequence[Discovery]:
    """One discovery per folder."""
    return [
        Discovery(
            topic=Topic.UPLOADS,
            what=Phrase(N_("{path} looks like a folder of uploads."), path=folder),
            why=[Evidence(path=folder)],
        )
        for folder in folders
    ]


def _is_one(folder: str) -> bool:
    parts = PurePosixPath(folder).parts
    return len(parts) <= _DEEPEST and (parts[-1].lower() in _NAMES or folder.endswith(_LONGER))


def _has_something(inventory: Inventory, folder: str) -> bool:
    try:
        return any(inventory.path(folder).iterdir())
    except OSError:
        return False
