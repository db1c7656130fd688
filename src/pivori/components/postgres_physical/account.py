"""Whom the files of a cluster belong to: PostgreSQL refuses to run as root, and to use what others may write to."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pivori.components.base import ComponentFailed
from pivori.translation import N_

_USUAL: Final = "postgres"


class NoServerAccount(ComponentFailed):
    """There is no user that the server could run as."""

    code = "postgres-no-account"
    message = N_("There is no user {account} on this machine to run PostgreSQL as.")
    hint = N_("Install PostgreSQL, or name its user with the option account.")


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user, and the group that goes with it."""

    name: str
    uid: int
    gid: int

    @classmethod
    def find(cls, name: str, data_directory: Path | None) -> Self:
        """The user of a name; without one: we ourselves, or for root the owner of the data directory, or ``postgres``.

        Raises NoServerAccount.
        """
        try:
            if name:
                found = pwd.getpwnam(name)
            elif os.geteuid() != 0:
                found = pwd.getpwuid(os.geteuid())
            else:
                owner = data_directory.stat().st_uid if data_directory is not None and data_directory.exists() else 0
                found = pwd.getpwuid(owner) if owner else pwd.getpwnam(_USUAL)
        except KeyError:
            raise NoServerAccount(account=name or _USUAL) from None
        return cls(name=found.pw_name, uid=found.pw_uid, gid=found.pw_gid)

    @property
    def owner(self) -> tuple[int, int] | None:
        """As programs are started with it; None when that is who we are."""
        return None if self.uid == os.geteuid() else (self.uid, self.gid)

    def own(self, path: Path) -> None:
        """Make a file or a folder its own."""
        if self.owner is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def closed_folder(self, place: Path) -> Path | None:
        """The topmost folder above a place that it may not enter; None when it may get there."""
        for folder in reversed(place.absolute().parents):
            try:
                status = folder.stat()
            except FileNotFoundError:
                return None
            needed = 0o100 if status.st_uid == self.uid else 0o010 if status.st_gid == self.gid else 0o001
            if not status.st_mode & needed and self.uid != 0:
                return folder
        return None
