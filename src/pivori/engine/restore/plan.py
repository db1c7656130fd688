"""What a restore would do: the same walk as the restore itself, without touching anything."""

import os
import stat
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from pivori.engine.restore.deletion import check_deletion, extra_entries, extra_entries_at_top, is_obstructed
from pivori.engine.restore.items import DirectoryItem, FileItem, LeaveItem, OtherItem
from pivori.engine.restore.request import RestoreRequest, items_of
from pivori.host import TargetTree
from pivori.repository import Repository


class Action(Enum):
    """What happens to a path."""

    CREATE = "create"
    UPDATE = "update"
    """Something of the same kind is there: its content is compared, and what differs is written."""
    REPLACE = "replace"
    """Something of another kind is in the way and makes room for it."""
    OBSTRUCTED = "obstructed"
    """A folder with something in it is in the way and stays, so this is not restored."""
    DELETE = "delete"


class PlannedAction(NamedTuple):
    """One step; ``size`` is the file's length in bytes, 0 for anything else."""

    action: Action
    path: bytes
    size: int


def plan_restore(repository: Repository, request: RestoreRequest) -> Iterator[PlannedAction]:
    """The steps of a restore, in order. Raises what the restore itself would raise before it begins."""
    if request.delete:
        check_deletion(repository, request)
    target = TargetTree(request.target, create=False) if request.target.is_dir() else None
    try:
        if request.delete and target is not None:
            for path in extra_entries_at_top(repository, request, target):
                yield PlannedAction(Action.DELETE, path, 0)
        for item in items_of(repository, request, lambda _path, _error: None):
            if isinstance(item, LeaveItem):
                continue
            status = target.status(item.path) if target is not None else None
            size = item.size if isinstance(item, FileItem) else 0
            yield PlannedAction(_action(item, status, target, request), item.path, size)
            if not (request.delete and target is not None and isinstance(item, DirectoryItem) and item.whole):
                continue
            if status is not None and stat.S_ISDIR(status.st_mode):
                for path in extra_entries(target, item.path, item.names, item.shown, request.selection):
                    yield PlannedAction(Action.DELETE, path, 0)
    finally:
        if target is not None:
            target.close()


def _action(
    item: FileItem | DirectoryItem | OtherItem,
    status: os.stat_result | None,
    target: TargetTree | None,
    request: RestoreRequest,
) -> Action:
    if status is None or target is None:
        return Action.CREATE
    if isinstance(item, DirectoryItem):
        return Action.UPDATE if stat.S_ISDIR(status.st_mode) else Action.REPLACE
    if isinstance(item, FileItem) and stat.S_ISREG(status.st_mode):
        return Action.UPDATE
    stays = not request.delete and is_obstructed(target, item.path, status)
    return Action.OBSTRUCTED if stays else Action.REPLACE
