"""Documents: small files that a backup adds to what it finds, below one folder at the snapshot's root.

They are ordinary files of the tree, so that every program that reads the repository sees them. One that says what it
said in the parent snapshot keeps its times there, so that nothing changes when nothing changed. Their nodes have no
inode number, which no file of a real file system lacks.
"""

import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pivori.engine.backup.content import store_content
from pivori.engine.backup.made_nodes import FILE_MODE, FOLDER_MODE, made_node
from pivori.engine.documents import is_document
from pivori.errors import PivoriError
from pivori.host import ProcessIdentity
from pivori.repository import Intake, Node, assemble_tree, encode_node
from pivori.translation import N_


class DocumentsClash(PivoriError):
    """What is backed up has an entry where the documents of the backup go."""

    code = "documents-clash"
    message = N_("The backup keeps its own documents in {path}, but there is such an entry among what is backed up.")
    hint = N_("Leave that entry out with --exclude, or take a strategy that leaves nothing out.")
    exit_status = 2


class Addition(NamedTuple):
    """An entry of a directory that is not on the disk: its name, and its encoded node."""

    name: bytes
    node: bytes


Folder = dict[bytes, "Folder | bytes"]
PreviousNodes = Callable[[str | None], dict[bytes, Node]]


class DocumentWriter:
    """Stores documents. ``time_ns`` is what new ones get; ``previous`` gives the nodes of a tree by name."""

    def __init__(self, intake: Intake, identity: ProcessIdentity, time_ns: int, previous: PreviousNodes) -> None:
        self._intake = intake
        self._identity = identity
        self._time_ns = time_ns
        self._previous = previous

    def store(self, documents: Mapping[bytes, bytes], root_tree: str | None) -> Addition:
        """Store documents that have their folder in common; ``root_tree`` is the parent snapshot's tree."""
        top = _arranged(documents)
        [(name, folder)] = top.items()
        before = self._previous(root_tree).get(name)
        node = self._folder(name, folder if isinstance(folder, dict) else {}, before)
        return Addition(name, encode_node(node))

    def _folder(self, name: bytes, content: Folder, before: Node | None) -> Node:
        known = self._previous(before.subtree) if before is not None and is_document(before) else {}
        nodes = [
            self._folder(entry, inner, known.get(entry))
            if isinstance(inner, dict)
            else self._file(entry, inner, known.get(entry))
            for entry, inner in sorted(content.items())
        ]
        tree = self._intake.add_tree(assemble_tree([encode_node(node) for node in nodes]))[0].hex()
        fresh = made_node(self._identity, self._time_ns, name, FOLDER_MODE, subtree=tree)
        return before if before is not None and _says_the_same(before, fresh) else fresh

    def _file(self, name: bytes, content: bytes, before: Node | None) -> Node:
        stored = store_content(self._intake, _reader(content))
        fresh = made_node(self._identity, self._time_ns, name, FILE_MODE, content=stored.blobs, size=stored.size)
        return before if before is not None and _says_the_same(before, fresh) else fresh


def _says_the_same(before: Node, now: Node) -> bool:
    return is_document(before) and (
        (before.type, before.mode, before.uid, before.gid, before.size, before.content, before.subtree)
        == (now.type, now.mode, now.uid, now.gid, now.size, now.content, now.subtree)
    )


def _arranged(documents: Mapping[bytes, bytes]) -> Folder:
    top: Folder = {}
    for path, content in documents.items():
        *above, name = path.split(b"/")
        folder = top
        for part in above:
            inner = folder.setdefault(part, {})
            assert isinstance(inner, dict)  # noqa: S101 - documents are named by this program
            folder = inner
        folder[name] = content
    return top


def _reader(content: bytes) -> Callable[[memoryview], int]:
    """What fills buffers with ``content``."""
    return io.BytesIO(content).readinto
