"""The content of a snapshot's documents. Apart from what tells them, as backups need only that and start sooner."""

from pivori.archives.manifest import LARGEST_MANIFEST, ManifestDamaged
from pivori.engine.export import export_file
from pivori.engine.restore.items import find_subtree
from pivori.repository import Repository
from pivori.translation import N_


def read_document(repository: Repository, tree: str, path: bytes, *, snapshot: str) -> bytes:
    """The content of a document; ``path`` is from the root.

    Raises PathNotInSnapshot, ManifestDamaged when it is too large, and what keeps it from being read.
    """
    _, node = find_subtree(repository, tree, path)
    if node is None or node.size > LARGEST_MANIFEST:
        raise ManifestDamaged(archive=snapshot, reason=N_("a document is too large"))
    return b"".join(export_file(repository, node, path))
