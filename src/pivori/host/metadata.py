"""Giving a restored file its owner, extended attributes, mode and times.

The order is what makes it right: a change of owner clears setuid bits and capabilities, so it comes first; access
lists change the mode's group bits and need a writable file, so the mode follows them; anything may touch the times,
so they come last.
"""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Required, TypedDict

from pivori.host.extended_attributes import write_attributes
from pivori.host.owners import group_number, user_number
from pivori.host.problem import Problem, as_system_error
from pivori.translation import N_

Attributes = Sequence[tuple[bytes, bytes]]

_UNCHANGED_ID = 0xFFFFFFFF
"""chown(2) takes this number, -1, for "leave it as it is": it is nobody's."""

_BORROWED_RIGHTS = stat.S_ISUID | stat.S_ISGID


class FileMetadata(TypedDict, total=False):
    """What :class:`MetadataWriter` applies, by name; all but attributes, user and group is needed."""

    mode: Required[int]
    uid: Required[int]
    gid: Required[int]
    atime_ns: Required[int]
    mtime_ns: Required[int]
    attributes: Attributes
    user: str
    group: str


class _Place(TypedDict, total=False):
    """Where a name is looked up; empty for an open file."""

    dir_fd: int
    follow_symlinks: bool


_HERE: _Place = {}


class MetadataWriter:
    """Applies metadata as far as this process may, and says what it could not do.

    A process that is not root cannot give files away: that is no problem to report. Whoever could not restore the
    owner drops the setuid and setgid bits, which would lend the rights of the wrong account.
    """

    def __init__(self, *, owners_by_name: bool = False) -> None:
        """``owners_by_name`` prefers this machine's number for a user's or group's name to the recorded number."""
        self._is_root = os.geteuid() == 0
        self._owners_by_name = owners_by_name

    def finish_descriptor(
        self,
        descriptor: int,
        path: bytes,
        mode: int,
        uid: int,
        gid: int,
        atime_ns: int,
        mtime_ns: int,
        attributes: Attributes = (),
        user: str = "",
        group: str = "",
    ) -> list[Problem]:
        """Apply metadata to an open file or directory. ``mode`` counts with its permission bits (07777) only."""
        if self._owners_by_name:
            uid, gid = _numbers(uid, gid, user, group)
        problems: list[Problem] = []
        status = os.fstat(descriptor)
        if status.st_uid != uid or status.st_gid != gid:
            mode = self._restore_owner(descriptor, _HERE, path, mode, uid, gid, status, problems)
        if not (self._is_root or status.st_mode & stat.S_IWUSR):
            # Only what its owner may write takes attributes; the mode that is wanted follows.
            with suppress(OSError):
                os.fchmod(descriptor, status.st_mode & 0o777 | stat.S_IWUSR)
        problems += write_attributes(descriptor, attributes, path=path)
        try:
            os.fchmod(descriptor, mode & 0o7777)
        except OSError as error:
            problems.append(Problem(path, N_("mode"), error))
        try:
            os.utime(descriptor, ns=(atime_ns, mtime_ns))
        except (OSError, OverflowError) as error:
            problems.append(Problem(path, N_("times"), as_system_error(error, errno.EOVERFLOW)))
        return problems

    def finish_name(
        self,
        directory: int,
        name: bytes,
        path: bytes,
        mode: int,
        uid: int,
        gid: int,
        atime_ns: int,
        mtime_ns: int,
        attributes: Attributes = (),
        user: str = "",
        group: str = "",
    ) -> list[Problem]:
        """Apply metadata to what cannot be opened: a symbolic link, device, FIFO or socket. It is never followed.

        Raises OSError when it is not there. A symbolic link has no mode.
        """
        if self._owners_by_name:
            uid, gid = _numbers(uid, gid, user, group)
        problems: list[Problem] = []
        place: _Place = {"dir_fd": directory, "follow_symlinks": False}
        status = os.stat(name, **place)
        if status.st_uid != uid or status.st_gid != gid:
            mode = self._restore_owner(name, place, path, mode, uid, gid, status, problems)
        problems += write_attributes(b"/proc/self/fd/%d/%b" % (directory, name), attributes, path=path)
        if not stat.S_ISLNK(status.st_mode):
            try:
                os.chmod(name, mode & 0o7777, **place)
            except OSError as error:
                problems.append(Problem(path, N_("mode"), error))
        try:
            os.utime(name, ns=(atime_ns, mtime_ns), **place)
        except (OSError, OverflowError) as error:
            problems.append(Problem(path, N_("times"), as_system_error(error, errno.EOVERFLOW)))
        return problems

    def _restore_owner(
        self,
        target: int | bytes,
        place: _Place,
        path: bytes,
        mode: int,
        uid: int,
        gid: int,
        status: os.stat_result,
        problems: list[Problem],
    ) -> int:
        """Change owner and group, or the group alone where only that is allowed; the mode that is safe after it."""
        try:
            if not (0 <= uid < _UNCHANGED_ID and 0 <= gid < _UNCHANGED_ID):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            os.chown(target, uid, gid, **place)
        except OSError as error:
            if self._is_root:
                problems.append(Problem(path, N_("owner"), error))
            elif status.st_gid != gid:
                with suppress(OSError, OverflowError):
                    os.chown(target, -1, gid, **place)
            return mode & ~_BORROWED_RIGHTS
        return mode


def _numbers(uid: int, gid: int, user: str, group: str) -> tuple[int, int]:
    """This machine's numbers for the named user and group, or the recorded ones where it does not know the names."""
    local_user = user_number(user) if user else None
    local_group = group_number(group) if group else None
    return (uid if local_user is None else local_user, gid if local_group is None else local_group)
