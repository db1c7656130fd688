"""What of the target goes: with ``--delete`` what the snapshot does not have, and when that is refused.

Without it nothing goes but what has the very path of something that is restored, and no folder that holds anything.
"""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from pivori.engine.restore.items import FileItem, OtherItem, Scope, Selection, find_subtree
from pivori.engine.restore.request import RestoreRequest, items_of
from pivori.errors import PivoriError
from pivori.host import TargetTree
from pivori.repository import Repository, raw_name
from pivori.translation import N_


class DeletionRefused(PivoriError):
    """``--delete`` could remove far more than meant."""

    code = "deletion-refused"
    message = N_("Deleting what the snapshot does not have is refused: {reason}.")
    hint = N_("Restore into a directory of its own, or without --delete.")


def check_deletion(repository: Repository, request: RestoreRequest) -> None:
    """Refuse ``--delete`` where it could empty a machine. Raises DeletionRefused.

    Into ``/`` only what was backed up may be emptied of the rest, and only when that is not ``/`` itself.
    """
    whole_machine = not request.sources or () in request.sources or request.subtree
    if request.target.resolve() == Path("/") and whole_machine:
        raise DeletionRefused(reason=N_("it would empty the whole machine"))
    items = items_of(repository, request, lambda _path, _error: None)
    if not any(isinstance(item, (FileItem, OtherItem)) for item in items):
        raise DeletionRefused(reason=N_("the selection is empty, so everything would go"))


IN_THE_WAY: Final = N_("a folder with something in it is in the way, and only --delete removes that")


def is_obstructed(target: TargetTree, path: bytes, status: os.stat_result | None) -> bool:
    """Whether what is at a path, given its ``status``, is a folder that holds something, or cannot be looked into."""
    if status is None or not stat.S_ISDIR(status.st_mode):
        return False
    try:
        return bool(target.list_directory(path))
    except OSError:
        return True


def extra_entries(
    target: TargetTree,
    directory: bytes,
    names: Collection[bytes],
    shown: tuple[bytes, ...],
    selection: Selection | None,
) -> Iterator[bytes]:
    """The paths in a directory of the target that the snapshot does not have and the selection speaks of.

    ``names`` are those that the snapshot has in it, ``shown`` is the directory's path in the snapshot.
    """
    # What a run that was killed has left goes by itself, without being counted.
    leftovers = frozenset(target.leftovers(directory, names))
    for name in target.list_directory(directory):
        if name in names or name in leftovers:
            continue
        path = directory + b"/" + name if directory else name
        if selection is not None:
            status = target.status(path)
            is_directory = status is not None and stat.S_ISDIR(status.st_mode)
            if not selection.decide((*shown, name), is_directory)[0]:
                continue
        yield path


def extra_entries_at_top(repository: Repository, request: RestoreRequest, target: TargetTree) -> Iterator[bytes]:
    """Those in the target itself: nothing, unless a directory that was backed up is restored right into it."""
    tree, node = find_subtree(repository, request.tree, request.subtree)
    start = tuple(name for name in request.subtree.split(b"/") if name)
    scope = Scope(selection=request.selection, start=start, sources=request.sources)
    is_file = node is not None and node.subtree is None
    if is_file or scope.is_on_the_way(start) or not scope.decide(start, True)[0]:
        return
    names = frozenset(map(raw_name, repository.read_tree(tree)))
    yield from extra_entries(target, b"", names, start, request.selection)
