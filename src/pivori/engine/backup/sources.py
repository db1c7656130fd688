"""What a backup is asked to take: paths, merged into one tree from ``/``.

A snapshot of ``/home/a/project`` and ``/etc/hosts`` holds ``home/a/project`` whole and ``etc/hosts``; the directories
in between appear with their own metadata but hold nothing else.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class SourceTree:
    """A node of the merged tree: taken whole, or only where its children lead."""

    whole: bool = False
    children: dict[bytes, "SourceTree"] = field(default_factory=dict)

    def child(self, name: bytes) -> "SourceTree":
        """The subtree for one more path component, made when it is not there."""
        return self.children.setdefault(name, SourceTree())


def merge_sources(paths: Iterable[bytes]) -> SourceTree:
    """The tree that covers these absolute, normalised paths; one inside another is covered by it."""
    root = SourceTree()
    for path in paths:
        node = root
        for name in components(path):
            if node.whole:
                break
            node = node.child(name)
        if not node.whole:
            node.whole = True
            node.children.clear()
    return root


def components(path: bytes) -> Iterator[bytes]:
    """The components of an absolute path."""
    return (name for name in path.split(b"/") if name)


def resolve_source(path: bytes, current_directory: bytes) -> bytes:
    """The absolute path of a source without symbolic links: what a link stands for is taken, not the link."""
    return os.path.realpath(os.path.join(current_directory, path))
