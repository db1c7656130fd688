"""What a restore would do: the same walk as the restore itself, without touching anything.

Files that are there are read and compared, as the restore does it, so the plan says what would be written.
"""

import errno
import os
import stat
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from pivori.engine.restore.deletion import check_deletion, extra_entries, extra_entries_at_top, is_obstructed
from pivori.engine.restore.items import DirectoryItem, FileItem, Item, LeaveItem, LinkKey, Metadata, OtherItem
from pivori.engine.restore.request import RestoreRequest, TargetUnusable, items_of
from pivori.engine.restore.window import blob_ids
from pivori.engine.restore.writing import CompareJob, FileWriter, Manner
from pivori.host import TargetTree
from pivori.repository import BlobKind, BlobReader, Repository

_MANNER: Final = Manner(sparse=False, replace=False)
_KINDS: Final = {
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
}


class Action(Enum):
    """What happens to a path."""

    CREATE = "create"
    UPDATE = "update"
    """Something of the same kind is there: what differs of its content and metadata is written."""
    REPLACE = "replace"
    """Something of another kind is in the way and makes room for it."""
    OBSTRUCTED = "obstructed"
    """A folder with something in it is in the way and stays, so this is not restored."""
    DELETE = "delete"
    KEEP = "keep"
    """It is there as the snapshot has it, or it is a directory that only leads to what is restored."""


class PlannedAction(NamedTuple):
    """One step: ``size`` is the file's length, ``written`` what of it has to be written; 0 for anything but files."""

    action: Action
    path: bytes
    size: int = 0
    written: int = 0


def plan_restore(repository: Repository, request: RestoreRequest) -> Iterator[PlannedAction]:
    """The steps of a restore, in order. Raises what the restore itself would raise before it begins."""
    if request.delete:
        check_deletion(repository, request)
    if not request.target.is_dir():
        yield from _into_nothing(repository, request)
        return
    with TargetTree(request.target, create=False) as target:
        if request.delete:
            for path in extra_entries_at_top(repository, request, target):
                yield PlannedAction(Action.DELETE, path)
        comparison = _Comparison(repository, request, target)
        for item in items_of(repository, request, lambda _path, _error: None):
            if isinstance(item, LeaveItem):
                continue
            status = target.status(item.path)
            yield comparison.step(item, status)
            if not (request.delete and isinstance(item, DirectoryItem) and item.whole):
                continue
            if status is not None and stat.S_ISDIR(status.st_mode):
                for path in extra_entries(target, item.path, item.names, item.shown, request.selection):
                    yield PlannedAction(Action.DELETE, path)


def _into_nothing(repository: Repository, request: RestoreRequest) -> Iterator[PlannedAction]:
    """The steps where there is no target yet."""
    if request.target.exists():
        raise TargetUnusable(path=request.target, reason=os.strerror(errno.ENOTDIR))
    comparison = _Comparison(repository, request, None)
    for item in items_of(repository, request, lambda _path, _error: None):
        if not isinstance(item, LeaveItem):
            yield comparison.step(item, None)


class _Comparison:
    """Compares what the snapshot has with what is there."""

    def __init__(self, repository: Repository, request: RestoreRequest, target: TargetTree | None) -> None:
        self._index = repository.index
        self._target = target
        self._deletes = request.delete
        self._writer: FileWriter | None = None
        if target is not None:
            self._writer = FileWriter(BlobReader(repository.storage, repository.master), target, _MANNER)
        self._linked: set[LinkKey] = set()
        # Only root can give a file to somebody else, and by name it is not known here to whom.
        self._compares_owners = os.geteuid() == 0 and not request.owners_by_name

    def step(self, item: Item, status: os.stat_result | None) -> PlannedAction:
        """What happens at the path of an item, where ``status`` says what is there."""
        if isinstance(item, FileItem):
            return self._file(item, status)
        if isinstance(item, OtherItem):
            return PlannedAction(self._other(item, status), item.path)
        assert isinstance(item, DirectoryItem)  # noqa: S101 - ends of directories are nobody's step
        if status is None:
            return PlannedAction(Action.CREATE, item.path)
        if not stat.S_ISDIR(status.st_mode):
            return PlannedAction(Action.REPLACE, item.path)
        same = not item.whole or self._same_metadata(item.metadata, status)
        return PlannedAction(Action.KEEP if same else Action.UPDATE, item.path)

    def _file(self, item: FileItem, status: os.stat_result | None) -> PlannedAction:
        size = item.size
        is_further_name = item.link_key is not None and item.link_key in self._linked
        if item.link_key is not None:
            self._linked.add(item.link_key)
        whole = 0 if is_further_name else size
        if status is None:
            return PlannedAction(Action.CREATE, item.path, size, whole)
        if not stat.S_ISREG(status.st_mode):
            action = self._in_the_way(item.path, status)
            return PlannedAction(action, item.path, size, whole if action is Action.REPLACE else 0)
        if is_further_name or status.st_nlink != 1:
            # The restore makes such a file anew: other names of what is there keep their content.
            return PlannedAction(Action.UPDATE, item.path, size, whole)
        lacking = self._lacking(item, status)
        same = lacking == 0 and status.st_size == size and self._same_metadata(item.metadata, status)
        return PlannedAction(Action.KEEP if same else Action.UPDATE, item.path, size, lacking)

    def _lacking(self, item: FileItem, status: os.stat_result) -> int:
        """The bytes of a file that is there which have to be written."""
        if not status.st_size or not status.st_mode & stat.S_IRUSR or self._writer is None:
            return item.size
        blobs = [(blob, self._index.content_length(BlobKind.DATA, blob) or 0) for blob in blob_ids(item.content)]
        in_place = self._writer.compare(CompareJob(0, item.path, blobs)).in_place
        return sum(length for (_, length), is_there in zip(blobs, in_place, strict=True) if not is_there)

    def _other(self, item: OtherItem, status: os.stat_result | None) -> Action:
        if status is None:
            return Action.CREATE
        if stat.S_IFMT(status.st_mode) != _KINDS.get(item.kind):
            return self._in_the_way(item.path, status)
        if item.kind == "symlink":
            if self._target is not None and self._target.read_link(item.path) != item.target:
                return Action.UPDATE
        elif item.kind in ("dev", "chardev") and status.st_rdev != item.device:
            return Action.UPDATE
        return Action.KEEP if self._same_metadata(item.metadata, status) else Action.UPDATE

    def _in_the_way(self, path: bytes, status: os.stat_result) -> Action:
        """What happens where something of another kind is."""
        stays = not self._deletes and self._target is not None and is_obstructed(self._target, path, status)
        return Action.OBSTRUCTED if stays else Action.REPLACE

    def _same_metadata(self, metadata: Metadata, status: os.stat_result) -> bool:
        """Whether mode, time and, where they can be set, owners are as they should be."""
        if status.st_mtime_ns != metadata.mtime_ns:
            return False
        if self._compares_owners and (status.st_uid, status.st_gid) != (metadata.uid, metadata.gid):
            return False
        return stat.S_ISLNK(status.st_mode) or stat.S_IMODE(status.st_mode) == metadata.mode & 0o7777
