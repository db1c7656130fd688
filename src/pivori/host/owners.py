"""Numbers and names of users and groups. A machine asks its directory service for them, which may be slow: answers
are kept for the life of the process."""

import grp
import pwd
from functools import cache


@cache
def user_name(uid: int) -> str:
    """The name of a user, or ``""`` when the machine knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError, OSError):
        return ""


@cache
def group_name(gid: int) -> str:
    """The name of a group, or ``""`` when the machine knows none."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError, OSError):
        return ""


@cache
def user_number(name: str) -> int | None:
    """The number of the user of that name on this machine, or None."""
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError, OSError):
        return None


@cache
def group_number(name: str) -> int | None:
    """The number of the group of that name on this machine, or None."""
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError, OSError):
        return None
