"""The documents of a snapshot: what a backup added to what it found, below one folder of the root.

A folder of that name that was found on a disk is none: its node has an inode number.
"""

from typing import Final

from pivori.archives.manifest import FOLDER
from pivori.repository import Node, Repository, raw_name

DOCUMENT_FOLDER: Final = FOLDER


def is_document(node: Node) -> bool:
    """Whether a node is one that a backup added, and not what it found on a disk."""
    return node.inode == 0 and node.device_id == 0


def has_documents(repository: Repository, tree: str) -> bool:
    """Whether the snapshot with this root tree has documents."""
    return any(raw_name(node) == DOCUMENT_FOLDER and is_document(node) for node in repository.read_tree(tree))
