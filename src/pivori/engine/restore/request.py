"""What a restore is asked for, and the items that come of it."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pivori.engine.restore.items import FileItem, Item, Scope, Selection, find_subtree, single_item, walk_items
from pivori.errors import PivoriError
from pivori.events import Progress
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


class Expectation:
    """How much a restore comes to. It is found out when it is first wanted: most are done before anybody is told."""

    def __init__(self, repository: Repository, request: RestoreRequest, summary: Summary | None) -> None:
        """``summary`` is the snapshot's."""
        self._repository = repository
        self._request = request
        self._summary = summary

    def added_to(self, progress: Progress) -> Progress:
        """The same state of a restore, of how much in all; without, where that cannot be found out."""
        files, size = self._totals
        return replace(progress, files_total=files, bytes_total=size)

    @cached_property
    def _totals(self) -> tuple[int | None, int | None]:
        """Files and bytes: as the backup counted them, or, for a part of a snapshot, by a walk."""
        request, summary = self._request, self._summary
        if summary is not None and not request.subtree and request.selection is None:
            return summary.total_files_processed, summary.total_bytes_processed
        files = size = 0
        try:
            for item in items_of(self._repository, request, lambda _path, _error: None):
                if isinstance(item, FileItem):
                    files, size = files + 1, size + item.size
        except PivoriError:
            # The restore meets it too, and says what it costs.
            return None, None
        return files, size
