"""What is not whole has another name in the same folder until it is: here it is removed when it never will be."""

from collections.abc import Iterable
from contextlib import suppress

from pivori.engine.restore.items import find_subtree
from pivori.engine.restore.request import RestoreRequest
from pivori.host import TargetTree, UnsafePath
from pivori.repository import Repository, raw_name


def remove_leftovers_at_top(repository: Repository, request: RestoreRequest, target: TargetTree) -> None:
    """Remove what a run that was killed has left in the target itself."""
    tree, _ = find_subtree(repository, request.tree, request.subtree)
    target.remove_leftovers(b"", frozenset(map(raw_name, repository.read_tree(tree))))


def remove_unfinished(target: TargetTree, paths: Iterable[bytes]) -> None:
    """Remove what this run has not finished of what is to be at these paths."""
    for directory in {path.rpartition(b"/")[0] for path in paths}:
        # A folder that is gone, or that was exchanged meanwhile, holds nothing of ours.
        with suppress(OSError, UnsafePath):
            target.remove_unfinished(directory)
