"""What the report of a capture of secrets says of each of them. Nothing in it tells what a secret is."""

import os
import stat
from collections.abc import Mapping
from typing import Final

import msgspec

from pivori.components.base import Json
from pivori.host import group_name, user_name

FILES: Final = "files"
"""Folder of the secrets below the folder of the stack."""
ELSEWHERE: Final = "elsewhere"
"""Folder of those that are elsewhere on the machine."""
COMMANDS: Final = "commands"
"""Folder of what commands printed."""


class Ownership(msgspec.Struct, frozen=True):
    """Whose a file or a folder was, and who could do what with it."""

    mode: int
    uid: int
    gid: int
    user: str = ""
    group: str = ""
    mtime_ns: int = 0


class SealedSecret(msgspec.Struct, frozen=True):
    """A secret: ``folder`` is one of the three, ``path`` is below it; ``size`` is that of the secret in bytes,
    ``sha256`` the digest of its seal. ``ownership`` is that of its file."""

    folder: str
    path: str
    size: int
    sha256: str
    ownership: Ownership | None = None

    @property
    def member(self) -> str:
        """Its path in the capture."""
        return member_of(self.folder, self.path)


class Facts(msgspec.Struct, frozen=True):
    """All of them, who can open them, and the folders that files are in, by their paths in the capture."""

    recipients: list[str]
    secrets: list[SealedSecret]
    folders: dict[str, Ownership] = {}


def member_of(folder: str, path: str) -> str:
    """The path of a seal in the capture."""
    return f"{folder}/{path}.age"


def ownership_of(status: os.stat_result) -> Ownership:
    """What a file's status says."""
    return Ownership(
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        user=user_name(status.st_uid),
        group=group_name(status.st_gid),
        mtime_ns=status.st_mtime_ns,
    )


def to_json(facts: Facts) -> Mapping[str, Json]:
    """The facts of a report."""
    made: Mapping[str, Json] = msgspec.to_builtins(facts)
    return made


def from_json(facts: Mapping[str, Json]) -> Facts:
    """Read the facts of a report. Raises msgspec.ValidationError."""
    return msgspec.convert(dict(facts), type=Facts)
