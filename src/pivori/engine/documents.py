"""The documents of a snapshot, as they are read: what a backup added to what it found, below one folder of the root.

A folder of that name that was found on a disk is none: its node has an inode number.
"""

from typing import Final

from pivori.archives.manifest import FOLDER, LARGEST_MANIFEST, ManifestDamaged
from pivori.engine.export import export_file
from pivori.engine.restore.items import find_subtree
from pivori.repository import Node, Repository, raw_name
from pivori.translation import N_

DOCUMENT_FOLDER: Final = FOLDER


def is_document(node: Node) -> bool:
    """Whether a node is one that a backup added, and not what it found on a disk."""
    return node.inode == 0 and node.device_id == 0


def has_documents(repository: Repository, tree: str) -> bool:
    """Whether the snapshot with this root tree has documents."""
    return any(raw_name(node) == DOCUMENT_FOLDER and is_document(node) for node in repository.read_tree(tree))


def read_document(repository: Repository, tree: str, path: bytes, *, snapshot: str) -> bytes:
    """The content of a document; ``path`` is from the root.

    Raises PathNotInSnapshot, ManifestDamaged when it is too large, and what keeps it from being read.
    """
    _, node = find_subtree(repository, tree, path)
    if node is None or node.size > LARGEST_MANIFEST:
        raise ManifestDamaged(archive=snapshot, reason=N_("a document is too large"))
    return b"".join(export_file(repository, node, path))
