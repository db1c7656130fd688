"""Extended attributes: access lists, capabilities, security labels and what users attach to files.

Linux offers them through calls on a descriptor or on a path (xattr(7)); elsewhere Python has no such calls, so there
is nothing to read and every attempt to write is reported. Names and values are bytes; access lists are the attributes
``system.posix_acl_access`` and ``system.posix_acl_default``, capabilities are ``security.capability``.
"""

import errno
import os
import sys
from collections.abc import Iterable

from pivori.host.problem import Problem, as_system_error
from pivori.translation import N_

_NOTHING_TO_READ = frozenset((errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENODATA, errno.EPERM, errno.EACCES))
"""Errors that mean "no attributes here" or "not for you": a backup goes on without them."""

_REMOVABLE_PREFIXES = (b"user.", b"trusted.")
_REMOVABLE_NAMES = frozenset((b"system.posix_acl_access", b"system.posix_acl_default", b"security.capability"))
"""Other attributes (``security.selinux`` and the like) are given by the machine to every file and are left to it."""


def read_attributes(target: int | bytes, *, follow: bool = False) -> list[tuple[bytes, bytes]]:
    """The extended attributes of an open file or of a path; empty where there are none.

    They come in the order in which the system lists them: restic keeps that order, and so the trees stay the same.

    A symbolic link is read itself unless ``follow``. Attributes that cannot be read (no permission, removed
    meanwhile, not supported) are left out. Raises OSError when the file itself is out of reach.
    """
    if sys.platform != "linux":
        return []
    direct = follow or isinstance(target, int)
    try:
        names = os.listxattr(target) if direct else os.listxattr(target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NOTHING_TO_READ:
            return []
        raise
    if not names:
        return []
    return _read_values(target, list(map(os.fsencode, names)), direct)


def _read_values(target: int | bytes, names: list[bytes], follow: bool) -> list[tuple[bytes, bytes]]:
    """The values that can be read, with their names."""
    found: list[tuple[bytes, bytes]] = []
    if sys.platform == "linux":
        for name in names:
            try:
                found.append((name, os.getxattr(target, name, follow_symlinks=follow)))
            except OSError as error:
                if error.errno not in _NOTHING_TO_READ:
                    raise
    return found


def write_attributes(
    target: int | bytes,
    attributes: Iterable[tuple[bytes, bytes]],
    *,
    remove_others: bool = True,
    path: bytes = b"",
) -> list[Problem]:
    """Give ``target`` (an open file, or a path that is not followed) these attributes; say which failed.

    ``remove_others`` removes what is not among them: user and trusted attributes, access lists and capabilities, so
    that a list inherited from the directory does not open the file to others. ``path`` names the file in the problems.
    """
    wanted = dict(attributes)
    if sys.platform != "linux":
        refusal = OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        return [Problem(path, os.fsdecode(name), refusal) for name in wanted]
    follow = isinstance(target, int)
    problems = _remove_unwanted(target, wanted, path) if remove_others else []
    for name, value in wanted.items():
        try:
            os.setxattr(target, name, value, follow_symlinks=follow)
        except (OSError, ValueError) as error:
            problems.append(Problem(path, os.fsdecode(name), as_system_error(error, errno.EINVAL)))
    return problems


def _remove_unwanted(target: int | bytes, wanted: dict[bytes, bytes], path: bytes) -> list[Problem]:
    """Remove the removable attributes that are not wanted. A file system without attributes has nothing to remove."""
    if sys.platform != "linux":
        return []
    follow = isinstance(target, int)
    try:
        present = os.listxattr(target) if follow else os.listxattr(target, follow_symlinks=False)
    except OSError as error:
        return [] if error.errno in _NOTHING_TO_READ else [Problem(path, N_("extended attributes"), error)]
    problems: list[Problem] = []
    for name in map(os.fsencode, present):
        if name in wanted or not _is_removable(name):
            continue
        try:
            os.removexattr(target, name, follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENODATA:
                problems.append(Problem(path, os.fsdecode(name), error))
    return problems


def _is_removable(name: bytes) -> bool:
    """Whether an attribute belongs to the file rather than to the machine."""
    return name in _REMOVABLE_NAMES or name.startswith(_REMOVABLE_PREFIXES)
