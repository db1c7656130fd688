"""Whose a restored file is: names count before numbers, which may be somebody else's on another machine."""

import os
import stat

from pivori.components.secrets.facts import Ownership
from pivori.host.owners import group_name, group_number, user_name, user_number


def hand_over(descriptor: int, ownership: Ownership) -> bool:
    """Give an open file or folder its owner, then its permissions: whether that was possible.

    Otherwise only its present owner gets any: whoever its group is now was not meant.
    """
    here = _owner_here(ownership)
    is_given = here is not None and _give(descriptor, here)
    os.fchmod(descriptor, ownership.mode if is_given else ownership.mode & 0o700)
    return is_given


def is_handed_over(status: os.stat_result, ownership: Ownership) -> bool:
    """Whether a file has the owner and the permissions that :func:`hand_over` gives."""
    mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
    here = _owner_here(ownership)
    if mode == ownership.mode and owner == here:
        return True
    is_out_of_reach = here is None or os.geteuid() != 0
    return is_out_of_reach and status.st_uid == os.geteuid() and mode == ownership.mode & 0o700


def _give(descriptor: int, owner: tuple[int, int]) -> bool:
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != owner:
        try:
            os.fchown(descriptor, *owner)
        except PermissionError:
            return False
    return True


def _owner_here(ownership: Ownership) -> tuple[int, int] | None:
    """The numbers of a user and a group on this machine; None when one of them is nobody's, or somebody else's."""
    uid = user_number(ownership.user) if ownership.user else None
    if uid is None and not user_name(ownership.uid):
        uid = ownership.uid
    gid = group_number(ownership.group) if ownership.group else None
    if gid is None and not group_name(ownership.gid):
        gid = ownership.gid
    return None if uid is None or gid is None else (uid, gid)
