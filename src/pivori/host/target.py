"""The tree a restore writes to, out of which it cannot get.

Everything is done relative to open directories, and no symbolic link is followed on the way: nothing outside the
root is touched, whatever names the snapshot holds, and whatever lies or is put in the way meanwhile.
"""

import os
import resource
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pivori.errors import PivoriError
from pivori.host.directories import FORBIDDEN_NAMES, OpenDirectories, unsafe
from pivori.host.metadata import Attributes, MetadataWriter
from pivori.host.problem import Problem
from pivori.host.removal import remove_entry
from pivori.translation import N_

_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_UPDATE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""O_NONBLOCK: a FIFO put in place of a file must not block the restore; regular files do not know the flag."""

_MOST_OPEN_DIRECTORIES = 256


class TargetReplaced(PivoriError):
    """The root is not the directory it was when the restore began."""

    code = "target-replaced"
    message = N_("The target {path} was replaced by another directory during the restore.")
    hint = N_("Find out what moves directories there, then run the restore again.")


class TargetTree:
    """A directory that a restore fills. Paths are bytes relative to it, as ``b"a/b/c"``; the root itself is ``b""``.

    Every method raises UnsafePath for a path that is not plain, and OSError when the thing itself (not its metadata)
    cannot be done. A pickled copy opens the same directory anew in another process. One thread uses one copy.
    """

    def __init__(
        self,
        root: Path,
        *,
        create: bool = True,
        owners_by_name: bool = False,
        identity: tuple[int, int] | None = None,
    ) -> None:
        """Open ``root``, following symbolic links that lead to it, this once.

        ``create`` makes it (mode 0700) when missing. ``identity`` (device, inode) is the directory it has to be, else
        TargetReplaced is raised.
        """
        if create:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = root.resolve(strict=True)
        self._owners_by_name = owners_by_name
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        if identity not in (None, self._identity):
            os.close(descriptor)
            raise TargetReplaced(path=str(root))
        soft_limit, _hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        share = _MOST_OPEN_DIRECTORIES if soft_limit == resource.RLIM_INFINITY else max(2, soft_limit // 4)
        self._directories = OpenDirectories(descriptor, min(_MOST_OPEN_DIRECTORIES, share))
        self._metadata = MetadataWriter(owners_by_name=owners_by_name)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.root, self._owners_by_name, self._identity)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the directories held open. The tree is not used afterwards."""
        self._directories.close()

    def _locate(self, path: bytes) -> tuple[int, bytes]:
        """The open directory of a path, good until the next call, and its last component."""
        directory, separator, name = path.rpartition(b"/")
        if name in FORBIDDEN_NAMES or b"\0" in name or (separator and not directory):
            raise unsafe(path)
        return self._directories.descriptor(directory), name

    # Looking

    def status(self, path: bytes) -> os.stat_result | None:
        """What is at a path, itself and not what a link points to; None when nothing inside the tree is."""
        try:
            if not path:
                return os.fstat(self._directories.descriptor(b""))
            directory, name = self._locate(path)
            return os.stat(name, dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list_directory(self, path: bytes) -> list[bytes]:
        """The names in a directory, sorted by their bytes."""
        return sorted(map(os.fsencode, os.listdir(self._directories.descriptor(path))))

    def read_link(self, path: bytes) -> bytes:
        """What a symbolic link points to."""
        directory, name = self._locate(path)
        return os.readlink(name, dir_fd=directory)

    def open_for_reading(self, path: bytes) -> int:
        """A descriptor of a regular file. Raises FileNotFoundError also for anything else at that path."""
        directory, name = self._locate(path)
        descriptor = _open_regular(directory, name, _READ)
        if descriptor is None:
            raise FileNotFoundError(f"not a regular file: {os.fsdecode(path)}")
        return descriptor

    # Making

    def make_directory(self, path: bytes, mode: int = 0o700, *, replace: bool = False) -> bool:
        """Make a directory, or keep the one that is there, made usable for its owner; whether it is new.

        Anything else in the way is removed when ``replace``, else FileExistsError is raised.
        """
        if not path:
            return False
        directory, name = self._locate(path)
        try:
            os.mkdir(name, mode, dir_fd=directory)
        except FileExistsError:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._make_usable(directory, name, status.st_mode)
                return False
            if not replace:
                raise
            os.unlink(name, dir_fd=directory)
            os.mkdir(name, mode, dir_fd=directory)
        return True

    def _make_usable(self, directory: int, name: bytes, mode: int) -> None:
        """Give the owner all rights to a directory, where this process may: it is about to be filled."""
        if mode & 0o700 != 0o700:
            with suppress(PermissionError):
                os.chmod(name, stat.S_IMODE(mode) | 0o700, dir_fd=directory, follow_symlinks=False)

    def create_file(self, path: bytes, *, size_hint: int = 0, replace: bool = False) -> int:
        """A descriptor to write a new, empty file, mode 0600 until it is finished.

        What is in the way is unlinked first, so that other names of the same file keep their content; a directory
        with something in it only when ``replace``. A file whose length is known gets it at once, as a hole, so
        that several writers can fill it in any order.
        """
        directory, name = self._locate(path)
        try:
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=directory)
        except FileExistsError:
            self._make_way(directory, name, path, replace)
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=directory)
        if size_hint:
            try:
                os.ftruncate(descriptor, size_hint)
            except OSError:
                os.close(descriptor)
                raise
        return descriptor

    def open_for_update(self, path: bytes) -> int | None:
        """A descriptor to read and write a file in place, or None when only :meth:`create_file` is right.

        That is when there is nothing, or no regular file, or one with other names whose content must not change.
        """
        directory, name = self._locate(path)
        try:
            descriptor = _open_regular(directory, name, _UPDATE)
        except FileNotFoundError:
            return None
        if descriptor is not None and os.fstat(descriptor).st_nlink != 1:
            os.close(descriptor)
            return None
        return descriptor

    def make_symlink(self, path: bytes, target: bytes, *, replace: bool = False) -> None:
        """Make a symbolic link to ``target``, any bytes: it is never followed here."""
        directory, name = self._locate(path)
        try:
            os.symlink(target, name, dir_fd=directory)
        except FileExistsError:
            self._make_way(directory, name, path, replace)
            os.symlink(target, name, dir_fd=directory)

    def make_fifo(self, path: bytes, *, replace: bool = False) -> None:
        """Make a FIFO, mode 0600 until it is finished."""
        self._make_node(path, stat.S_IFIFO, 0, replace)

    def make_socket(self, path: bytes, *, replace: bool = False) -> None:
        """Make a socket that nobody listens to, mode 0600 until it is finished."""
        self._make_node(path, stat.S_IFSOCK, 0, replace)

    def make_device(self, path: bytes, mode: int, device: int, *, replace: bool = False) -> None:
        """Make the block or character device ``device`` (``st_rdev``); ``mode`` holds its type. Only root may."""
        self._make_node(path, stat.S_IFMT(mode), device, replace)

    def _make_node(self, path: bytes, kind: int, device: int, replace: bool) -> None:
        directory, name = self._locate(path)
        try:
            os.mknod(name, kind | 0o600, device, dir_fd=directory)
        except FileExistsError:
            self._make_way(directory, name, path, replace)
            os.mknod(name, kind | 0o600, device, dir_fd=directory)

    def make_hard_link(self, existing: bytes, path: bytes, *, replace: bool = False) -> None:
        """Give the file at ``existing`` the further name ``path``; it keeps it when it has it already."""
        source_directory, source = self._locate(existing)
        source_directory = os.dup(source_directory)
        try:
            directory, name = self._locate(path)
            try:
                os.link(source, name, src_dir_fd=source_directory, dst_dir_fd=directory, follow_symlinks=False)
            except FileExistsError:
                if self._same_file(source_directory, source, directory, name):
                    return
                self._make_way(directory, name, path, replace)
                os.link(source, name, src_dir_fd=source_directory, dst_dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(source_directory)

    @staticmethod
    def _same_file(first_directory: int, first: bytes, second_directory: int, second: bytes) -> bool:
        """Whether two names are of one file."""
        return os.path.samestat(
            os.stat(first, dir_fd=first_directory, follow_symlinks=False),
            os.stat(second, dir_fd=second_directory, follow_symlinks=False),
        )

    # Removing

    def remove(self, path: bytes) -> None:
        """Remove a file, or a directory with all it holds. Raises OSError with EXDEV at a mount point."""
        directory, name = self._locate(path)
        self._directories.forget(path)
        remove_entry(directory, name)

    def _make_way(self, directory: int, name: bytes, path: bytes, replace: bool) -> None:
        """Remove what is in the way: a file or an empty directory; a full one only when ``replace``."""
        self._directories.forget(path)
        if replace:
            remove_entry(directory, name)
        elif stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)

    # Finishing

    def write_small_file(
        self,
        path: bytes,
        data: bytes | bytearray | memoryview,
        mode: int,
        uid: int,
        gid: int,
        atime_ns: int,
        mtime_ns: int,
        attributes: Attributes = (),
        user: str = "",
        group: str = "",
        *,
        replace: bool = False,
    ) -> list[Problem]:
        """Create, fill and finish a file at once. Nothing stays of a file whose content could not be written."""
        descriptor = self.create_file(path, replace=replace)
        try:
            written = os.write(descriptor, data)
            if written != len(data):
                _write_rest(descriptor, memoryview(data)[written:])
            return self._metadata.finish_descriptor(
                descriptor, path, mode, uid, gid, atime_ns, mtime_ns, attributes, user, group
            )
        except BaseException:
            with suppress(OSError):
                self.remove(path)
            raise
        finally:
            os.close(descriptor)

    def finish_file(
        self,
        descriptor: int,
        path: bytes,
        *,
        mode: int,
        uid: int,
        gid: int,
        atime_ns: int,
        mtime_ns: int,
        attributes: Attributes = (),
        user: str = "",
        group: str = "",
    ) -> list[Problem]:
        """Give an open file its owner, extended attributes, mode and times (nanoseconds), in the order that works.

        ``path`` names it in the problems. The caller closes the descriptor.
        """
        return self._metadata.finish_descriptor(
            descriptor, path, mode, uid, gid, atime_ns, mtime_ns, attributes, user, group
        )

    def finish(
        self,
        path: bytes,
        *,
        mode: int,
        uid: int,
        gid: int,
        atime_ns: int,
        mtime_ns: int,
        attributes: Attributes = (),
        user: str = "",
        group: str = "",
    ) -> list[Problem]:
        """The same for anything by its path: directories once they are filled, links, devices, FIFOs, sockets."""
        metadata = (path, mode, uid, gid, atime_ns, mtime_ns, attributes, user, group)
        if not path:
            return self._metadata.finish_descriptor(self._directories.descriptor(b""), *metadata)
        directory, name = self._locate(path)
        kind = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if stat.S_ISDIR(kind):
            return self._metadata.finish_descriptor(self._directories.descriptor(path), *metadata)
        descriptor = _open_regular(directory, name, _READ) if stat.S_ISREG(kind) else None
        if descriptor is None:
            return self._metadata.finish_name(directory, name, *metadata)
        try:
            return self._metadata.finish_descriptor(descriptor, *metadata)
        finally:
            os.close(descriptor)


def _open_regular(directory: int, name: bytes, flags: int) -> int | None:
    """Open a regular file, given its owner's rights back where they are missing; None for anything else.

    It is looked at before, because opening a device can act on it, and after, because it may have been replaced.
    """
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return None
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except PermissionError:
        os.chmod(name, stat.S_IMODE(status.st_mode) | 0o600, dir_fd=directory, follow_symlinks=False)
        descriptor = os.open(name, flags, dir_fd=directory)
    if os.path.samestat(os.fstat(descriptor), status):
        return descriptor
    os.close(descriptor)
    return None


def _write_rest(descriptor: int, rest: memoryview) -> None:
    """Write what a first call left over."""
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _reopen(root: Path, owners_by_name: bool, identity: tuple[int, int]) -> TargetTree:
    """Open the tree again in another process."""
    return TargetTree(root, create=False, owners_by_name=owners_by_name, identity=identity)
