"""Reading a recovery point: the folder of one component, its files as streams, its trees back onto a disk."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pivori.engine.export import export_file
from pivori.engine.listing import walk
from pivori.engine.restore import PathNotInSnapshot, Restore, RestoreRequest
from pivori.engine.restore.items import find_subtree, metadata_of
from pivori.engine.restore.writing import file_problem
from pivori.errors import PivoriError
from pivori.events import Event, MetadataNotRestored
from pivori.host import TargetTree
from pivori.repository import Node, Repository
from pivori.translation import N_


class PartNotRestored(PivoriError):
    """Some files of a recovery point could not be written back."""

    code = "part-not-restored"
    message = N_("{count} files could not be restored into {path}.")
    hint = N_("The lines above name them and say why; mend that, then run the same command again.")


class FileFacts(NamedTuple):
    """A regular file of a component: its path from the component's folder, and its length in bytes."""

    path: str
    size: int


class ComponentReader:
    """The folder of a component. ``tree`` is that folder's; ``emit`` hears what a restore has to say."""

    def __init__(self, repository: Repository, tree: str, *, workers: int, emit: Callable[[Event], None]) -> None:
        self._repository = repository
        self._tree = tree
        self._workers = workers
        self._emit = emit

    def files(self, folder: str) -> Iterator[FileFacts]:
        """The regular files below a folder. Raises PathNotInSnapshot, and what a damaged tree raises."""
        below = os.fsencode(folder)
        tree, _node = find_subtree(self._repository, self._tree, below)
        above = b"/" + below if below else b""
        for entry in walk(self._repository, tree, on_damage=_refuse, above=above):
            if entry.node.type == "file":
                yield FileFacts(os.fsdecode(entry.path[1:]), entry.node.size)

    def size(self, path: str) -> int:
        """The length of a file in bytes. Raises PathNotInSnapshot."""
        _tree, node = find_subtree(self._repository, self._tree, os.fsencode(path))
        if node is None or node.type != "file":
            raise PathNotInSnapshot(path=path)
        return node.size

    def pieces(self, path: str) -> Iterator[bytes]:
        """The content of a file. Raises PathNotInSnapshot, NotAFile, and at once what keeps it from being read."""
        _tree, node = find_subtree(self._repository, self._tree, os.fsencode(path))
        if node is None:
            raise PathNotInSnapshot(path=path)
        yield from export_file(self._repository, node, os.fsencode(path))

    def write_tree(self, folder: str, target: Path, only: Sequence[str]) -> int:
        """Write what is below a folder, or the paths in ``only`` of it, into ``target``: bytes written.

        A folder that is not there yet is made as it was, with its owner and permissions; one that is there stays so.
        Raises PathNotInSnapshot, PartNotRestored, and what a restore raises.
        """
        if not only:
            return self._restore(os.fsencode(folder), target)
        written = 0
        for path in only:
            within = os.fsencode(os.path.join(folder, path))  # noqa: PTH118 - a path of the capture
            _tree, node = find_subtree(self._repository, self._tree, within)
            is_folder = node is None or node.type == "dir"
            written += self._restore(within, target / path if is_folder else (target / path).parent)
        return written

    def _restore(self, subtree: bytes, target: Path) -> int:
        is_new = not os.path.lexists(target)
        request = RestoreRequest(tree=self._tree, target=target, subtree=subtree, workers=self._workers)
        outcome = Restore(self._repository, request, emit=self._emit).run()
        if outcome.failures:
            raise PartNotRestored(count=outcome.failures, path=target)
        _tree, node = find_subtree(self._repository, self._tree, subtree)
        if is_new and node is not None and node.type == "dir":
            self._finish_folder(node, target)
        return outcome.bytes_written

    def _finish_folder(self, node: Node, target: Path) -> None:
        """Give a folder the owner, permissions and times it had."""
        with TargetTree(target.parent) as tree:
            problems = tree.finish(os.fsencode(target.name), **metadata_of(node)._asdict())
        for problem in map(file_problem, problems):
            self._emit(MetadataNotRestored(path=os.fsencode(target), reason=problem.reason))


def _refuse(_path: bytes, error: PivoriError) -> None:
    """A listing with a hole in it is no listing."""
    raise error
