"""What git knows of the files of a work tree: which it tracks, which it ignores."""

import os
from functools import cached_property

from pivori.host.git import Git, GitFailed


class WorkTree:
    """A directory with a ``.git``. Where git cannot answer, everything counts as tracked: so it is kept."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.git = Git(path)

    def tracks(self, path: bytes) -> bool:
        """Whether a file, or anything in a directory, is tracked."""
        known = self._tracked
        return known is None or os.path.relpath(path, self.path) in known

    def ignores(self, path: bytes) -> bool:
        """Whether the rules of the work tree say that git ignores it."""
        try:
            status, _ = self.git.ask("check-ignore", "-q", "--", os.path.relpath(path, self.path))
        except GitFailed:
            return False
        return status == 0

    @cached_property
    def _tracked(self) -> frozenset[bytes] | None:
        """The tracked files and the directories above them."""
        try:
            listing = self.git("ls-files", "-z", "--full-name")
        except GitFailed:
            return None
        found: set[bytes] = set()
        for path in listing.split(b"\0"):
            while path and path not in found:
                found.add(path)
                path = os.path.dirname(path)
        return frozenset(found)
