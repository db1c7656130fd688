"""What a restore is asked for, and the items that come of it."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pivori.engine.restore.items import FileItem, Item, Scope, Selection, find_subtree, single_item, walk_items
from pivori.errors import PivoriError
from pivori.host import TargetTree
from pivori.repository import Repository, Summary
from pivori.translation import N_


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What to restore, and where. ``subtree`` narrows to a path in the snapshot; ``target`` gets what is below it.

    ``without`` are names that are left out at the snapshot's root; below it they are names like all others.
    """

    tree: str
    target: Path
    subtree: bytes = b""
    sources: Collection[tuple[bytes, ...]] = ()
    selection: Selection | None = None
    delete: bool = False
    sparse: bool = False
    verify: bool = False
    owners_by_name: bool = False
    without: Collection[bytes] = ()
    workers: int = 1
    expected_files: int | None = None
    expected_bytes: int | None = None


def items_of(
    repository: Repository, request: RestoreRequest, on_damage: Callable[[bytes, PivoriError], None]
) -> Iterator[Item]:
    """The items a request asks for."""
    tree, node = find_subtree(repository, request.tree, request.subtree)
    if node is not None and node.subtree is None:
        yield single_item(node)
        return
    start = tuple(name for name in request.subtree.split(b"/") if name)
    without = () if start else request.without
    scope = Scope(selection=request.selection, start=start, sources=request.sources, without=without)
    yield from walk_items(repository, tree, scope, on_damage)


class TargetUnusable(PivoriError):
    """The target is no directory, and none can be made there."""

    code = "target-unusable"
    message = N_("Nothing can be restored into {path}: {reason}.")
    hint = N_("Name a folder, or a place where you may make one.")


def open_target(request: RestoreRequest) -> TargetTree:
    """The target, made where it is missing. Raises TargetUnusable."""
    try:
        return TargetTree(request.target, owners_by_name=request.owners_by_name)
    except OSError as error:
        raise TargetUnusable(path=request.target, reason=error.strerror or str(error)) from None


def with_expectation(repository: Repository, request: RestoreRequest, summary: Summary | None) -> RestoreRequest:
    """The request, knowing how much it comes to: as the backup counted, or, for a part of a snapshot, by a walk."""
    if summary is not None and not request.subtree and request.selection is None:
        files, size = summary.total_files_processed, summary.total_bytes_processed
    else:
        files = size = 0
        for item in items_of(repository, request, lambda _path, _error: None):
            if isinstance(item, FileItem):
                files, size = files + 1, size + item.size
    return replace(request, expected_files=files, expected_bytes=size)
