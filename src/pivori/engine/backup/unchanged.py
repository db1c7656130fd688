"""Whether two snapshots hold the same of what was asked for."""

from pivori.engine.backup.sources import SourceTree
from pivori.repository import Repository, raw_name


def same_sources(repository: Repository, before: str | None, after: str | None, sources: SourceTree) -> bool:
    """Whether the trees ``before`` and ``after`` hold the same sources, and the same documents.

    The directories on the way to the sources do not count: what somebody else does in ``/home`` or ``/tmp`` changes
    their times. Both trees are stored. Raises BlobMissing, BlobDamaged, TreeDamaged.
    """
    waiting = [(before, after, sources)]
    while waiting:
        one, other, below = waiting.pop()
        if one == other:
            continue
        if one is None or other is None or below.whole:
            return False
        old = {node.name: node for node in repository.read_tree(one)}
        new = {node.name: node for node in repository.read_tree(other)}
        if old.keys() != new.keys():
            return False
        for name, node in new.items():
            child = below.children.get(raw_name(node))
            if child is not None and not child.whole:
                waiting.append((old[name].subtree, node.subtree, child))
            elif node != old[name]:
                return False
    return True
