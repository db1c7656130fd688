"""What a rule is asked about, and what it answers: a candidate, and the proof that it can be made again."""

import os
import stat
from collections.abc import Mapping
from functools import cached_property
from typing import Final, NamedTuple

from pivori.engine.exclusion import read_beginning
from pivori.engine.smart.work_tree import WorkTree
from pivori.translation import N_, Phrase

Command = tuple[str, ...]

_CACHE: Final = b".cache"
_LARGEST_TEXT: Final = 64 << 20
"""A lock file of more bytes than this is not read."""


class NotProven(Exception):
    """The candidate cannot be shown to be rebuildable; ``reason`` says what is in the way."""

    def __init__(self, template: str, /, **details: object) -> None:
        self.reason = Phrase(template, **details)
        super().__init__(self.reason)


class Proof(NamedTuple):
    """Why a candidate may be left out, the commands that make it again, and the documents they need."""

    evidence: Phrase
    rebuild: tuple[Command, ...] = ()
    documents: Mapping[bytes, bytes] = {}


class Extent(NamedTuple):
    """What is in a candidate: ``size`` in bytes, and for each name at its top the ``newest`` file below it with its
    modification time (nanoseconds); what is in a ``.cache`` counts under that name.

    ``repository`` is one of its own in it; ``is_whole`` says that all of it could be looked at.
    """

    size: int
    files: int
    newest: Mapping[bytes, tuple[int, bytes]]
    repository: bytes | None
    is_whole: bool


class Candidate:
    """Something that a name makes a candidate. ``siblings`` are the names in its directory.

    ``work_tree`` is the git work tree it lies in, None outside of any; ``sources`` is what is backed up.
    """

    def __init__(
        self, path: bytes, siblings: frozenset[bytes], work_tree: WorkTree | None, sources: tuple[bytes, ...]
    ) -> None:
        self.path = path
        self.directory, self.name = os.path.split(path)
        self.siblings = siblings
        self.work_tree = work_tree
        self.sources = sources

    @cached_property
    def extent(self) -> Extent:
        """What is in it, counted once."""
        return measure(self.path)

    def beside(self, name: bytes) -> bytes:
        """The path of a sibling."""
        return os.path.join(self.directory, name)

    def read_beside(self, name: bytes) -> bytes:
        """The content of a regular file beside it. Raises OSError, NotProven when it is not one, or too large."""
        return read_file(self.beside(name))

    def demand_untracked(self) -> None:
        """Raises NotProven when git tracks it or something in it, or cannot say."""
        if self.work_tree is not None and self.work_tree.tracks(self.path):
            raise NotProven(N_("git tracks it, or something in it"))

    def demand_no_repository(self) -> None:
        """Raises NotProven when a repository of its own lies in it, or not all of it can be read."""
        if self.extent.repository is not None:
            raise NotProven(N_("a git repository lies in it"))
        if not self.extent.is_whole:
            raise NotProven(N_("not all of it can be read"))


def read_file(path: bytes) -> bytes:
    """The content of a regular file of bounded size. Raises OSError, NotProven."""
    content = read_beginning(path, _LARGEST_TEXT + 1)
    if len(content) > _LARGEST_TEXT:
        raise NotProven(N_("a file that would prove it is too large"))
    return content


def measure(path: bytes) -> Extent:
    """Count what is in a directory, or a file; links are not followed. Raises OSError when it is not there."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        return Extent(status.st_size, 1, {}, None, True)
    size = files = 0
    newest: dict[bytes, tuple[int, bytes]] = {}
    repository, is_whole = None, True
    waiting = [(path, b"")]
    while waiting:
        directory, top = waiting.pop()
        try:
            with os.scandir(directory) as listing:
                entries = list(listing)
        except OSError:
            is_whole = False
            continue
        for entry in entries:
            under = top or entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, _CACHE if entry.name == _CACHE else under))
            elif entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                files, size = files + 1, size + status.st_size
                if under not in newest or status.st_mtime_ns > newest[under][0]:
                    newest[under] = status.st_mtime_ns, entry.path
            if entry.name == b".git" and directory != path:
                repository = entry.path
    return Extent(size, files, newest, repository, is_whole)
