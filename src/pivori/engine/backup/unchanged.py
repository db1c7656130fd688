"""Whether two snapshots hold the same of what was asked for."""

from pivori.engine.backup.sources import SourceTree
from pivori.repository import Repository, raw_name


def same_sources(repository: Repository, before: str | None, after: str | None, sources: SourceTree) -> bool:
    """Whether the trees ``before`` and ``after`` hold the same sources, and the same documents.

    The directories on the way to the sources do not count: what somebody else does in ``/home`` or ``/tmp`` changes
    their times. Both trees are stored. Raises BlobMissing, BlobDamaged, TreeDamaged.
    """
    if before == after:
        return True
    if before is None or after is None or sources.whole:
        return False
    old = {node.name: node for node in repository.read_tree(before)}
    new = {node.name: node for node in repository.read_tree(after)}
    if old.keys() != new.keys():
        return False
    for name, node in new.items():
        below = sources.children.get(raw_name(node))
        if below is None or below.whole:
            if node != old[name]:
                return False
        elif not same_sources(repository, old[name].subtree, node.subtree, below):
            return False
    return True
