"""The tree a restore writes to, out of which it cannot get.

Everything is done relative to open directories, and no symbolic link is followed on the way: nothing outside the
root is touched, whatever names the snapshot holds, and whatever lies or is put in the way meanwhile.

What has its final name is what was there before, or whole: a file is written under a name of ``partial`` in the same
directory and renamed when nothing is missing any more.
"""

import errno
import os
import resource
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from pivori.errors import PivoriError
from pivori.host.directories import FORBIDDEN_NAMES, OpenDirectories, unsafe
from pivori.host.metadata import Attributes, FileMetadata, MetadataWriter
from pivori.host.partial import PartialNames, find_partials, remove_names
from pivori.host.problem import Problem
from pivori.host.regular import create_regular, fill, open_regular
from pivori.host.removal import remove_entry
from pivori.translation import N_

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
        run: str | None = None,
    ) -> None:
        """Open ``root``, following symbolic links that lead to it, this once.

        ``create`` makes it (mode 0700) when missing. ``identity`` (device, inode) is the directory it has to be, else
        TargetReplaced is raised. ``run`` is what the names of unfinished files of all processes have in common.
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
        self._partial_names = PartialNames(run)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.root, self._owners_by_name, self._identity, self._partial_names.run)

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
        descriptor = open_regular(directory, name, _READ)
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

    def open_for_update(self, path: bytes) -> int | None:
        """A descriptor to read and write a file, or None when there is none whose content may be changed.

        That is when there is nothing, or no regular file, or one with other names.
        """
        directory, name = self._locate(path)
        try:
            descriptor = open_regular(directory, name, _UPDATE)
        except FileNotFoundError:
            return None
        if descriptor is not None and os.fstat(descriptor).st_nlink != 1:
            os.close(descriptor)
            return None
        return descriptor

    def make_symlink(self, path: bytes, target: bytes, *, replace: bool = False) -> None:
        """Make a symbolic link to ``target``, any bytes: it is never followed here."""
        self._put(path, lambda directory, name: os.symlink(target, name, dir_fd=directory), replace)

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
        self._put(path, lambda directory, name: os.mknod(name, kind | 0o600, device, dir_fd=directory), replace)

    def make_hard_link(self, existing: bytes, path: bytes, *, replace: bool = False) -> None:
        """Give the file at ``existing`` the further name ``path``; it keeps it when it has it already."""
        source_directory, source = self._locate(existing)
        source_directory = os.dup(source_directory)

        def link(directory: int, name: bytes) -> None:
            if not _same_file(source_directory, source, directory, name):
                os.link(source, name, src_dir_fd=source_directory, dst_dir_fd=directory, follow_symlinks=False)

        try:
            self._put(path, link, replace)
        finally:
            os.close(source_directory)

    def _put(self, path: bytes, make: Callable[[int, bytes], None], replace: bool) -> None:
        """Make something at once, beside what is in the way and in place of it where there is something."""
        directory, name = self._locate(path)
        try:
            make(directory, name)
        except FileExistsError:
            partial = self._partial_names.next()
            make(directory, partial)
            self._give_name(directory, partial, name, path, replace)

    def _give_name(self, directory: int, partial: bytes, name: bytes, path: bytes, replace: bool) -> None:
        """Rename what is whole, over a file or an empty directory; over a full one only when ``replace``.

        Nothing stays under the partial name, whatever happens.
        """
        try:
            try:
                os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
            except IsADirectoryError:
                self._directories.forget(path)
                if replace:
                    remove_entry(directory, name)
                else:
                    os.rmdir(name, dir_fd=directory)
                os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial, dir_fd=directory)
            raise

    # Removing

    def remove(self, path: bytes) -> None:
        """Remove a file, or a directory with all it holds. Raises OSError with EXDEV at a mount point."""
        directory, name = self._locate(path)
        self._directories.forget(path)
        remove_entry(directory, name)

    def leftovers(self, path: bytes, names: Collection[bytes]) -> list[bytes]:
        """What runs that were killed have left in a directory, except ``names``, which belong there."""
        return [name for name in find_partials(self._directories.descriptor(path)) if name not in names]

    def remove_leftovers(self, path: bytes, names: Collection[bytes]) -> None:
        """Remove it."""
        remove_names(self._directories.descriptor(path), self.leftovers(path, names))

    def remove_unfinished(self, path: bytes) -> None:
        """Remove what this run, all of whose other processes have ended, has not finished in a directory."""
        directory = self._directories.descriptor(path)
        remove_names(directory, filter(self._partial_names.is_of_this_run, find_partials(directory)))

    # Files

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
        sparse: bool = False,
    ) -> list[Problem]:
        """Create, fill and finish a file at once. Where that fails, what was there before stays as it is.

        A directory with something in it is in the way unless ``replace``. ``sparse`` makes holes of long zeros.
        """
        directory, name = self._locate(path)
        partial = self._partial_names.passing
        descriptor = create_regular(directory, partial)
        try:
            try:
                fill(descriptor, data, sparse=sparse)
                problems = self._metadata.finish_descriptor(
                    descriptor, path, mode, uid, gid, atime_ns, mtime_ns, attributes, user, group
                )
            finally:
                os.close(descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial, dir_fd=directory)
            raise
        self._give_name(directory, partial, name, path, replace)
        return problems

    def begin_file(self, path: bytes, size: int) -> bytes:
        """Begin a file that is written piece by piece; returns the path it has until :meth:`complete_file`.

        It is of this size at once, as a hole, so that several writers can fill it in any order. Mode 0600.
        """
        directory, name = self._locate(path)
        partial = self._partial_names.next()
        descriptor = create_regular(directory, partial)
        try:
            os.ftruncate(descriptor, size)
        except OSError:
            os.unlink(partial, dir_fd=directory)
            raise
        finally:
            os.close(descriptor)
        return path[: len(path) - len(name)] + partial

    def complete_file(
        self, partial: bytes, path: bytes, *, replace: bool = False, **metadata: Unpack[FileMetadata]
    ) -> list[Problem]:
        """Finish a file that :meth:`begin_file` began, and give it its name, in place of what has it.

        A directory with something in it is in the way unless ``replace``.
        """
        directory, name = self._locate(path)
        unfinished = partial.rpartition(b"/")[2]
        descriptor = open_regular(directory, unfinished, _READ)
        if descriptor is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        try:
            problems = self._metadata.finish_descriptor(descriptor, path, **metadata)
        finally:
            os.close(descriptor)
        self._give_name(directory, unfinished, name, path, replace)
        return problems

    def discard_file(self, partial: bytes) -> None:
        """Give up a file that :meth:`begin_file` began."""
        with suppress(OSError):
            self.remove(partial)

    def cut_file(self, path: bytes, size: int) -> None:
        """Remove what a file holds beyond ``size``."""
        descriptor = self.open_for_update(path)
        if descriptor is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        try:
            if os.fstat(descriptor).st_size > size:
                os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)

    # Finishing

    def finish(self, path: bytes, **metadata: Unpack[FileMetadata]) -> list[Problem]:
        """Give what is there its owner, extended attributes, mode and times (nanoseconds), in the order that works.

        Directories once they are filled, links, devices, FIFOs, sockets, and files whose content is right already.
        """
        if not path:
            return self._metadata.finish_descriptor(self._directories.descriptor(b""), path, **metadata)
        directory, name = self._locate(path)
        kind = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if stat.S_ISDIR(kind):
            return self._metadata.finish_descriptor(self._directories.descriptor(path), path, **metadata)
        descriptor = open_regular(directory, name, _READ) if stat.S_ISREG(kind) else None
        if descriptor is None:
            return self._metadata.finish_name(directory, name, path, **metadata)
        try:
            return self._metadata.finish_descriptor(descriptor, path, **metadata)
        finally:
            os.close(descriptor)


def _same_file(first_directory: int, first: bytes, second_directory: int, second: bytes) -> bool:
    """Whether two names are of one file; they are not when there is nothing at the second."""
    status = os.stat(first, dir_fd=first_directory, follow_symlinks=False)
    with suppress(FileNotFoundError):
        return os.path.samestat(status, os.stat(second, dir_fd=second_directory, follow_symlinks=False))
    return False


def _reopen(root: Path, owners_by_name: bool, identity: tuple[int, int], run: str) -> TargetTree:
    """Open the tree again in another process."""
    return TargetTree(root, create=False, owners_by_name=owners_by_name, identity=identity, run=run)
